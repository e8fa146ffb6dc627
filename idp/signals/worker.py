"""The worker delivers the outbox, rotates keys, expires rows, purges and signs a checkpoint a day. Several may run."""

from __future__ import annotations

import logging
import smtplib
import threading
import time
from concurrent.futures import ALL_COMPLETED, FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Self

from django.db import DatabaseError, connection

from derived import clock
from derived.authority import lists, telling
from derived.errors import RametError, Reason, Unavailable
from derived.ledger import audit, outbox
from derived.ledger.locking import under_lock
from derived.models import Account, Credential, OutboxRow
from derived.rules.kinds import Kind
from derived.rules.lifecycle import LIVING, State
from idp import certificates
from idp.keys import keyring, wrapper
from idp.login import asking, probe
from idp.models import Binding
from idp.requests import batches, notices, systems, ticks
from idp.signals import backchannel, care, files, mail, purging, tending, webhooks
from idp.signals.outcomes import Delivered, DeliveryRefused, Failed, Outcome, record_outcome
from idp.witness import operator_chain, standing, writing
from idp.witness.standing import Standing
from scim.access import requests
from scim.feed import delivery
from scim.models import RequestBatch
from scim.people import brake, opening, refusals, reviewing

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)
Letter = backchannel.LogoutMessage | webhooks.WebhookMessage

_AT_ONCE = 64  # concurrent requests: hundreds of clients that hang delay another by less than a minute (C83)
_AT_ONCE_PER_CLIENT = 4
_LEAVE = 15.0  # seconds for the mail under way when the worker stops
_IDLE = 0.5  # seconds between looks at an empty outbox
_HOUSEKEEPING = timedelta(minutes=5)
_AFTER_AN_ERROR = 2.0
_AFTER_A_FAULT = timedelta(seconds=30)
_KEPT = timedelta(days=1)


class Deliveries:
    """Deliver the outbox: requests to relying parties side by side, everything else in the caller's thread.

    A slow client occupies at most a few of the connections, so that it delays no other (C83). Use as a context manager.
    """

    def __init__(
        self, lane: outbox.DeliveryLane = outbox.DeliveryLane.ALL, *, pause: outbox.Pause = outbox.NO_PAUSE
    ) -> None:
        self._lane, self._pause = lane, pause
        self._pool = ThreadPoolExecutor(_AT_ONCE)
        self._under_way: dict[Future[Outcome], Letter] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()
        self.collect()

    @property
    def is_idle(self) -> bool:
        """True if no request is under way."""
        return not self._under_way

    def step(self, *, now: datetime) -> int:
        """Lease due rows, up to the free connections, and deliver them or begin to; returns the number of tries."""
        free = _AT_ONCE - len(self._under_way)
        if free <= 0:
            return 0
        rows = outbox.lease(now=now, most=free, lane=self._lane, without=self._not_now(now=now), pause=self._pause)
        for row in rows:
            if self._count(str(row.payload.get("client_id"))) >= _AT_ONCE_PER_CLIENT:
                outbox.mark_postponed(row, "", until=now)  # before anything is signed
                continue
            outcome = _process(row)
            if not isinstance(outcome, Letter):
                _record_outcome(row, outcome)
            else:
                self._under_way[self._pool.submit(outcome.send, now=clock.now())] = outcome
        return len(rows)

    def collect(self, *, wait_seconds: float | None = 0) -> int:
        """Record results. wait_seconds: how long to wait for a result; None: for all."""
        if not self._under_way:
            return 0
        mode = ALL_COMPLETED if wait_seconds is None else FIRST_COMPLETED
        done, _ = wait(self._under_way, timeout=wait_seconds, return_when=mode)
        for future in done:
            _record_outcome(self._under_way.pop(future).row, future.result())
        return len(done)

    def _count(self, client_id: str) -> int:
        return sum(letter.client_id == client_id for letter in self._under_way.values())

    def _not_now(self, *, now: datetime) -> list[str]:
        """The receivers of clients that have as many requests under way as they may, or did not answer just now."""
        names = {letter.client_id for letter in self._under_way.values()}
        busy = {name for name in names if self._count(name) >= _AT_ONCE_PER_CLIENT}
        return [f"client:{name}:" for name in busy | backchannel.resting(now=now)]


