"""Many requests at once, from a file: a dry run, rows that become requests of their own, progress, and a pause.

A file is CSV with a header, of at most 1,000 rows. A person is named by `external_id` with the source of the file, or
by `login_name`; the other columns are those of one request. The same row twice is one request: it is known by source,
person and kind as long as its request is open or its credential lives.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models import Count, Q

from derived.errors import Reason, Refused
from derived.ledger import outbox
from derived.models import Account, Request
from derived.rules.lifecycle import LIVING
from derived.rules.requests import ENDS, OPEN, RequestState, terms_hash
from idp.errors import answer_to
from idp.requests import terms
from idp.requests.terms import Origin, WrongField
from scim.access import approving
from scim.access.approving import Decision
from scim.models import Person, Record, RequestBatch, RequestBatchRow, Source
from scim.people import directory

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

MOST_ROWS, MOST_BYTES = 1_000, 1024 * 1024
BATCH = "request.batch"
_AT_ONCE = 100
_WHO = ("login_name", "external_id")
_CELLS = (
    "kind", "label", "aal", "form_factor", "model", "serial", "asset_tag", "managed", "purpose", "until", "ticket",
)  # fmt: skip
_LONGEST = 400
_DEAD = ENDS - {RequestState.ACTIVE}


class WrongFile(Exception):
    """The file is no CSV of requests; the text names the fault."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What one row would become: would, known or failed. why: of a failure."""

    number: int
    state: str
    why: str = ""


def read(content: bytes, *, source: str = "") -> list[dict[str, str]]:
    """The rows of a file, each with the name of its source.

    Raises: WrongFile.
    """
    try:
        lines = csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
        names = lines.fieldnames or []
        rows = [dict(one) for one in lines]
    except (UnicodeDecodeError, csv.Error) as error:
        message = f"It is not CSV in UTF-8: {error}"
        raise WrongFile(message) from None
    if unknown := set(names) - {*_WHO, *_CELLS}:
        message = f"It has columns that are not known: {', '.join(sorted(unknown))}"
        raise WrongFile(message)
    if not set(_WHO) & set(names) or not {"kind", "form_factor", "purpose"} <= set(names):
        message = "Its header needs login_name or external_id, and kind, form_factor and purpose."
        raise WrongFile(message)
    if not 0 < len(rows) <= MOST_ROWS or len(content) > MOST_BYTES:
        message = f"It has 1 to {MOST_ROWS} rows, and at most 1 MiB."
        raise WrongFile(message)
    if any(None in one or any(value is None or len(value) > _LONGEST for value in one.values()) for one in rows):
        message = "A row has more or fewer cells than the header, or a cell of more than 400 letters."
        raise WrongFile(message)
    return [{**one, "source": source} for one in rows]


def digest(rows: Sequence[Mapping[str, str]]) -> str:
    """SHA-256 of the rows."""
    return hashlib.sha256(json.dumps([dict(one) for one in rows], sort_keys=True).encode()).hexdigest()


def dry_run(rows: Iterable[Mapping[str, str]], asker: Person, *, now: datetime) -> list[Outcome]:
    """What each row would become; nothing is written."""
    found: list[Outcome] = []
    seen: set[str] = set()
    for number, row in enumerate(rows, start=1):
        try:
            subject, want = _person(row), terms.wanted(row, now=now)
            key = key_of(row, subject, want.kind.value)
            if key in seen or _known(key):
                found.append(Outcome(number=number, state="known"))
                continue
            seen.add(key)
            _require_askable(subject, want.kind.value)
            role = approving.role_towards(asker, subject, now=now)
            terms.asking(want, subject, asker, role, Origin(channel="api"))
        except (WrongField, Refused) as wrong:
            found.append(Outcome(number=number, state="failed", why=_words(wrong)))
        else:
            found.append(Outcome(number=number, state="would"))
    return found


def _require_askable(subject: Person, kind: str) -> None:
    account: Account = subject.account
    if not account.is_active:
        raise Refused(Reason.ACCOUNT_NOT_ACTIVE)
    if not account.eligible:
        raise Refused(Reason.NOT_ELIGIBLE)
    if account.requests.filter(kind=kind, about="", state__in=OPEN, epoch=account.epoch).exists():
        raise Refused(Reason.ILLEGAL_MOVE)


def _words(wrong: WrongField | Refused) -> str:
    if isinstance(wrong, WrongField):
        return f"{wrong.name}: {wrong.words}"
    if wrong.reason == Reason.ILLEGAL_MOVE:
        return "The person has an open request of this kind."
    return answer_to(wrong).words


def _person(row: Mapping[str, str]) -> Person:
    """The person of a row.

    Raises: WrongField.
    """
    if name := row.get("login_name", "").strip():
        found = directory.person_by_login_name(name)
        if found is not None:
            return found
        raise WrongField("login_name", f"There is no person {name}.")
    own, source = row.get("external_id", "").strip(), row.get("source", "")
    records = Record.objects.filter(source__name=source, external_id=own, deleted_at__isnull=True)
    record = records.select_related("person__account").first() if own else None
    if record is None:
        raise WrongField("external_id", f"The source {source or '(none)'} has no person {own or '(empty)'}.")
    return record.person


def key_of(row: Mapping[str, str], subject: Person, kind: str) -> str:
    """The idempotency of a row: source, person and kind."""
    own = row.get("external_id", "").strip() or str(subject.id)
    return hashlib.sha256(json.dumps([row.get("source", ""), own, kind]).encode()).hexdigest()


