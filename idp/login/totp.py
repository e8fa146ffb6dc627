"""Time-based one-time passwords (RFC 6238): a wrapped seed, one step of tolerance, each step once (AU-5, C56)."""

from __future__ import annotations

import hmac
import re
import secrets
from base64 import b32encode
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from django_otp.oath import hotp

from derived.models import PasswordAndTotp
from idp.keys import wrapper
from idp.secrets import ascii_digits, without_separators

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from uuid import UUID

    from derived.models import Credential

STEP = 30
_DIGITS = 6
_TOLERANCE = 1
_CODE = re.compile(r"[0-9]{6}", re.ASCII)
_MOST_TYPED = 64
_PURPOSE = "totp-seed"
_fixed_steps: list[Callable[[Credential, str], int | None]] = []  # registered by a test profile, empty in production


def new_seed() -> bytes:
    """A 160-bit seed."""
    return secrets.token_bytes(20)


def wrap(seed: bytes, *, owner: UUID) -> bytes:
    """The seed as it is stored, bound to the credential that owns it."""
    return wrapper().wrap(seed, purpose=_PURPOSE, owner=str(owner))


def unwrap(wrapped: bytes, *, owner: UUID) -> bytes:
    """The seed.

    Raises: Unavailable(KEY_UNAVAILABLE).
    """
    return wrapper().unwrap(wrapped, purpose=_PURPOSE, owner=str(owner))


def seed_text(seed: bytes) -> str:
    """The seed in base32, as authenticator apps take it."""
    return b32encode(seed).decode().rstrip("=")


def otpauth(seed: bytes, *, account_name: str, issuer: str) -> str:
    """The `otpauth:` URI that a QR code carries."""
    label = quote(f"{issuer}:{account_name}")
    return f"otpauth://totp/{label}?" + urlencode(
        {"secret": seed_text(seed), "issuer": issuer, "digits": _DIGITS, "period": STEP}
    )


def normal_code(typed: str) -> str:
    """A typed code without spaces and hyphens, its digits in ASCII, whatever their script.

    Apps show a code in groups, and some in the digits of the person's language.
    """
    return ascii_digits(without_separators(typed[:_MOST_TYPED]))


def matching_step(seed: bytes, typed: str, *, now: datetime) -> int | None:
    """The time step that a typed code belongs to, or None; typed: as the person typed it."""
    code = normal_code(typed)
    if not _CODE.fullmatch(code):
        return None
    present = int(now.timestamp()) // STEP
    found = None
    for step in range(present - _TOLERANCE, present + _TOLERANCE + 1):
        expected = f"{hotp(seed, step, digits=_DIGITS):0{_DIGITS}d}"
        if hmac.compare_digest(expected, code):
            found = step
    return found


def accept_fixed_codes(step: Callable[[Credential, str], int | None]) -> None:
    """Register a test profile's function that answers the time step for a fixed code, or None."""
    _fixed_steps.append(step)


def fixed_step(credential: Credential, typed: str) -> int | None:
    """The time step of a fixed code that a registered test profile accepts, or None."""
    return next((step for answer in _fixed_steps if (step := answer(credential, typed)) is not None), None)


def claim_step(verifier: PasswordAndTotp, step: int) -> bool:
    """Spend a step: True for the first caller only, and never for a step at or before one that was spent."""
    rows = PasswordAndTotp.objects.filter(credential_id=verifier.credential_id, totp_last_step__lt=step)
    return rows.update(totp_last_step=step) == 1