def step(*, now: datetime) -> int:
    """Deliver due rows once, and wait for every result; returns the number of tries."""
    with Deliveries() as deliveries:
        tried = deliveries.step(now=now)
        deliveries.collect(wait_seconds=None)
    return tried


class UnknownKind(Exception):
    """An outbox row of a kind that this version does not know; it is parked where an operator sees it."""


def _process(row: OutboxRow) -> Outcome | Letter:
    """Deliver a row, whose failure stops no other; returns the letter that is left to send."""
    try:
        return _dispatch(row, now=clock.now())
    except mail.MailRefused as error:
        return DeliveryRefused(str(error))
    except backchannel.ForeignHost:
        return DeliveryRefused("its logout URI is on a host that is not the client's")
    except (OSError, smtplib.SMTPException, RametError, DatabaseError, UnknownKind) as error:
        return Failed(f"{type(error).__name__}: {error}")
    except Exception as error:  # a mail folder that is a file, a missing template
        logger.exception("outbox row %s (%s) was not delivered", row.id, row.kind)
        return Failed(type(error).__name__)


def _dispatch(row: OutboxRow, *, now: datetime) -> Outcome | Letter:
    if row.kind == "logout":
        return backchannel.logout_message(row, now=now) or Delivered()
    if row.kind == systems.WEBHOOK:
        return webhooks.webhook_message(row, now=now) or Delivered()
    if row.kind == outbox.LISTS:
        upto = outbox.newest_waiting(outbox.LISTS)  # everything committed before the ledger is read
        lists.sign_all(wrapper(), now=now)
        files.mirror(now=now)
        telling.send_due(wrapper())
        outbox.mark_delivered_up_to(outbox.LISTS, upto, now=now)
    elif row.kind == "fan_out":
        backchannel.fan_out(row, now=now)
    elif row.kind == batches.BATCH:
        _go_on_with_batch(row, now=now)
    elif row.kind == notices.MOVED:
        notices.tell_approvers(row, now=now)
    elif row.kind == asking.REQUEST:
        asking.record(row, now=now)
    elif row.kind in mail.KINDS:
        mail.deliver(row, now=now)
    else:
        raise UnknownKind(row.kind)
    return Delivered()


def _go_on_with_batch(row: OutboxRow, *, now: datetime) -> None:
    """Work on some rows of an import, and let the next delivery go on with the rest."""
    batch = RequestBatch.objects.filter(id=row.payload["batch"]).first()
    if batch is not None and batches.work(batch, now=now):
        batches.schedule(batch, now=now)


def _record_outcome(row: OutboxRow, outcome: Outcome) -> None:
    if isinstance(outcome, DeliveryRefused | Failed):
        logger.warning("outbox row %s (%s) was not delivered: %s", row.id, row.kind, outcome.why)
    record_outcome(row, outcome, now=clock.now())
    if isinstance(outcome, DeliveryRefused) and row.kind in mail.KINDS:
        mail.tell_managers(row, now=clock.now())


def housekeeping(*, now: datetime) -> None:
    """Make visible and tidy up what is enforced at use anyway (P19)."""
    keyring().advance(now=now)
    _expire(now=now)
    requests.end_all_disallowed(now=now, actor="worker")
    delivery.delete_delivered(now=now)
    brake.delete_counted(now=now)
    refusals.delete_old(now=now)
    Binding.objects.filter(expires_at__lt=now - _KEPT).exclude(passphrase_hash="").update(passphrase_hash="", jwk=None)
    for part in (
        purging.purge,
        tending.review_certificates,
        care.remind,
        care.suspend_unused,
        care.lapse_reviews,
        ticks.tick,
        opening.remind,
        reviewing.tick,
        _make_lists,
        _send_status_changes,
        certificates.prefetch,
        probe.probe_if_due,
    ):
        _run_part(part, now=now)


def _record_changes(*, now: datetime) -> None:
    """Changes of sources, clients, roles, keys and policies that no command has recorded."""
    operator_chain.record_changes(now=now, actor="worker")


def _make_lists(*, now: datetime) -> None:
    lists.sign_due(wrapper(), now=now)


def _run_part(part: Callable[..., object], *, now: datetime) -> bool:
    """Do a part of the work; an unavailable key or a full disk stops no other part, least of all deliveries (C83)."""
    try:
        part(now=now)
    except Exception:
        logger.exception("%s failed; it is tried again later", getattr(part, "__qualname__", part))
        return False
    return True


