"""Prepared SQL of token operations: a code, refresh token or access token with everything it depends on, in one join.

Compiled once from the ORM (`derived.ledger.prepared_sql`); tests count the statements of an operation, and read their
plans. Every fact of a decision is joined, never cached: account, epoch, credentials, ancestors, sessions, keys (TK-1).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from django.db.models import Exists, Model, OuterRef

from derived.errors import Reason
from derived.keyring import is_published
from derived.ledger.locking import OwnedRow
from derived.ledger.prepared_sql import BoundValue, PreparedSelect, columns, field_of, options, table_of
from derived.models import Credential, SigningKey
from idp.models import AuthorizationRequest, ClientPolicy, Code, Grant, OpaqueToken, RefreshToken
from scim.models import AccessRule, Person

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.db.models import QuerySet

M = TypeVar("M", bound=Model)

_ACCOUNT = ("status", "epoch", "ial", "audit_head", "audit_seq")
_CREDENTIAL = ("account", "epoch", "kind", "label", "state", "root", "parent", "aal", "expires_at", "jkt")
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
    return [prefix + field.name for field in options(model).concrete_fields]


def _credential(at: str, *, ancestors: bool = True) -> list[str]:
    above = [*columns(f"{at}__root", *_ANCESTOR), *columns(f"{at}__parent", *_ANCESTOR)] if ancestors else []
    return [*columns(at, *_CREDENTIAL), *above]


def _event(at: str, *, ancestors: bool = True) -> list[str]:
    """The columns of a login and its credentials."""
    return [
        *columns(at, *_EVENT),
        *_credential(f"{at}__credential", ancestors=ancestors),
        *_credential(f"{at}__beside", ancestors=False),
    ]


def _session(at: str) -> list[str]:
    """The columns of a session and its login."""
    return [*columns(at, *_SESSION), *_event(f"{at}__event", ancestors=False)]


def _grant(at: str = "") -> list[str]:
    """The columns of a grant and everything that must be live for it."""
    return [
        *_all(Grant, at),
        *_credential(f"{at}family"),
        *columns(f"{at}family__account", *_ACCOUNT),
        *_event(f"{at}event"),
        *_session(f"{at}session"),
    ]


def _joins(names: list[str]) -> list[str]:
    """The relations of these columns."""
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


@dataclass(frozen=True)
class RowWithRules(Generic[M]):
    """A row, and whether access rules exist for its client, as read in the same statement (EN-1)."""

    row: M
    has_rules: bool


class SelectWithRules(Generic[M]):
    """A prepared SELECT of a row with these columns, and of whether access rules exist for its client.

    rows: composes the queryset. client: the path to the registry's client.
    """

    def __init__(self, rows: Callable[[], QuerySet[M]], names: list[str], *, client: str) -> None:
        self._rows, self._names, self._client = rows, names, client
        self._select = PreparedSelect(self._composed)

    def _composed(self) -> QuerySet[M]:
        rules = AccessRule.objects.filter(client_key=OuterRef(self._client + "__client_id"), ended_at__isnull=True)
        rows: QuerySet[Any] = self._rows().select_related(*_joins(self._names)).only(*self._names)
        composed: QuerySet[M] = rows.annotate(has_rules=Exists(rules))
        return composed

    def first(self, **given: object) -> RowWithRules[M] | None:
        """The row, or None."""
        row = self._select.first(**given)
        return None if row is None else RowWithRules(row, has_rules=bool(row.__dict__["has_rules"]))


OWNER_OF_CODE = OwnedRow(
    f"SELECT account_id FROM {table_of(Code)} WHERE code_hash = %s",  # noqa: S608 - a name of the model
    Reason.BAD_CODE,
)
OWNER_OF_REFRESH_TOKEN = OwnedRow(
    f"SELECT family.account_id FROM {table_of(RefreshToken)} token"  # noqa: S608 - names of the models
    f" JOIN {table_of(Credential)} family ON family.id = token.grant_id WHERE token.token_hash = %s",
    Reason.BAD_CODE,
)


def _by_code() -> QuerySet[Code]:
    return Code.objects.filter(code_hash=BoundValue("code_hash", field_of(Code)))


def _by_refresh_token() -> QuerySet[RefreshToken]:
    return RefreshToken.objects.filter(token_hash=BoundValue("token_hash", field_of(RefreshToken)))


def _by_hash() -> QuerySet[OpaqueToken]:
    return OpaqueToken.objects.filter(token_hash=BoundValue("token_hash", field_of(OpaqueToken)))


def _by_token() -> QuerySet[Grant]:
    """The grant of an access token, if tokens of its signing key are still accepted."""
    return Grant.objects.filter(
        is_published(BoundValue("kid", field_of(SigningKey))), family_id=BoundValue("family_id", field_of(Credential))
    )


CODE = SelectWithRules(_by_code, _code(), client="request__client")
REFRESH_TOKEN = SelectWithRules(
    _by_refresh_token, [*_all(RefreshToken), *_owned_grant("grant__")], client="grant__client"
)
GRANT = SelectWithRules(_by_token, _owned_grant(), client="client")
GRANT_AND_PERSON = SelectWithRules(
    _by_token, _owned_grant("", *_all(Person, "family__account__person__")), client="client"
)
OPAQUE_TOKEN = SelectWithRules(_by_hash, [*_all(OpaqueToken), *_owned_grant("grant__")], client="grant__client")
OPAQUE_TOKEN_AND_PERSON = SelectWithRules(
    _by_hash,
    [*_all(OpaqueToken), *_owned_grant("grant__", *_all(Person, "grant__family__account__person__"))],
    client="grant__client",
)
