"""Scopes to claims; reserved claims are written here only, last (decision 6, C17, E22, A7)."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from django.conf import settings
from oidc_provider.lib.claims import StandardScopeClaims

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from idp.oidc.requests.ask import Ask
    from scim.models import Person

# Names that no attribute of a person may have: every name in IANA's registry of JWT claims that is not about a person.
RESERVED = frozenset(
    """
    iss sub aud exp nbf iat jti azp nonce auth_time at_hash c_hash s_hash acr amr sub_jwk cnf events toe txn rph sid vot
    vtm sub_id sip_from_tag sip_date sip_callid sip_cseq_num sip_via_branch orig dest mky attest origid act scope
    client_id may_act jcard at_use_nbr div opt sph ace_profile cnonce exi token_introspection cdniv cdnicrit cdniip
    cdniuc cdniets cdnistt cdnistd sig_val_claims authorization_details verified_claims rsn rcd rcdi crn msgi
    _claim_names _claim_sources rdap_allowed_purposes rdap_dnt_allowed geohash eat_nonce ueid sueids oemid hwmodel
    hwversion oemboot dbgstat location eat_profile submods uptime bootcount bootseed dloas swname swversion manifests
    measurements measres intuse vc vp htm htu ath atc ssn_hash psat urn:3gpp:aud query_params x5t#S256 jwks metadata
    constraints crit ref delegation logo_uri authority_hints trust_anchor trust_marks trust_mark trust_mark_issuers
    trust_mark_owners metadata_policy metadata_policy_crit source_endpoint claims nonce_supported status exp_status
    iat_status cti typ
    aal ial fal idp token_type active username grant_id subjects credential_origin credential_kind home_organization
    piv_federation credential_label
    """.split()  # noqa: SIM905 - a list to be read
)


class _OfPerson(StandardScopeClaims):  # type: ignore[misc]  # django-oidc-provider is untyped
    """The registry's map of scopes to claims, over a person's profile."""

    def __init__(self, known: Mapping[str, Any], scope: str) -> None:
        # Its base class calls a settings function for the values; here they are passed in.
        self.user = SimpleNamespace()
        self.userinfo = dict(known)
        self.scopes = scope.split()
        self.client = None

    def scope_email(self) -> dict[str, Any]:
        return {"email": self.userinfo.get("email"), "email_verified": self.userinfo.get("email_verified")}


def _phone(profile: Mapping[str, Any]) -> str | None:
    """The primary telephone number, or the first, from SCIM's RFC 3966 URI."""
    found = [
        one for one in profile.get("phoneNumbers") or [] if isinstance(one, dict) and isinstance(one.get("value"), str)
    ]
    first = next((one for one in found if one.get("primary")), found[0] if found else None)
    return str(first["value"]).removeprefix("tel:") if first else None


def _address(profile: Mapping[str, Any]) -> dict[str, Any]:
    """The primary postal address, or the first, in the names of OpenID Connect Core §5.1.1."""
    found = [one for one in profile.get("addresses") or [] if isinstance(one, dict)]
    first = next((one for one in found if one.get("primary")), found[0] if found else {})
    names = {"formatted": "formatted", "street_address": "streetAddress", "locality": "locality", "region": "region",
             "postal_code": "postalCode", "country": "country"}  # fmt: skip
    return {ours: first[theirs] for ours, theirs in names.items() if isinstance(first.get(theirs), str)}


def attributes(person: Person, scope: str) -> dict[str, Any]:
    """The claims about a person that a scope opens (FA-5: for userinfo, not for the ID token)."""
    return dict(_OfPerson(of_profile(person), scope).create_response_dic())


def by_name(person: Person, names: Iterable[str], *, allowed: str) -> dict[str, Any]:
    """The claims requested by name (Core §5.5), among those that this client's scopes could disclose."""
    wanted = set(names)
    return {name: value for name, value in attributes(person, allowed).items() if name in wanted} if wanted else {}


def scopes_disclosing(names: Iterable[str], *, allowed: str) -> list[str]:
    """The scopes, among those allowed to a client, that would disclose claims of these names, for consent."""
    wanted = set(names)
    empty = _OfPerson({}, allowed)
    known = {scope: getattr(empty, f"scope_{scope}", None) for scope in allowed.split()}
    return [scope for scope, method in known.items() if method is not None and wanted & method().keys()]


def disclosed(allowed: str) -> set[str]:
    """The names of the claims about a person that these scopes disclose."""
    empty = _OfPerson({}, allowed)
    methods = (getattr(empty, f"scope_{scope}", None) for scope in allowed.split())
    return {name for method in methods if method is not None for name in method()}


def scopes_for_consent(ask: Ask, *, allowed: str) -> str:
    """The requested scopes, and the scopes of claims requested by name, for consent."""
    by_names = scopes_disclosing(ask.claims.names, allowed=allowed) if ask.is_openid else []
    return " ".join(dict.fromkeys([*ask.scope.split(), *by_names]))


def of_profile(person: Person) -> dict[str, Any]:
    """A person's merged profile in the names of OpenID Connect Core §5.1."""
    profile = person.profile
    name = profile.get("name") or {}
    addresses = person.addresses()
    return {
        "name": profile.get("displayName")
        or name.get("formatted")
        or " ".join(part for part in (name.get("givenName"), name.get("familyName")) if part),
        "given_name": name.get("givenName"),
        "family_name": name.get("familyName"),
        "middle_name": name.get("middleName"),
        "nickname": profile.get("nickName"),
        "preferred_username": person.login_name,
        "locale": profile.get("locale"),
        "zoneinfo": profile.get("timezone"),
        "updated_at": int(person.updated_at.timestamp()),
        "profile": profile.get("profileUrl"),
        "picture": _first(profile, "photos").get("value"),
        "email": addresses[0] if addresses else None,
        "email_verified": False if addresses else None,  # a source's statement does not verify the address
        "phone_number": (number := _phone(profile)),
        "phone_number_verified": False if number else None,
        "address": _address(profile),
        **getattr(settings, "RAMET_MORE_CLAIMS", {}),  # of the conformance profile
    }


def _first(profile: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The primary value of a plural attribute, or its first."""
    values = [one for one in profile.get(name) or [] if isinstance(one, dict)]
    return next((one for one in values if one.get("primary") is True), values[0] if values else {})


def assemble(about: Mapping[str, Any], reserved: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes without reserved names, then the reserved claims."""
    kept = {name: value for name, value in about.items() if name not in RESERVED}
    return {**kept, **{name: value for name, value in reserved.items() if value not in (None, "")}}
