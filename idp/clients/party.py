"""A client: the row of django-oidc-provider's `Client` and Ramet's policy, in Authlib's form."""

from __future__ import annotations

import hashlib
import hmac
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from authlib.oauth2.rfc6749 import ClientMixin
from django.db.models import OuterRef
from oidc_provider.models import Client

from derived.keyring import in_use
from derived.ledger.prepared_sql import BoundValue, PreparedSelect, columns, field_of, options
from derived.rules.assurance import AAL
from idp import uris
from idp.clients.terms import CLIENT_ALGS, CODE_GRANTS, DEVICE_GRANT, FAPI_ALGS, SECRET_METHODS
from idp.config import config, is_loopback
from idp.models import ClientPolicy
from idp.secrets import hash_secret

if TYPE_CHECKING:
    from derived.models import Account
    from derived.rules.assurance import Authentication
    from idp.models import RegisteredUri


class RelyingParty(ClientMixin):  # type: ignore[misc]  # Authlib is untyped
    """A client: the registry's row and its policy."""

    has_rules = True  # access rules; False if a statement of this request has found none

    def __init__(self, policy: ClientPolicy) -> None:
        self.policy = policy
        self.client: Client = policy.client

    @property
    def client_id(self) -> str:
        """RFC 6749 §2.2."""
        return str(self.client.client_id)

    @property
    def name(self) -> str:
        """The display name."""
        return str(self.client.name or self.client_id)

    @property
    def is_public(self) -> bool:
        """True for a client without credentials (RFC 6749 §2.1)."""
        return self.policy.auth_method == "none"

    @property
    def is_fapi(self) -> bool:
        """True for a client of the FAPI 2.0 Security Profile (§5.3.2, §5.3.3).

        It authenticates with a key or a certificate, pushes its requests, and its tokens are sender-constrained.
        """
        policy = self.policy
        has_key = not self.is_public and policy.auth_method not in SECRET_METHODS
        return has_key and policy.par_required and (policy.dpop_required or policy.certificate_bound)

    @property
    def assertion_algs(self) -> tuple[str, ...]:
        """The algorithms of its client assertions: the registered one, or any."""
        if self.policy.auth_alg:
            return (self.policy.auth_alg,)
        return FAPI_ALGS if self.is_fapi else CLIENT_ALGS

    @property
    def min_aal(self) -> AAL:
        """The least level of a login for this client."""
        return AAL(self.policy.min_aal)

    @property
    def needs_pkce(self) -> bool:
        """True unless this is a confidential client that is excused from PKCE (C33)."""
        return self.is_public or not self.policy.pkce_optional

    @property
    def needs_nonce(self) -> bool:
        """True unless this is a confidential client that is excused from the nonce (FA-1)."""
        return self.is_public or not self.policy.nonce_optional

    @property
    def must_push(self) -> bool:
        """True if requests must be pushed: as registered, and for a confidential client of AAL3 (C35)."""
        return self.policy.par_required or (not self.is_public and self.min_aal == AAL.AAL3)

    def admits(self, login: Authentication) -> bool:
        """True if a login meets this client's requirements (C16)."""
        return login.aal >= self.min_aal and (login.phishing_resistant or not self.policy.phishing_resistant)

    def redirect_uris(self) -> list[str]:
        """The registered redirect URIs, in the order of registration: the first is the sector of pairwise subjects."""
        return [row.uri for row in self._uris if row.use == "redirect"]

    def post_logout_uris(self) -> list[str]:
        """The registered post-logout redirect URIs."""
        return [row.uri for row in self._uris if row.use == "post_logout"]

    @cached_property
    def _uris(self) -> list[RegisteredUri]:
        """The registered URIs, read on first use, because most requests need none."""
        return sorted(self.policy.uris.all(), key=lambda row: row.id)

    def kid(self, alg: str) -> str:
        """The key in use for tokens of this algorithm, as it was read with this client; "" where it was not."""
        return (
            self.policy.__dict__.get("kid_of_id_tokens" if alg == self.policy.id_token_alg else f"kid_of_{alg}") or ""
        )

    def sector(self) -> str:
        """The host that pairwise subjects are made for (Core §8.1), or ""."""
        first = self.policy.sector_identifier_uri or next(iter(self.redirect_uris()), "")
        return urlsplit(first).hostname or ""

    # Methods that Authlib's ClientMixin requires.

    def get_client_id(self) -> str:
        """The client_id."""
        return self.client_id

    def get_default_redirect_uri(self) -> None:
        """There is none: every request names its redirect_uri (A3)."""

    def get_allowed_scope(self, scope: str | None) -> str:
        """The requested scope, cut to this client's scopes (C52)."""
        allowed = self.policy.scopes.split()
        return " ".join(dict.fromkeys(one for one in (scope or "").split() if one in allowed))

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        """True for a registered redirect URI, compared whole (C31)."""
        kind = self.policy.application_type
        return any(uris.is_same(redirect_uri, known, application_type=kind) for known in self.redirect_uris())

    def check_client_secret(self, client_secret: str) -> bool:
        """Compare by hash, in constant time (C71)."""
        return bool(self.policy.secret_hash) and hmac.compare_digest(
            hash_secret(client_secret, kind="client-secret"), self.policy.secret_hash
        )

    def check_endpoint_auth_method(self, method: str, _endpoint: str) -> bool:
        """Its one way to authenticate; basic and post carry the same secret."""
        if self.policy.auth_method in SECRET_METHODS:
            return method in SECRET_METHODS
        return method == self.policy.auth_method

    def check_response_type(self, response_type: str) -> bool:
        """Code, and nothing else (C32)."""
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        """Code and refresh for all, every other for those registered for it."""
        if grant_type == DEVICE_GRANT:
            return self.policy.device_assertion
        return grant_type in CODE_GRANTS or grant_type in self.policy.grants


