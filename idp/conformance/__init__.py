"""The settings profile `conformance`: Ramet as the OpenID conformance suite requires it, on loopback only.

    settings      the profile: DJANGO_SETTINGS_MODULE=idp.conformance.settings
    apps          its Django app, which registers the fixed second factor
    fixtures      the person and the clients of the suite's plans
    suite         the suite's configuration, plan by plan
    certificate   HTTPS with a test certificate, and certificates of clients
    urls          the routes of `idp.urls`, and `resource`
    resource      a protected resource for tokens without the scope openid

The profile relaxes one thing for one person: the second factor is a fixed code, which a scripted browser without
JavaScript can type. `idp.checks.configuration` refuses to start it anywhere but on https and loopback (ramet.E060).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings

from idp.config import config, is_loopback

if TYPE_CHECKING:
    from derived.models import Credential

PERSON = "conformance@ramet.example"
PASSWORD = "mossy stones by the river"  # noqa: S105 - of a person who exists on loopback only
CODE = "123456"


def is_on() -> bool:
    """True if this process runs under the profile, on loopback."""
    return getattr(settings, "RAMET_CONFORMANCE", False) is True and is_loopback(config().host)


def fixed_step(credential: Credential, typed: str) -> int | None:
    """The TOTP step of the fixed code: the next unspent one of the conformance person under the profile; else None."""
    if not is_on() or typed != CODE or credential.account.person.login_name != PERSON:
        return None
    return int(credential.password_totp.totp_last_step) + 1
