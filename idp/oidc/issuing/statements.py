"""The statements that every token costs: what a code, a refresh token or an access token hangs on, each in one join.

The ORM writes them once (`derived.ledger.prepared_sql`); a test counts how many an operation runs, and another reads their plans. What
is decided on is joined, never remembered: account, epoch, credentials, ancestors, sessions, keys (TK-1).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from django.db.models import Exists, Model, OuterRef

from derived.errors import Reason
from derived.keyring import is_published
from derived.ledger.locking import OwnedRow
from derived.ledger.prepared_sql import BoundValue, PreparedSelect, columns
from derived.models import Credential, SigningKey
from idp.models import AuthorizationRequest, ClientPolicy, Code, Grant, OpaqueToken, RefreshToken
from scim.models import AccessRule, Person

if TYPE_CHECKING:
    from django.db.models import Field, QuerySet

M = TypeVar("M", bound=Model)

_ACCOUNT = ("status", "epoch", "ial", "audit_head", "audit_seq")
_CREDENTIAL = ("account", "epoch", "kind", "label", "state", "root", "parent", "aal", "expires_at")
_ANCESTOR = ("kind", "aal")
_EVENT = (
    "credential",
    "beside",
    "factors",
    "amr",
    "aal",
    "root",
    "phishing_resistant",
    "hardware",
    "upstream",
    "fal",
    "at",
)
_SESSION = ("sid", "account", "epoch", "event", "expires_at", "ended_at")


def _all(model: type[Model], prefix: str = "") -> list[str]:
    return [prefix + field.name for field in model._meta.concrete_fields]  # noqa: SLF001


def _credential(at: str, *, ancestors: bool = True) -> list[str]:
    above = [*columns(f"{at}__root", *_ANCESTOR), *columns(f"{at}__parent", *_ANCESTOR)] if ancestors else []
    return [*columns(at, *_CREDENTIAL), *above]


def _event(at: str, *, ancestors: bool = True) -> list[str]:
    """A login, and what it was made with."""
    return [
        *columns(at, *_EVENT),
        *_credential(f"{at}__credential", ancestors=ancestors),
        *_credential(f"{at}__beside", ancestors=False),
    ]


def _session(at: str) -> list[str]:
    """A session, and what it stands on."""
    return [*columns(at, *_SESSION), *_event(f"{at}__event", ancestors=False)]


def _grant(at: str = "") -> list[str]:
    """What a family may do, and all that has to be live for it."""
    return [
        *_all(Grant, at),
        *_credential(f"{at}family"),
        *columns(f"{at}family__account", *_ACCOUNT),
        *_event(f"{at}event"),
        *_session(f"{at}session"),
    ]


def _joins(names: list[str]) -> list[str]:
    """The relations that these columns stand behind."""
    return sorted({name.rpartition("__")[0] for name in names} - {""})


def _code() -> list[str]:
    return [
        *_all(Code),
        *_all(AuthorizationRequest, "request__"),
        *columns("account", *_ACCOUNT),
        *_event("event"),
        *_session("session"),
    ]


def _owned_grant(at: str = "", *more: str) -> list[str]:
    """A grant with the client that it belongs to."""
    client = [
        *columns(f"{at}client", "client_id", "name", "require_consent"),
        *_all(ClientPolicy, f"{at}client__policy__"),
    ]
    return [*_grant(at), *client, *more]


def _read(rows: QuerySet[M], names: list[str], *, client: str) -> QuerySet[M]:
    """The rows with these columns, and with `has_rules`: whether rules say who may enter this client (EN-1)."""
    rules = AccessRule.objects.filter(client_key=OuterRef(client + "__client_id"), ended_at__isnull=True)
    annotated: QuerySet[M] = rows.select_related(*_joins(names)).only(*names).annotate(has_rules=Exists(rules))  # type: ignore[assignment]
    return annotated


OWNER_OF_CODE = OwnedRow("SELECT account_id FROM idp_code WHERE code_hash = %s", Reason.BAD_CODE)
OWNER_OF_REFRESH_TOKEN = OwnedRow(
    "SELECT family.account_id FROM idp_refreshtoken token JOIN derived_credential family ON family.id = token.grant_id"
    " WHERE token.token_hash = %s",
    Reason.BAD_CODE,
)

CODE = PreparedSelect(
    lambda: _read(Code.objects.filter(code_hash=BoundValue("code_hash", _key(Code))), _code(), client="request__client")
)
REFRESH_TOKEN = PreparedSelect(
    lambda: _read(
        RefreshToken.objects.filter(token_hash=BoundValue("token_hash", _key(RefreshToken))),
        [*_all(RefreshToken), *_owned_grant("grant__")],
        client="grant__client",
    )
)
GRANT = PreparedSelect(lambda: _read(_by_token(), _owned_grant(), client="client"))
GRANT_AND_PERSON = PreparedSelect(
    lambda: _read(_by_token(), _owned_grant("", *_all(Person, "family__account__person__")), client="client")
)
OPAQUE_TOKEN = PreparedSelect(
    lambda: _read(_by_hash(), [*_all(OpaqueToken), *_owned_grant("grant__")], client="grant__client")
)
OPAQUE_TOKEN_AND_PERSON = PreparedSelect(
    lambda: _read(
        _by_hash(),
        [*_all(OpaqueToken), *_owned_grant("grant__", *_all(Person, "grant__family__account__person__"))],
        client="grant__client",
    )
)


def _by_hash() -> QuerySet[OpaqueToken]:
    return OpaqueToken.objects.filter(token_hash=BoundValue("token_hash", _key(OpaqueToken)))


def _by_token() -> QuerySet[Grant]:
    """The grant that an access token names, if the key that signed the token may still be believed."""
    return Grant.objects.filter(
        is_published(BoundValue("kid", _key(SigningKey))), family_id=BoundValue("family_id", _key(Credential))
    )


def _key(model: type[Model]) -> Field[Any, Any]:
    return model._meta.pk  # noqa: SLF001