def _known(key: str) -> Request | None:
    """The request that this row became before, as long as it is open or its credential lives."""
    found = Request.objects.filter(idempotency=key).select_related("credential").first()
    if found is None:
        return None
    is_over = found.state in _DEAD or (found.credential is not None and found.credential.state not in LIVING)
    return None if is_over else found


# --- the import -------------------------------------------------------------------------------------------------------


def begin(rows: Sequence[Mapping[str, str]], asker: Person, actor: str, *, now: datetime) -> RequestBatch:
    """Record the rows of a file; the worker, or `work`, turns them into requests.

    Raises: WrongFile for an unknown source.
    """
    source = rows[0].get("source", "")
    if source and not Source.objects.filter(name=source).exists():
        message = f"There is no source {source}."
        raise WrongFile(message)
    with transaction.atomic():
        batch = RequestBatch.objects.create(by=actor, person=asker, digest=digest(rows), created_at=now)
        RequestBatchRow.objects.bulk_create(
            RequestBatchRow(batch=batch, number=number, cells=dict(row)) for number, row in enumerate(rows, start=1)
        )
        schedule(batch, now=now)
    return batch


def schedule(batch: RequestBatch, *, now: datetime) -> None:
    """Let the worker go on with a batch."""
    payload = {"batch": str(batch.id)}
    outbox.enqueue(kind=BATCH, receiver=f"worker:batch:{batch.id}", account=None, payload=payload, now=now)


def work(batch: RequestBatch, *, now: datetime, most: int = _AT_ONCE) -> bool:
    """Turn up to `most` rows into requests, each in a transaction of its own; True if some are left.

    A paused batch is left alone. A row that fails stops no other.
    """
    for row in list(batch.rows.filter(state="waiting").order_by("number")[:most]):
        batch.refresh_from_db(fields=["paused_at"])
        if batch.paused_at is not None:
            return False
        _become(batch, row, now=now)
    if batch.rows.filter(state="waiting").exists():
        return True
    RequestBatch.objects.filter(id=batch.id, finished_at__isnull=True).update(finished_at=now)
    return False


def _become(batch: RequestBatch, row: RequestBatchRow, *, now: datetime) -> None:
    """Make the request of one row, or write down why not."""
    try:
        subject, want = _person(row.cells), terms.wanted(row.cells, now=now)
        key = key_of(row.cells, subject, want.kind.value)
        if (known := _known(key)) is not None:
            _settle(row, "known", request=known)
            return
        asker = batch.person
        if asker is None:
            raise Refused(Reason.NOT_ENTITLED)
        Request.objects.filter(idempotency=key).update(idempotency="")  # an ended one
        channel = "command" if batch.by.startswith("operator:") else "api"
        made = terms.ask(subject, asker, want, Origin(channel=channel, batch=str(batch.id), key=key), now=now)
    except (WrongField, Refused) as wrong:
        _settle(row, "failed", why=_words(wrong))
    else:
        _settle(row, "done", request=made)


def _settle(row: RequestBatchRow, state: str, *, why: str = "", request: Request | None = None) -> None:
    RequestBatchRow.objects.filter(id=row.id, state="waiting").update(
        state=state, why=why[:200], request=request.id if request else None
    )


def pause(batch: RequestBatch, *, now: datetime) -> None:
    """Stop working on a batch."""
    RequestBatch.objects.filter(id=batch.id, paused_at__isnull=True).update(paused_at=now)


def resume(batch: RequestBatch, *, now: datetime) -> None:
    """Go on with a paused batch."""
    if RequestBatch.objects.filter(id=batch.id, paused_at__isnull=False).update(paused_at=None):
        schedule(batch, now=now)


def counts(batch: RequestBatch) -> dict[str, int]:
    """The number of rows in each state."""
    found = {name: batch.rows.filter(state=name).count() for name in ("waiting", "done", "known", "failed")}
    return {**found, "rows": sum(found.values())}


def recent() -> list[RequestBatch]:
    """The newest batches, with their number of rows and failed ones."""
    rows = RequestBatch.objects.annotate(total=Count("rows"), failed=Count("rows", filter=Q(rows__state="failed")))
    return list(rows.order_by("-created_at", "id")[:50])


# --- one approval of a batch ------------------------------------------------------------------------------------------


def waiting_of(batch: RequestBatch) -> list[Request]:
    """The requests of a batch that wait for a decision."""
    rows = Request.objects.filter(batch=str(batch.id), state=RequestState.WAITING)
    return list(rows.select_related("account__person", "requester__person").order_by("created_at", "id"))


def list_hash(rows: Iterable[Request]) -> str:
    """The hash of a list of requests with their terms, which one approval covers."""
    return terms_hash({str(row.id): row.terms_hash for row in rows})


def approve(batch: RequestBatch, person: Person, shown: str, decision: Decision, *, now: datetime) -> dict[str, int]:
    """Approve every waiting request of a batch, of the list that was shown; each is decided by itself.

    Returns the numbers of approved and of refused ones, for example of the approver's own.
    Raises: Refused(TERMS_CHANGED) if the list is another one by now.
    """
    rows = waiting_of(batch)
    if list_hash(rows) != shown:
        raise Refused(Reason.TERMS_CHANGED)
    done = {"approved": 0, "left": 0}
    for row in rows:
        own = Decision(approves=True, words=decision.words, shown=row.terms_hash, at_terminal=decision.at_terminal)
        try:
            approving.decide(row, person, own, terms.present, now=now)
        except Refused:
            done["left"] += 1
        else:
            done["approved"] += 1
    return done