_CLIENT = PreparedSelect(
    lambda: (
        ClientPolicy.objects.filter(
            client__client_id=BoundValue("client_id", field_of(Client, "client_id")),
            disabled_at__isnull=True,
        )
        .select_related("client")
        .annotate(kid_of_ES256=in_use("ES256"), kid_of_id_tokens=in_use(OuterRef("id_token_alg")))
        .only(
            *columns("client", "client_id", "name", "require_consent"),
            *(field.name for field in options(ClientPolicy).concrete_fields),
        )
    )
)


def find(client_id: str) -> RelyingParty | None:
    """The client of that id, if it is there and not disabled."""
    if not client_id or not client_id.isprintable():  # a NUL is an error in PostgreSQL, and never part of a client_id
        return None
    policy = _CLIENT.first(client_id=client_id)
    return RelyingParty(policy) if policy else None


def find_in_any_state(client_id: str) -> RelyingParty | None:
    """The client of that id, disabled or not, for its management only."""
    policy = (
        ClientPolicy.objects.filter(client__client_id=client_id)
        .select_related("client")
        .prefetch_related("uris")
        .first()
    )
    return RelyingParty(policy) if policy else None


def party_of(client: Client) -> RelyingParty | None:
    """The relying party of a registry row, unless it is disabled; a row joined with its policy is not read again."""
    joined = "policy" in client._state.fields_cache  # noqa: SLF001
    policy = client.policy if joined else ClientPolicy.objects.filter(client=client).first()
    if policy is None or policy.disabled_at is not None:
        return None
    policy.client = client
    return RelyingParty(policy)


def find_by_number(number: int) -> RelyingParty | None:
    """The client of that row number, as pages name it, if it is there and not disabled."""
    policy = ClientPolicy.objects.filter(pk=number, disabled_at__isnull=True).select_related("client").first()
    return RelyingParty(policy) if policy else None


def parties_for_devices() -> list[RelyingParty]:
    """The clients that a device may be allowed to serve without a browser (ruling 2)."""
    rows = ClientPolicy.objects.filter(device_assertion=True, disabled_at__isnull=True).select_related("client")
    return [RelyingParty(row) for row in rows.prefetch_related("uris").order_by("client__name")]


def registered_origins() -> set[str]:
    """Every origin that a registered browser app may call from."""
    found: set[str] = set()
    for listed in (
        ClientPolicy.objects.filter(disabled_at__isnull=True).exclude(origins=[]).values_list("origins", flat=True)
    ):
        found.update(listed)
    return found


def subject_of(party: RelyingParty, account: Account) -> str:
    """The `sub` that a relying party knows an account by: opaque, stable, never reused (FA-4, C53, ruling 21)."""
    if party.policy.subject_type == "public":
        return str(account.id)
    sector = party.sector()
    if not sector or is_loopback(sector):  # every native app has that address, and they are no one sector
        sector = party.client_id
    parts = [sector.encode(), str(account.id).encode()]
    message = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    key = hmac.digest(config().kek_bytes, b"ramet/pairwise", hashlib.sha256)
    return hmac.new(key, message, hashlib.sha256).hexdigest()
