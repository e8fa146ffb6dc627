"""The longest time for which an offline verifier accepts what was revoked (R10)."""

from __future__ import annotations

from datetime import timedelta

from derived.minting.authority import ANSWER_LIFE, LIST_LIFE
from derived.minting.certificate import LONGEST_LIFE
from derived.rules.kinds import Kind
from idp.oidc.lifetimes import ACCESS_TOKEN, ID_TOKEN
from idp.policies import issuance

SKEW = timedelta(seconds=60)
_LIST_AND_SIGNATURE = timedelta(seconds=120)  # a list is read every minute, and signed within the other


def bounds() -> dict[str, timedelta]:
    """The bound of each kind of artefact, in words."""
    life = issuance.rules().lifetime(Kind.CERTIFICATE) or LONGEST_LIFE
    return {
        "access token (JWT, verified offline)": ACCESS_TOKEN + SKEW,
        "ID token (as a login, with 60 s of skew)": ID_TOKEN + SKEW,
        "introspection, userinfo, refresh, sign-in here": timedelta(0),
        "certificate, where the list is read every minute": _LIST_AND_SIGNATURE,
        "certificate, where an OCSP answer is kept": ANSWER_LIFE,
        "certificate, where a list is kept as long as it holds": LIST_LIFE,
        "certificate, where no list is read at all (its life)": life,
    }


def longest_offline(*, certificates: bool) -> timedelta:
    """How long after an ending something of a person may still be accepted offline, where lists are read."""
    tokens = max(ACCESS_TOKEN, ID_TOKEN) + SKEW
    return max(tokens, LIST_LIFE) if certificates else tokens
