"""System checks of `RAMET_VAR/pki`, so that a mistake is reported at start-up (ramet.E030 to E032)."""

from __future__ import annotations

from django.core import checks
from django.core.checks import Error, register

from derived import clock
from idp.certificates.configuration import BadConfiguration, current

_MOST_WORDS = 300


@register
def pki_folder_is_usable(**_context: object) -> list[Error | checks.Warning]:
    """Every file is readable and every key is known; anchors that have expired are named."""
    try:
        here = current()
    except BadConfiguration as error:
        hint = "Correct or remove it; docs/operating.md, Cards, lists what may stand there."
        return [Error(f"RAMET_VAR/pki/{fault[:_MOST_WORDS]}", hint=hint, id="ramet.E030") for fault in error.faults]
    now = clock.now()
    expired = [one for one in here.anchors if one.not_valid_after < now]
    return [
        checks.Warning(
            f"an anchor of RAMET_VAR/pki has expired: {one.subject.human_friendly[:_MOST_WORDS]}",
            hint="Replace it: nothing below it is accepted any more.",
            id="ramet.W031",
        )
        for one in expired
    ]
