"""The checks of the site's file and of the trust agreements with clients (ramet.E080, ramet.W081, ramet.W082)."""

from __future__ import annotations

from django.core import checks
from django.db import DatabaseError

from derived import clock
from idp.agreements import redress, register
from idp.config import config, is_loopback
from idp.models import ClientPolicy
from idp.oidc.claims import claims
from idp.policies import site

_NAMED = 5


@checks.register
def site_file_is_usable(**_context: object) -> list[checks.Error]:
    """An error for a file that cannot be used: it would be ignored while serving."""
    try:
        site.read(site.path())
    except (OSError, ValueError) as error:
        return [checks.Error(f"{site.path()} cannot be used: {error}", hint="Mend that line.", id="ramet.E080")]
    return []


@checks.register
def agreements_are_in_force(**_context: object) -> list[checks.Warning]:
    """Warn of clients without an agreement in force where that matters, and of late answers to objections."""
    here, now = config(), clock.now()
    is_required = site.settings().agreements == "required"
    try:
        late = redress.overdue(now=now)
        lacking = _lacking() if is_required or (here.is_https and not is_loopback(here.host)) else []
    except DatabaseError:  # before the first migration: another check tells
        return []
    found = []
    if lacking:
        words = f"{len(lacking)} clients have no trust agreement in force: {', '.join(lacking[:_NAMED])}"
        hint = "They get nothing until they have one." if is_required else "SP 800-63C-4 §4.3 asks for one each."
        found.append(checks.Warning(words, hint=f"{hint} See: manage.py agreement list", id="ramet.W081"))
    if late:
        words = f"{late} objections of people were not answered in time"
        found.append(checks.Warning(words, hint="Answer them at /console/redress.", id="ramet.W082"))
    return found


def _lacking() -> list[str]:
    """The client_ids without an agreement in force."""
    now = clock.now()
    rows = ClientPolicy.objects.filter(disabled_at__isnull=True).select_related("client").order_by("pk")
    return [
        one.client.client_id
        for one in rows
        if register.fault(one.client.client_id, disclosed=claims.disclosed(one.scopes), now=now)
    ]
