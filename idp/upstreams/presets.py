"""Known conventions of some providers, as data: the request of a level, and the claims that state one.

Only certain facts are listed. A provider's other claims count for nothing until an operator adds them to the upstream's
table by `manage.py upstream add --level`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

_IDM = "http://idmanagement.gov/ns/assurance/aal/"


@dataclass(frozen=True, kw_only=True)
class Preset:
    """The conventions of a provider; the fields are those of `Upstream`.

    says_auth_time: whether it answers `max_age` with `auth_time` (OpenID Connect Core §2); otherwise every login there
    is requested anew, and a relying party that needs `max_age` is refused.
    """

    scope: str = "openid"
    acr_values: str = ""
    auth_method: str = "client_secret_basic"
    levels: dict[str, tuple[int, int]] = field(default_factory=dict)
    aal_claim: str = ""
    ial_claim: str = ""
    phishing_resistant: tuple[str, ...] = ()
    amr: dict[str, str] = field(default_factory=dict)
    algs: tuple[str, ...] = ("ES256", "RS256", "PS256", "EdDSA")
    cap: int = 2
    says_auth_time: bool = True


GENERIC = Preset()

# login.gov (its source, as read in August 2026): `acr` carries only the IAL, so no level is ever read from it (trap
# 21); `aal` is a claim of its own that repeats the requested value. Its resolver never computes more than AAL2, and
# treats `aal/3` as "AAL2 and phishing-resistant", so nothing here counts as AAL3. `…?hspd12=true` requests a PIV or CAC
# card, which is phishing-resistant. Left out, so without value: its default
# `urn:gov:gsa:ac:classes:sp:PasswordProtectedTransport:duo` (a remembered device may replace the second factor),
# `ial/1` (no proofing), and every value for a proofed identity, because which of them is IAL2 is not certain. It has no
# client secret: PKCE alone (`none`). It is not known to send `auth_time`; `prompt=login` needs its approval.
LOGIN_GOV = Preset(
    scope="openid",
    acr_values=f"urn:acr.login.gov:auth-only {_IDM}2",
    auth_method="none",
    levels={
        f"{_IDM}2": (2, 0),
        f"{_IDM}2?phishing_resistant=true": (2, 0),
        f"{_IDM}2?hspd12=true": (2, 0),
        f"{_IDM}3": (2, 0),
        f"{_IDM}3?hspd12=true": (2, 0),
    },
    aal_claim="aal",
    phishing_resistant=(
        f"{_IDM}2?phishing_resistant=true",
        f"{_IDM}2?hspd12=true",
        f"{_IDM}3",
        f"{_IDM}3?hspd12=true",
    ),
    algs=("RS256",),
    says_auth_time=False,
)

# Entra: its `acr` ("1", "0") has no meaning, and its `amr` is not exact: neither is read. A tenant can vouch for its
# authentication contexts, `c1` to `c99`, in the claim `acrs`, a list; the tenant's Conditional Access defines each, so
# the table is empty and an operator fills it in (`--level c1=2`). The tenant has to switch on `acrs` and `auth_time` as
# optional claims of the ID token. Values of `amr` are not certain, so none is passed on.
ENTRA = Preset(scope="openid", aal_claim="acrs[]", ial_claim="acrs[]", algs=("RS256",))

# Another Ramet: its `acr` is computed from evidence in the same way.
RAMET = Preset(
    acr_values=f"{_IDM}2",
    levels={
        f"{_IDM}1": (1, 0),
        f"{_IDM}2": (2, 0),
        f"{_IDM}2?phishing_resistant=true": (2, 0),
        f"{_IDM}3": (3, 0),
        f"{_IDM}3?phishing_resistant=true": (3, 0),
    },
    phishing_resistant=(f"{_IDM}2?phishing_resistant=true", f"{_IDM}3?phishing_resistant=true"),
    amr={one: one for one in ("pwd", "otp", "mfa", "pop", "hwk", "sc", "pin", "user")},
)

PRESETS: dict[str, Preset] = {"login.gov": LOGIN_GOV, "entra": ENTRA, "ramet": RAMET}


def preset_of(name: str) -> Preset:
    """The preset of a name; for any other the generic one, which trusts no claim."""
    return PRESETS.get(name, GENERIC)
