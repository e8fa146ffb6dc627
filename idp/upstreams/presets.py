"""What is known of some providers, as data: how to ask them for a level, and which of their words say one.

Only what is certain stands here. What a provider says beyond that is worth nothing until an operator puts it in the table of
the upstream by `manage.py upstream add --level`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

_IDM = "http://idmanagement.gov/ns/assurance/aal/"


@dataclass(frozen=True, kw_only=True)
class Preset:
    """The conventions of one provider; the fields are those of `Upstream`.

    says_auth_time: whether it answers `max_age` with `auth_time` (OpenID Connect Core §2); where it does not, every trip asks
    for a new login there, and a relying party that needs `max_age` is refused rather than believed.
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

# login.gov (its source, as read in August 2026): `acr` carries only the IAL, so no level is ever read from it (trap 21); `aal` is
# a claim of its own that repeats the requested value. Its resolver never computes more than AAL2, and takes `aal/3` for "AAL2 and
# phishing-resistant"; so nothing here is worth 3. `…?hspd12=true` asks for a PIV or CAC card, which is phishing-resistant.
# Left out, so worth nothing: its default `urn:gov:gsa:ac:classes:sp:PasswordProtectedTransport:duo` (a remembered device may stand
# for the second factor), `ial/1` (nobody proofed), and every word for a proofed identity: which of them is IAL2 is not certain.
# It knows no client secret: PKCE alone here (`none`). It is not known to send `auth_time`; `prompt=login` needs its approval.
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

# Entra: its `acr` ("1", "0") is meaningless, and its `amr` says nothing that is exact enough: neither is read. What a tenant can
# vouch for are its authentication contexts, `c1` to `c99`, in the claim `acrs`, a list; what each stands for is set by the tenant's
# Conditional Access, so the table is empty and an operator fills it in (`--level c1=2`). The tenant has to switch on `acrs` and
# `auth_time` as optional claims of the ID token. Values of `amr` are not certain, so none is passed on.
ENTRA = Preset(scope="openid", aal_claim="acrs[]", ial_claim="acrs[]", algs=("RS256",))

# Another Ramet: its `acr` is computed from evidence as ours is.
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


def of(name: str) -> Preset:
    """A preset by its name; the generic one, which trusts no word, for any other."""
    return PRESETS.get(name, GENERIC)