def _send_status_changes(**_when: datetime) -> None:
    """Send due status changes to external authorities; an unreachable one is tried again in five minutes."""
    try:
        telling.send_due(wrapper())
    except Unavailable as error:
        logger.warning("an external authority did not answer: %s", error.reason)


def _expire(*, now: datetime) -> None:
    due = Credential.objects.filter(state__in=LIVING, expires_at__lte=now)
    due.filter(kind=Kind.TOKEN_FAMILY).update(state=State.EXPIRED, ended_at=now, end_reason=Reason.EXPIRED.value)
    for credential in due.exclude(kind=Kind.TOKEN_FAMILY)[:500]:

        def work(account: Account, credential: Credential = credential) -> None:
            rows = Credential.objects.filter(id=credential.id, state__in=LIVING)
            if rows.update(state=State.EXPIRED, ended_at=now, end_reason=Reason.EXPIRED.value):
                audit.record(account, "credential.expired", now=now, actor="worker", credential=credential)
                payload = {"credential": str(credential.id), "because": Reason.EXPIRED.value}
                outbox.enqueue(
                    kind="credential.ended", receiver=f"mail:{account.id}", account=account, payload=payload, now=now
                )

        under_lock(credential.account_id, work)


def run(should_stop: Callable[[], bool], *, pause: outbox.Pause = outbox.NO_PAUSE) -> None:
    """Work until told to stop; an unavailable database is waited for. Mail has a thread of its own, which may pause."""
    standing.require_comparison()
    mails = threading.Thread(
        target=partial(_deliver, outbox.DeliveryLane.MAIL, should_stop, pause=pause), name="mail", daemon=True
    )
    mails.start()
    keeper = _Housekeeper()
    _deliver(outbox.DeliveryLane.OTHERS, should_stop, keeper)
    keeper.write_last(now=clock.now())
    mails.join(timeout=_LEAVE)


class _Housekeeper:
    """Runs the housekeeping when it is due, and writes to the witness."""

    def __init__(self) -> None:
        self._next = self._next_mirror = self._next_witness = clock.now()
        self._witness = writing.Writer()

    def compare(self, *, now: datetime) -> None:
        """Compare the database with its witness, and write what has changed since; nothing else runs before it."""
        if now >= self._next_witness:
            done = _run_part(self._witness.write, now=now)
            unknown = standing.refusal() == standing.WORDS[Standing.UNKNOWN]
            self._next_witness = now + (timedelta(seconds=_AFTER_AN_ERROR) if unknown and not done else writing.EVERY)

    def write_last(self, *, now: datetime) -> None:
        """Write to the witness once more before the process ends."""
        _run_part(self._witness.write, now=now)
        connection.close()

    def work(self, *, now: datetime) -> None:
        if now >= self._next:
            self._next = now + (_HOUSEKEEPING if _run_part(housekeeping, now=now) else _AFTER_A_FAULT)
            _run_part(_record_changes, now=now)
        if now >= self._next_mirror and not _run_part(files.mirror, now=now):
            self._next_mirror = now + _AFTER_A_FAULT


def _deliver(
    lane: outbox.DeliveryLane,
    should_stop: Callable[[], bool],
    keeper: _Housekeeper | None = None,
    *,
    pause: outbox.Pause = outbox.NO_PAUSE,
) -> None:
    with Deliveries(lane, pause=pause) as deliveries:
        while not should_stop():
            try:
                if keeper is not None:
                    keeper.compare(now=clock.now())
                if standing.refusal():
                    time.sleep(_IDLE)
                    continue
                if keeper is not None:
                    keeper.work(now=clock.now())
                done = deliveries.collect() + deliveries.step(now=clock.now())
                if not done and not deliveries.collect(wait_seconds=_IDLE):
                    time.sleep(_IDLE if deliveries.is_idle else 0)
            except DatabaseError as error:
                logger.warning("the database did not answer: %s", type(error).__name__)
                connection.close()
                time.sleep(_AFTER_AN_ERROR)
            except Exception:  # the rows stay, and the next step follows
                logger.exception("a step of the worker failed; the next one follows")
                time.sleep(_AFTER_AN_ERROR)
    connection.close()
