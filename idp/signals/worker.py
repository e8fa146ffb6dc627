"""The worker: deliver the outbox, let keys take over, expire, clean up, and sign a checkpoint a day. Several may run."""

from __future__ import annotations

import logging
import smtplib
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

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
from idp.login import probe
from idp.models import Binding
from idp.signals import backchannel, files, mail, purging, tending
from scim.access import requests
from scim.feed import delivery

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)

_AT_ONCE = 20  # as many as are leased at once: relying parties called side by side: one that hangs does not hold up another (C83)
_IDLE = 0.5  # seconds between looks at an empty outbox
_HOUSEKEEPING = timedelta(minutes=5)
_AFTER_AN_ERROR = 2.0
_AFTER_A_FAULT = timedelta(seconds=30)
_KEPT = timedelta(days=1)


def step(*, now: datetime) -> int:
    """Deliver what is due once; how many rows were tried. Relying parties are called side by side, mail one by one."""
    rows = outbox.lease(now=now)
    letters: list[backchannel.Letter] = []
    for row in rows:
        try:
            letter = _handled(row, now=clock.now())
        except (OSError, smtplib.SMTPException, RametError, DatabaseError, UnknownKind) as error:
            _not_delivered(row, f"{type(error).__name__}: {error}")
            continue
        except (
            Exception
        ) as error:  # a mail folder that is a file, a template that is gone: one row must not stop the others
            logger.exception("outbox row %s (%s) was not delivered", row.id, row.kind)
            outbox.mark_failed(row, type(error).__name__, now=clock.now())
            continue
        if letter is None:
            outbox.mark_delivered(row, now=clock.now())
        else:
            letters.append(letter)
    if letters:
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            now = clock.now()
            for letter, why in zip(letters, pool.map(lambda one: one.send(now=now), letters), strict=True):
                if why:
                    _not_delivered(letter.row, why)
                else:
                    outbox.mark_delivered(letter.row, now=clock.now())
    return len(rows)


class UnknownKind(Exception):
    """An outbox row of a kind that this version does not know; it is parked where an operator sees it."""


def _handled(row: OutboxRow, *, now: datetime) -> backchannel.Letter | None:
    """Do what a row asks for; what is left to send to a relying party."""
    if row.kind == "logout":
        return backchannel.letter(row, now=now)
    if row.kind == outbox.LISTS:
        upto = outbox.newest_waiting(outbox.LISTS)  # all that was committed before the ledger is read
        lists.sign_all(wrapper(), now=now)
        files.mirror(now=now)
        telling.send_due(wrapper())
        outbox.mark_delivered_up_to(outbox.LISTS, upto, now=now)
    elif row.kind == "fan_out":
        backchannel.fan_out(row, now=now)
    elif row.kind in mail.KINDS:
        mail.deliver(row, now=now)
    else:
        raise UnknownKind(row.kind)
    return None


def _not_delivered(row: OutboxRow, why: str) -> None:
    logger.warning("outbox row %s (%s) was not delivered: %s", row.id, row.kind, why)
    outbox.mark_failed(row, why, now=clock.now())


def housekeeping(*, now: datetime) -> None:
    """Everything that is enforced at use anyway (P19), made visible and tidied up."""
    keyring().advance(now=now)
    _expire(now=now)
    requests.end_all_disallowed(now=now, actor="worker")
    delivery.delete_delivered(now=now)
    Binding.objects.filter(expires_at__lt=now - _KEPT).exclude(passphrase_hash="").update(passphrase_hash="", jwk=None)
    for part in (purging.purge, tending.tend, _make_lists, _tell, certificates.prefetch, probe.repeat):
        _tried(part, now=now)


def _make_lists(*, now: datetime) -> None:
    lists.sign_due(wrapper(), now=now)


def _tried(part: Callable[..., object], *, now: datetime) -> bool:
    """Do one part of the work; a key that is away or a disk that is full stops no other, least of all what is delivered (C83)."""
    try:
        part(now=now)
    except Exception:
        logger.exception("%s failed; it is tried again later", getattr(part, "__qualname__", part))
        return False
    return True


def _tell(*, now: datetime) -> None:  # noqa: ARG001 - what is due is what the ledger says
    """What an authority of others has not heard yet; one that is away is asked again in five minutes."""
    try:
        telling.send_due(wrapper())
    except Unavailable as error:
        logger.warning("an authority of others did not answer: %s", error.reason)


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


def run(should_stop: Callable[[], bool]) -> None:
    """Work until told to stop; a database that is away is waited for."""
    next_housekeeping = next_mirror = clock.now()
    while not should_stop():
        try:
            now = clock.now()
            if now >= next_housekeeping:
                next_housekeeping = now + (_HOUSEKEEPING if _tried(housekeeping, now=now) else _AFTER_A_FAULT)
            if now >= next_mirror and not _tried(files.mirror, now=now):
                next_mirror = now + _AFTER_A_FAULT
            if step(now=now) == 0:
                time.sleep(_IDLE)
        except DatabaseError as error:
            logger.warning("the database did not answer: %s", type(error).__name__)
            connection.close()
            time.sleep(_AFTER_AN_ERROR)
        except Exception:  # whatever it is, the rows stay where they are, and the next look is not the last one
            logger.exception("the worker stumbled; it goes on")
            time.sleep(_AFTER_AN_ERROR)
