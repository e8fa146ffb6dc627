"""The rules of registration, applied to the whole resulting client (C31-C37, C46, C52, C69, P43, P45).

Pure except for the certificates in a key set: a `Registration` in, the first objection out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from datetime import timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from cryptography import x509

from derived.rules.assurance import AAL
from idp import uris
from idp.clients import jwk

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_MOST_TEXTS, _LONGEST_TEXT = 5, 200
SCOPES = ("openid", "profile", "email", "offline_access", "assurance")
MORE_SCOPES = ("phone", "address")  # only for clients that request them
SERVICE_SCOPES = ("introspect", "scim")  # of a client's own tokens, without a person
ID_TOKEN_ALGS = ("ES256", "RS256", "PS256", "EdDSA")
CLIENT_ALGS = jwk.ALGS
FAPI_ALGS = ("ES256", "EdDSA", "Ed25519", "PS256")  # FAPI 2.0 Security Profile §5.4.1
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"
CLIENT_CREDENTIALS = "client_credentials"
CODE_GRANTS = ("authorization_code", "refresh_token")
MORE_GRANTS = (CLIENT_CREDENTIALS, DEVICE_CODE)
SECRET_METHODS = ("client_secret_basic", "client_secret_post")
TLS_METHODS = ("tls_client_auth", "self_signed_tls_client_auth")
AUTH_METHODS = (*SECRET_METHODS, "private_key_jwt", *TLS_METHODS, "none")
TLS_NAMES = ("dn", "dns", "uri", "ip", "email")
APPLICATION_TYPES = ("web", "native", "browser")
SHOWN = ("client_uri", "policy_uri", "tos_uri", "logo_uri", "contacts")
_MOST_NAME = 80
_MOST_URIS = 50
_ACCESS_LIFE = (timedelta(seconds=30), timedelta(minutes=5))  # C38: at most Ramet's own limit
_REFRESH_LIFE = (timedelta(minutes=1), timedelta(days=30))
_EVERY_SCOPE = (*SCOPES, *MORE_SCOPES, *SERVICE_SCOPES)
_CLIENT_ID = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,255}")
_HOST = re.compile(r"[a-z0-9.-]{1,253}(:[1-9][0-9]{0,4})?")


class BadRegistration(ValueError):
    """The fault of a registration, in words for the operator. about: the field, by its name in RFC 7591."""

    def __init__(self, words: str, *, about: str = "") -> None:
        super().__init__(words)
        self.about = about


@dataclass(frozen=True, kw_only=True)
class Registration:
    """All settings of a client; the names are those of `ClientPolicy`, which documents them."""

    name: str
    redirect_uris: Sequence[str] = ()
    post_logout_uris: Sequence[str] = ()
    application_type: str = "web"
    public: bool = False
    auth_method: str = ""  # "" for none where it is public, else a secret
    auth_alg: str = ""
    jwks: Mapping[str, Any] | None = None
    jwks_uri: str = ""
    hosts: Sequence[str] = ()
    tls_subject: Mapping[str, str] = field(default_factory=dict)
    certificate_bound: bool = False
    device_assertion: bool = False
    dpop_required: bool = False
    dpop_nonce: bool | None = None
    par_required: bool = False
    request_alg: str = ""
    request_required: bool = False
    phishing_resistant: bool = False
    pkce_optional: bool = False
    nonce_optional: bool = False
    consent: bool = False
    scopes: Sequence[str] = SCOPES
    grants: Sequence[str] = ()
    resources: Sequence[str] = ()
    serves: Sequence[str] = ()
    access_token_format: str = "jwt"  # noqa: S105 - a format
    access_token_life: timedelta | None = None
    refresh_life: timedelta | None = None
    userinfo_alg: str = ""
    introspection_alg: str = ""
    claims_in_id_token: bool = False
    min_aal: int = 1
    most_idle: timedelta | None = None
    most_session: timedelta | None = None
    id_token_alg: str = "ES256"  # noqa: S105 - an algorithm
    subject_type: str = "public"
    sector_identifier_uri: str = ""
    backchannel_logout_uri: str = ""
    shown: Mapping[str, Any] = field(default_factory=dict)
    client_id: str = ""

    @property
    def method(self) -> str:
        """The authentication method."""
        return self.auth_method or ("none" if self.public else "client_secret_basic")

    @property
    def has_secret(self) -> bool:
        """True if it authenticates with a secret, stored as a hash."""
        return self.method in SECRET_METHODS

    @property
    def has_keys(self) -> bool:
        """True if it has keys, inline or by URL."""
        return self.jwks is not None or bool(self.jwks_uri)


def with_pinned_alg(wanted: Registration) -> Registration:
    """The same client, whose assertions have the algorithm that every key of its set names (Registration §2).

    Without such a name they may have any algorithm that a key of the client's can make.
    """
    if wanted.method != "private_key_jwt" or wanted.auth_alg or wanted.jwks is None:
        return wanted
    try:
        algs = {one.algs for one in jwk.registered_keys(wanted.jwks)}
    except jwk.BadKey:  # `require` says so
        return wanted
    only = algs.pop() if len(algs) == 1 else ()
    return replace(wanted, auth_alg=only[0]) if len(only) == 1 else wanted


def require(wanted: Registration) -> None:
    """See that a client may be as it is wanted.

    Raises: BadRegistration with the first objection.
    """
    for found in _objections(wanted):
        raise found


def _objections(wanted: Registration) -> Iterator[BadRegistration]:
    yield from _identity_faults(wanted)
    yield from _uri_faults(wanted)
    yield from _authentication_faults(wanted)
    yield from _key_faults(wanted)
    yield from _requirement_faults(wanted)
    yield from _token_faults(wanted)


def _fault(words: str, about: str = "") -> BadRegistration:
    return BadRegistration(words, about=about)


def _identity_faults(wanted: Registration) -> Iterator[BadRegistration]:
    if not wanted.name.strip() or len(wanted.name) > _MOST_NAME or not wanted.name.isprintable():
        yield _fault("name: 1 to 80 printable characters", "client_name")
    if wanted.application_type not in APPLICATION_TYPES:
        yield _fault(f"application type: one of {', '.join(APPLICATION_TYPES)}", "application_type")
    if wanted.client_id and not _CLIENT_ID.fullmatch(wanted.client_id):
        yield _fault("client_id: 1 to 255 printable ASCII characters without spaces and quotes", "client_id")
    if unknown := [name for name in wanted.shown if name not in SHOWN]:
        yield _fault(f"unknown: {unknown[0]}", unknown[0])
    for name, value in wanted.shown.items():
        if name == "contacts":
            if (
                not isinstance(value, (list, tuple))
                or len(value) > _MOST_TEXTS
                or not all(_is_text(one) for one in value)
            ):
                yield _fault("contacts: at most five texts of 200 characters", name)
        elif why := uris.objection(str(value), application_type="web"):
            yield _fault(f"{name} is refused: {why}", name)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _LONGEST_TEXT and value.isprintable()


def _is_name(kind: str, value: object) -> bool:
    """True if a name can be in a certificate (RFC 8705 §2.1.2)."""
    if kind not in TLS_NAMES or not _is_text(value):
        return False
    try:
        if kind == "dn":
            return bool(x509.Name.from_rfc4514_string(str(value)).rdns)
        if kind == "ip":
            ip_address(str(value))
    except ValueError:
        return False
    return True


def _uri_faults(wanted: Registration) -> Iterator[BadRegistration]:  # noqa: C901 - a list of rules
    listed = [*wanted.redirect_uris, *wanted.post_logout_uris]
    if len(listed) > _MOST_URIS:
        yield _fault(f"at most {_MOST_URIS} redirect URIs", "redirect_uris")
    for uri in wanted.redirect_uris:
        if why := uris.objection(uri, application_type=wanted.application_type):
            yield _fault(f"redirect URI {uri!r} is refused: {why}", "redirect_uris")
    for uri in wanted.post_logout_uris:
        if why := uris.objection(uri, application_type=wanted.application_type):
            yield _fault(f"post-logout redirect URI {uri!r} is refused: {why}", "post_logout_redirect_uris")
    called = {"backchannel_logout_uri": wanted.backchannel_logout_uri, "jwks_uri": wanted.jwks_uri}
    for about, uri in {**called, "sector_identifier_uri": wanted.sector_identifier_uri}.items():
        if uri and (why := uris.objection(uri, application_type="web")):
            yield _fault(
                (
                    f"{about.replace('_', ' ').replace('backchannel', 'back-channel').replace('uri', 'URI')} "
                    f"is refused: {why}"
                ),
                about,
            )
    if not wanted.redirect_uris and not wanted.device_assertion and not wanted.grants:
        yield _fault(
            "give at least one --redirect-uri (or --device for an app that only uses device assertions, "
            "or --grant for one that needs no browser)",
            "redirect_uris",
        )
    if any(not _HOST.fullmatch(one) for one in wanted.hosts):
        yield _fault("hosts: host or host:port, in lower case", "hosts")
    if wanted.subject_type not in {"public", "pairwise"}:
        yield _fault("subject_type is public or pairwise", "subject_type")
    sectors = {urlsplit(one).hostname for one in wanted.redirect_uris}
    if wanted.subject_type == "pairwise" and len(sectors) > 1 and not wanted.sector_identifier_uri:
        yield _fault(
            "pairwise subjects belong to one host: with redirect URIs on several, give a "
            "sector_identifier_uri that lists them "
            "(OpenID Connect Core §8.1)",
            "sector_identifier_uri",
        )


def _authentication_faults(wanted: Registration) -> Iterator[BadRegistration]:  # noqa: C901 - a list of rules
    method = wanted.method
    if method not in AUTH_METHODS:
        yield _fault(f"authentication method: one of {', '.join(AUTH_METHODS)}", "token_endpoint_auth_method")
    if wanted.public != (method == "none"):
        yield _fault(
            "a public client has no way to authenticate, and a confidential one has one", "token_endpoint_auth_method"
        )
    if wanted.application_type != "web" and not wanted.public:
        yield _fault(
            "a native or browser app cannot keep a secret or a key of all its users: it is public",
            "token_endpoint_auth_method",
        )
    if method == "private_key_jwt":
        if wanted.auth_alg and wanted.auth_alg not in CLIENT_ALGS:
            yield _fault(
                f"private_key_jwt: pin one algorithm of {', '.join(CLIENT_ALGS)}, or leave it out",
                "token_endpoint_auth_signing_alg",
            )
    elif wanted.auth_alg:
        yield _fault("an algorithm for assertions belongs to private_key_jwt", "token_endpoint_auth_signing_alg")
    if method == "tls_client_auth":
        if len(wanted.tls_subject) != 1 or not all(_is_name(kind, one) for kind, one in wanted.tls_subject.items()):
            yield _fault(
                f"tls_client_auth: say one name of its certificate, one of {', '.join(TLS_NAMES)}",
                "tls_client_auth_subject_dn",
            )
    elif wanted.tls_subject:
        yield _fault("a certificate's name belongs to tls_client_auth", "tls_client_auth_subject_dn")
    if wanted.min_aal == AAL.AAL3 and wanted.has_secret:
        yield _fault(
            "a client that lets nobody in below AAL3 proves itself with a key, not with a secret: use private_key_jwt, "
            "tls_client_auth or self_signed_tls_client_auth (C36)",
            "token_endpoint_auth_method",
        )


def _key_faults(wanted: Registration) -> Iterator[BadRegistration]:
    if wanted.jwks is not None and wanted.jwks_uri:
        yield _fault("give jwks or jwks_uri, not both (RFC 7591 §2)", "jwks")
    if wanted.jwks is not None:
        try:
            known = jwk.registered_keys(wanted.jwks)
        except jwk.BadKey as bad:
            yield _fault(f"jwks is refused: {bad}", "jwks")
            return
        for alg in {wanted.auth_alg, wanted.request_alg} - {""}:
            if not any(alg in one.algs for one in known):
                yield _fault(f"no key of the jwks can make {alg} signatures", "jwks")
    if not wanted.has_keys:
        if wanted.method in {"private_key_jwt", "self_signed_tls_client_auth"}:
            yield _fault(f"{wanted.method}: give the public keys, by jwks or jwks_uri", "jwks")
        if wanted.request_alg:
            yield _fault("signed requests: give the public keys, by jwks or jwks_uri", "jwks")


def _requirement_faults(wanted: Registration) -> Iterator[BadRegistration]:
    if wanted.min_aal not in {1, 2, 3}:
        yield _fault("min_aal is 1, 2 or 3", "min_aal")
    if wanted.request_alg and wanted.request_alg not in CLIENT_ALGS:
        yield _fault(f"request objects: pin one algorithm of {', '.join(CLIENT_ALGS)}", "request_object_signing_alg")
    if wanted.request_required and not wanted.request_alg:
        yield _fault("signed requests are required: pin their algorithm", "request_object_signing_alg")
    if wanted.certificate_bound and wanted.public:
        yield _fault(
            "a public client has no certificate to bind its tokens to", "tls_client_certificate_bound_access_tokens"
        )
    if wanted.certificate_bound and wanted.dpop_required:
        yield _fault("tokens are bound to a certificate or to a DPoP key, not to both", "dpop_bound_access_tokens")
    for is_on, what in ((wanted.pkce_optional, "PKCE"), (wanted.nonce_optional, "the nonce")):
        if is_on and wanted.public:
            yield _fault(f"a public client is never excused from {what}: nothing else protects its codes", "")
    if wanted.pkce_optional and wanted.nonce_optional and wanted.min_aal == AAL.AAL3:
        yield _fault(
            "a client that lets nobody in below AAL3 is excused from PKCE or from the nonce, not from both", ""
        )


def _token_faults(wanted: Registration) -> Iterator[BadRegistration]:  # noqa: C901, PLR0912 - a list of rules
    if wanted.id_token_alg not in ID_TOKEN_ALGS:
        yield _fault(f"ID token algorithm: one of {', '.join(ID_TOKEN_ALGS)}", "id_token_signed_response_alg")
    for name, alg in (("userinfo", wanted.userinfo_alg), ("introspection", wanted.introspection_alg)):
        if alg and alg not in ID_TOKEN_ALGS:
            yield _fault(
                f"{name} algorithm: one of {', '.join(ID_TOKEN_ALGS)}, or none for plain JSON",
                f"{name}_signed_response_alg",
            )
    if unknown := [scope for scope in wanted.scopes if scope not in _EVERY_SCOPE]:
        yield _fault(f"unknown scope {unknown[0]!r}: choose from {', '.join(_EVERY_SCOPE)}", "scope")
    if unknown := [one for one in wanted.grants if one not in MORE_GRANTS]:
        yield _fault(
            f"unknown grant {unknown[0]!r}: beyond code and refresh there are {', '.join(MORE_GRANTS)}", "grant_types"
        )
    if CLIENT_CREDENTIALS in wanted.grants and wanted.public:
        yield _fault("client_credentials needs a client that proves itself: a public one does not (E9)", "grant_types")
    if set(wanted.scopes) & set(SERVICE_SCOPES) and CLIENT_CREDENTIALS not in wanted.grants:
        yield _fault(
            f"the scope {' '.join(SERVICE_SCOPES)} is of a client's own tokens: it needs the grant client_credentials",
            "scope",
        )
    if wanted.serves and wanted.public:
        yield _fault("a resource server asks about tokens, so it proves itself: it is not public", "")
    for one in (*wanted.resources, *wanted.serves):
        if not uris.is_plain(one) or not urlsplit(one).scheme or urlsplit(one).fragment:
            yield _fault(f"resource {one!r} is not an absolute URI without a fragment (RFC 8707 §2)", "resources")
    if wanted.access_token_format not in {"jwt", "opaque"}:
        yield _fault("access tokens are jwt or opaque", "access_token_format")
    for name, life, (least, most) in (
        ("access token", wanted.access_token_life, _ACCESS_LIFE),
        ("refresh", wanted.refresh_life, _REFRESH_LIFE),
    ):
        if life is not None and not least <= life <= most:
            yield _fault(f"{name} life: from {least} to {most}", "")
