"""The settings profile `conformance`: this house as the OpenID conformance suite wants to find it, on loopback and nowhere else.

    settings     the profile: DJANGO_SETTINGS_MODULE=idp.conformance.settings
    house        the person and the clients that the suite's plans need
    suite        the suite's own configuration, plan by plan
    certificate  HTTPS on a certificate of its own

What it relaxes is one thing, for one person: the second factor is a fixed code, which a scripted browser without JavaScript
can type. `idp.checks.configuration` refuses to start the profile anywhere but on https and loopback (ramet.E060).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings

from idp.config import config, is_loopback

if TYPE_CHECKING:
    from derived.models import Credential

PERSON = "conformance@ramet.example"
CODE = "123456"


def is_on() -> bool:
    """Whether this process runs under the profile, where the profile may run."""
    return getattr(settings, "RAMET_CONFORMANCE", False) is True and is_loopback(config().host)


def fixed_step(credential: Credential, typed: str) -> int | None:
    """The step that the fixed code stands for: the next unspent one, of the conformance person, under the profile; else None."""
    if not is_on() or typed != CODE or credential.account.person.login_name != PERSON:
        return None
    return int(credential.password_totp.totp_last_step) + 1
