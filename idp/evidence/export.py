"""An export of evidence: of a person, of a credential, or of a period; signed, and verified offline (EV-1 to EV-6)."""

from __future__ import annotations

import hashlib
import json
from base64 import urlsafe_b64decode
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import TYPE_CHECKING, Any
from uuid import UUID

from derived.keyring import KeyPurpose
from derived.ledger import audit
from derived.ledger.locking import snapshot, under_lock
from derived.models import Checkpoint, Credential, Event
from idp.config import config
from idp.evidence import chains, records, sheets
from idp.evidence.canonical import canonical
from idp.evidence.chains import KeptTree
from idp.keys import keyring
from idp.witness import operator_chain, standing, writing
from idp.witness.folder import witness

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from django.db.models import QuerySet

FORMAT = "ramet-evidence/1"
TYP = "ramet-evidence+jws"


@dataclass(frozen=True, kw_only=True)
class Scope:
    """What an export is about: an account, one credential of it, or a period.

    first, last: the period, both included; last: at most the present moment.
    """

    account: UUID | None = None
    credential: UUID | None = None
    first: datetime | None = None
    last: datetime | None = None

    def told(self) -> dict[str, Any]:
        """The scope as the export has it."""
        if self.first and self.last:
            return {
                "from": self.first.isoformat(),
                "to": self.last.isoformat(),
                "from_time": int(self.first.timestamp()),
                "to_time": int(self.last.timestamp()),
            }
        named = {"account": self.account, "credential": self.credential}
        return {name: str(value) for name, value in named.items() if value}

    def shows(self, event: Event) -> bool:
        """True if the personal details of an Event are in scope."""
        if self.first and self.last:
            return event.account_id != operator_chain.OPERATOR and self.first <= event.at <= self.last
        if self.credential:
            return event.credential_id == self.credential
        return event.account_id == self.account


class NoCheckpoint(Exception):
    """There is no checkpoint with a tree yet, or none of the given hash."""


def make(scope: Scope, *, pinned: Sequence[str] = (), actor: str, now: datetime) -> dict[str, bytes]:
    """The files of an export by name, up to the newest checkpoint; the export itself is an Event.

    pinned: hashes of checkpoints that the auditor holds. A new checkpoint is signed first where this machine holds the
    witness, so that everything up to now is covered.
    Raises: NoCheckpoint; Unavailable(KEY_UNAVAILABLE).
    """
    _record_export(scope, actor=actor, now=now)
    _sign_checkpoint(now=now)
    with snapshot():
        document = _document(scope, pinned=pinned, actor=actor, now=now)
    signed = canonical(document)
    return {
        "evidence.json": signed,
        "evidence.jws": _detached(signed, now=now).encode(),
        "evidence.html": _html(document).encode(),
        "evidence.csv": sheets.csv_of([_row(record) for record in document["records"]]).encode(),
        "verify.py": verify_program(),
    }


def pins() -> dict[str, str]:
    """What an auditor writes down: the newest checkpoint, and the thumbprint of the key that signs.

    Raises: NoCheckpoint.
    """
    newest = Checkpoint.objects.exclude(root="").order_by("-id").first()
    if newest is None:
        raise NoCheckpoint
    header = json.loads(_decoded(newest.statement.split(".")[0]))
    return {"checkpoint": newest.hash, "key": header["kid"], "at": newest.at.isoformat()}


def verify_program() -> bytes:
    """The program that verifies an export."""
    return files("idp.evidence").joinpath("verify.py").read_bytes()


def _record_export(scope: Scope, *, actor: str, now: datetime) -> None:
    operator_chain.begin(now=now)
    body = {"scope": scope.told()}
    under_lock(
        operator_chain.OPERATOR,
        lambda account: audit.record(account, "evidence.exported", now=now, actor=actor, body=body),
    )


def _sign_checkpoint(*, now: datetime) -> None:
    """Sign a checkpoint, unless another machine holds the witness; the newest one is used then."""
    try:
        if not standing.is_missing(witness().newest()):
            writing.checkpoint(now=now)
    except OSError:
        return


def _document(scope: Scope, *, pinned: Sequence[str], actor: str, now: datetime) -> dict[str, Any]:
    kept = list(Checkpoint.objects.order_by("id"))
    with_tree = [one for one in kept if one.root]
    if not with_tree:
        raise NoCheckpoint
    newest, begins = with_tree[-1], None
    if scope.first and scope.last:
        first, last = scope.first, scope.last
        newest = next((one for one in with_tree if one.at >= last), newest)
        scope = replace(scope, last=min(last, newest.at))  # nothing after the newest checkpoint is proven
        begins = next((one for one in reversed(with_tree) if one.at <= first), None)
    upto = KeptTree(newest)
    others = [KeptTree(one) for one in _others(with_tree, newest, begins, pinned)]
    accounts = _accounts(scope, upto, next((tree for tree in others if begins and tree.number == begins.id), None))
    lengths = {name: leaf.seq for name, leaf in upto.leaves.items()}
    found = records.of_credentials(_credentials(scope, accounts), until=lengths)
    is_period = scope.first is not None
    return {
        "format": FORMAT,
        "issuer": config().issuer,
        "made_at": now.isoformat(),
        "made_by": actor,
        "scope": scope.told(),
        "as_of": newest.hash,
        "begins": begins.hash if begins else "",
        "keys": keyring().of_checkpoints().as_dict(private=False)["keys"],
        "checkpoints": [one.statement for one in kept if one.id <= newest.id],
        "leaves": {tree.hash: tree.all_leaves() for tree in (upto, *others)} if is_period else {},
        "chains": [
            chains.whole_chain(UUID(name), upto=upto, others=() if is_period else others, in_scope=scope.shows)
            for name in accounts
        ],
        "records": found,
        "digests": [hashlib.sha256(_plain(record)).hexdigest() for record in found],
        "policies": _policies(),
    }


