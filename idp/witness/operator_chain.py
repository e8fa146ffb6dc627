"""The operator's chain: every change of a source, a client, a role, a key or a policy file is one of its Events.

The chain belongs to an account that is nobody's: its id is the nil UUID, and it is terminated from the start. Changes
are found by comparison, so nothing that changes these rows has to remember the chain, and a change by SQL is an Event
too. The comparison runs after each command that configures, as `operator`, and in the worker, as `worker`.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import TYPE_CHECKING, Final
from uuid import UUID

from oidc_provider.models import Client

from derived.ledger import audit
from derived.ledger.chain_key import chain_key
from derived.ledger.locking import under_lock
from derived.ledger.prepared_sql import options
from derived.ledger.replay import RESTORED
from derived.models import Account, AccountStatus, Authority, Event, SigningKey
from idp.config import config
from idp.models import ClientPolicy, RegisteredUri, TrustAgreement, Upstream
from idp.policies.issuance import DIGITS
from scim.models import (
    AccessRule,
    MatchRule,
    Receiver,
    ReceiverCredential,
    Role,
    Source,
    SourceCredential,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from django.db.models import Model

OPERATOR: Final = UUID(int=0)
_KIND = "operator.changed"
_AGREED: Final = "operator.agreed"
ACCEPTED: Final = RESTORED
_MOST = 200  # names in one Event
_WATCHED: Final[tuple[type[Model], ...]] = (
    Source, SourceCredential, MatchRule, AccessRule, Role, Receiver, ReceiverCredential,
    Client, ClientPolicy, RegisteredUri, TrustAgreement, Upstream, SigningKey, Authority,
)  # fmt: skip
_BY_USE: Final = frozenset({
    "last_seen_at", "last_said", "last_used_at", "last_polled_at", "last_error", "floor", "to_read", "metadata",
    "metadata_at", "jwks_at", "crl_number", "wrapped", "epoch",
})  # fmt: skip  # columns that change by use, or with the key-encryption key
TEXT: Final = "text:"
_KEPT: Final = ("*.toml", "attestation/*.toml")
_POLICIES: Final = ("*.toml", "attestation/*.toml", "pki/*.toml")


def record_changes(*, now: datetime, actor: str) -> int:
    """Append what has changed since the last time; return the number of changed names.

    Raises: Unavailable(KEY_UNAVAILABLE, DATABASE_BUSY).
    """
    if not _changes() and not _new_texts():
        return 0
    begin(now=now)

    def work(account: Account) -> int:
        changed, texts = sorted(_changes().items()), _new_texts()  # again under the lock: another may have been first
        for start in range(0, len(changed) or len(texts), _MOST):
            body: dict[str, object] = {"changed": dict(changed[start : start + _MOST])}
            if texts:
                body["texts"] = {name: digest for name, (digest, _) in texts.items()}
            kept, texts = {TEXT + digest: text for digest, text in texts.values()}, {}
            audit.record(account, _KIND, now=now, actor=actor, body=body, personal=kept)
        return len(changed)

    return under_lock(OPERATOR, work)


def record_two(command: str, first: str, second: str, *, now: datetime) -> None:
    """Append who asked for a command, and who agreed, before it runs.

    Raises: Unavailable(KEY_UNAVAILABLE, DATABASE_BUSY).
    """
    begin(now=now)
    body = {"command": command, "first": first}
    under_lock(OPERATOR, lambda account: audit.record(account, _AGREED, now=now, actor=second, body=body))


def begin(*, now: datetime) -> None:
    """Create the account of the chain, unless it is there."""
    Account.objects.get_or_create(id=OPERATOR, defaults={"status": AccountStatus.TERMINATED, "created_at": now})


def was_accepted(generation: int) -> bool:
    """True if the chain holds the Event, made with its key, by which an operator accepted a generation.

    Raises: Unavailable(KEY_UNAVAILABLE).
    """
    events = Event.objects.filter(account_id=OPERATOR, kind=ACCEPTED, body__generation=generation)
    return any(audit.is_genuine(event) for event in events)


def _changes() -> dict[str, str]:
    """Names whose digest is not the recorded one; "" for a name that is gone."""
    recorded: dict[str, str] = {}
    events = Account(id=OPERATOR).events.filter(kind=_KIND).order_by("seq")
    for body in events.values_list("body", flat=True).iterator():
        recorded.update(body["changed"])
    present = dict(_present())
    gone = {name: "" for name, digest in recorded.items() if digest and name not in present}
    return {name: digest for name, digest in present.items() if recorded.get(name) != digest} | gone


def _present() -> Iterator[tuple[str, str]]:
    """Names of rows and files, each with a keyed digest of its content."""
    key = chain_key()
    for model in _WATCHED:
        columns = [field.attname for field in options(model).concrete_fields if field.attname not in _BY_USE]
        for values in model.objects.values("pk", *columns).iterator():  # type: ignore[attr-defined]
            yield f"{options(model).label_lower}:{values['pk']}", _digest(key, values)
    for pattern in _POLICIES:
        for file in sorted(config().var.glob(pattern)):
            yield f"file:{file.relative_to(config().var)}", _digest(key, file.read_text(encoding="utf-8"))


def _new_texts() -> dict[str, tuple[str, str]]:
    """The texts of `_texts` that no Event has yet."""
    recorded: dict[str, str] = {}
    events = Account(id=OPERATOR).events.filter(kind=_KIND, body__has_key="texts").order_by("seq")
    for body in events.values_list("body", flat=True).iterator():
        recorded.update(body["texts"])
    return {name: found for name, found in _texts().items() if recorded.get(name) != found[0]}


def _texts() -> dict[str, tuple[str, str]]:
    """The files whose text is kept beside the Event, so that both texts of a change can be shown (EV-10).

    By name: the SHA-256 of the text, which the record of an issuance names, and the text.
    """
    found = {}
    for pattern in _KEPT:
        for file in sorted(config().var.glob(pattern)):
            text = file.read_bytes()
            found[str(file.relative_to(config().var))] = (
                hashlib.sha256(text).hexdigest()[:DIGITS], text.decode(errors="replace")
            )  # fmt: skip
    return found


def _digest(key: bytes, value: object) -> str:
    text = json.dumps(
        value,
        sort_keys=True,
        default=lambda one: bytes(one).hex() if isinstance(one, (bytes, memoryview)) else str(one),
    )
    return hmac.digest(key, text.encode(), "sha256").hex()