def _others(
    with_tree: list[Checkpoint], newest: Checkpoint, begins: Checkpoint | None, pinned: Sequence[str]
) -> list[Checkpoint]:
    """The other checkpoints at which the export proves its chains: the first, the begin of the period, the pinned."""
    by_hash = {one.hash: one for one in with_tree if one.id <= newest.id}
    if unknown := [one for one in pinned if one not in by_hash]:
        raise NoCheckpoint(unknown[0])
    wanted = [begins] if begins else [] if newest.id == with_tree[0].id else [with_tree[0]]
    named = {one.id: one for one in [*wanted, *(by_hash[name] for name in pinned)] if one.id != newest.id}
    return [named[one] for one in sorted(named)]


def _accounts(scope: Scope, upto: KeptTree, begins: KeptTree | None) -> list[str]:
    """The accounts whose chains are in the export; the operator's chain, with roles and policies, always is."""
    operator = str(operator_chain.OPERATOR)
    if scope.first is not None:
        grown = chains.grown_between(begins.leaves if begins else {}, upto.leaves)
        return sorted({operator, *grown} & upto.leaves.keys())
    return sorted({operator, str(scope.account)} & upto.leaves.keys())


def _credentials(scope: Scope, accounts: list[str]) -> QuerySet[Credential]:
    rows = Credential.objects.filter(account_id__in=[UUID(name) for name in accounts])
    if scope.credential:
        return rows.filter(id=scope.credential)
    if scope.first and scope.last:
        touched = Event.objects.filter(at__gte=scope.first, at__lte=scope.last, account_id__in=rows.values("account"))
        ended = touched.filter(kind="account.terminated").values("account")
        return rows.filter(id__in=touched.values("credential")) | rows.filter(
            account__in=ended, ended_at__gte=scope.first
        )
    return rows


def _policies() -> dict[str, dict[str, str]]:
    """The texts of policy files, by the beginning of their SHA-256, as records and the operator's chain name them."""
    found: dict[str, dict[str, str]] = {}
    events = Event.objects.filter(account_id=operator_chain.OPERATOR, body__has_key="texts").order_by("seq")
    for event in events.prefetch_related("details"):
        texts = {one.name: one.value for one in event.details.all()}
        for name, digest in event.body["texts"].items():
            found[digest] = {
                "file": name,
                "since": event.at.isoformat(),
                "by": event.actor,
                "text": texts.get(operator_chain.TEXT + digest, ""),
            }
    return found


def _detached(signed: bytes, *, now: datetime) -> str:
    """A detached JWS (RFC 7515, appendix F) over the bytes of the export, by the key of checkpoints."""
    statement = keyring().sign_bytes(signed, typ=TYP, alg="ES256", now=now, purpose=KeyPurpose.CHECKPOINT)
    head, _, signature = statement.split(".")
    return f"{head}..{signature}"


def _plain(record: dict[str, Any]) -> bytes:
    return json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def _decoded(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _html(document: dict[str, Any]) -> str:
    shown = [
        {"title": f"{one['kind']} of {one['person'].get('login_name') or one['account']}", "facts": sheets.facts(one)}
        for one in document["records"]
    ]
    values = {
        "evidence": document,
        "records": shown,
        "scope": sheets.facts(document["scope"]),
        "policies": document["policies"].items(),
    }
    return sheets.report("evidence", values)


def _row(record: dict[str, Any]) -> dict[str, Any]:
    """A record as a row of the table."""
    request, end, certificate = record["request"], record["end"], record["certificate"]
    return {
        "credential": record["credential"],
        "person": record["person"].get("login_name", ""),
        "account": record["account"],
        "kind": record["kind"],
        "label": record["label"],
        "aal": record["level"]["aal"],
        "ial": record["level"]["ial"],
        "state": record["state"],
        "asked_by": request.get("by", ""),
        "approved_by": " ".join(one["by"] for one in request.get("decisions", []) if one["approves"]),
        "issued_at": record["issued"]["at"],
        "first_use": record["first_use"].get("at", ""),
        "last_use": record["last_use"],
        "ended_at": end.get("at", ""),
        "ended_by": end.get("by", ""),
        "because": end.get("because", ""),
        "serial": certificate.get("serial", ""),
        "sha256": certificate.get("sha256", ""),
    }
