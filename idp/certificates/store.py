"""Fetched objects of authorities (`PkiObject`): issuers' certificates, CRLs and OCSP responses (C22).

Stored objects are verified again at each use. A fresh one spares a request; a slow or unreachable responder is not
asked again for a minute.
"""

from __future__ import annotations

import hashlib
import time
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING

from idp.models import PkiObject
from idp.outbound import NotFetched, fetch

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from idp.certificates.configuration import ValidationPolicy

_MOST_BYTES = {"crl": 4 * 1024 * 1024, "ocsp": 64 * 1024, "issuer": 512 * 1024}
_NOT_AGAIN = timedelta(seconds=60)  # if a fresh status exists without it
_NOT_AT_ONCE_AGAIN = timedelta(seconds=5)  # if none exists, because the person tries again soon
_ASK_AGAIN = {"ocsp": timedelta(minutes=10), "crl": timedelta(hours=1), "issuer": timedelta(days=1)}
_MOST_AT_ONCE = 16
_MOST_URL = 1000


@dataclass(frozen=True, kw_only=True)
class StatusRequest:
    """A request: a URL, and for OCSP the body. about: the subject, if the URL alone does not identify it."""

    kind: str
    url: str
    about: str = ""
    body: bytes = b""
    nonce: bytes | None = None

    @property
    def key(self) -> str:
        """The storage key."""
        return hashlib.sha256(f"{self.kind}\n{self.url}\n{self.about}".encode()).hexdigest()


class FetchDeadline:
    """Until when a whole validation may take, on this process's clock."""

    def __init__(self, seconds: float) -> None:
        self._at = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds; never less than zero."""
        return max(0.0, self._at - time.monotonic())


def stored_objects(questions: Iterable[StatusRequest], *, now: datetime) -> dict[str, PkiObject]:
    """The stored objects of these requests, by key, without expired bodies; a row may only record a failed try."""
    found = PkiObject.objects.in_bulk([one.key for one in questions])
    for row in found.values():
        if row.expires_at <= now:
            row.body = None
    return found


def is_due(question: StatusRequest, rows: dict[str, PkiObject], *, needed: bool, now: datetime) -> bool:
    """True if the request should be sent: nothing stored, or old, and no failed try just before.

    needed: without a response the login fails.
    """
    row = rows.get(question.key)
    if row is None:
        return True
    if (
        row.last_error
        and row.tried_at is not None
        and abs(now - row.tried_at) < (_NOT_AT_ONCE_AGAIN if needed else _NOT_AGAIN)
    ):
        return False
    return needed or row.body is None or now - row.fetched_at >= _ASK_AGAIN[question.kind]


def send_requests(
    questions: Sequence[StatusRequest], policy: ValidationPolicy, deadline: FetchDeadline, *, now: datetime
) -> dict[str, bytes]:
    """Send requests side by side, within the policy's and the deadline's limits; responses by key.

    Failures are recorded, so that the next login does not wait for them; responses are not, because they are
    unverified.
    """
    hosts = frozenset(policy.fetch_from)
    asked = [one for one in {one.key: one for one in questions}.values() if len(one.url) <= _MOST_URL][:_MOST_AT_ONCE]
    seconds = min(float(policy.answer_seconds), deadline.left)
    if not asked or not hosts or seconds <= 0:
        return {}
    pool = ThreadPoolExecutor(max_workers=len(asked))
    try:
        running = {pool.submit(_fetched, one, hosts, seconds): one for one in asked}
        done, late = wait(running, timeout=seconds + 0.25)
        answers = {}
        for future in done:
            body, error = future.result()
            if body:
                answers[running[future].key] = body
            else:
                _record_failure(running[future], error, now=now)
        for future in late:
            _record_failure(running[future], "too slow", now=now)
        return answers
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _fetched(question: StatusRequest, hosts: frozenset[str], seconds: float) -> tuple[bytes, str]:
    headers = {"Content-Type": "application/ocsp-request"} if question.body else {}
    try:
        answer = fetch(
            question.url,
            allowed_hosts=hosts,
            method="POST" if question.body else "GET",
            content=question.body or None,
            headers=headers,
            most_bytes=_MOST_BYTES[question.kind],
            seconds=seconds,
            plain=True,
        )
    except (NotFetched, ValueError) as error:
        return b"", str(error)
    return (answer.body, "") if answer.status == HTTPStatus.OK else (b"", f"status {answer.status}")


def _record_failure(question: StatusRequest, why: str, *, now: datetime) -> None:
    """Record a failed try; a stored object stays."""
    PkiObject.objects.update_or_create(
        key=question.key,
        defaults={"tried_at": now, "last_error": (why or "empty")[:200]},
        create_defaults={
            "kind": question.kind,
            "source": question.url,
            "body": None,
            "fetched_at": now,
            "expires_at": now,
            "tried_at": now,
            "last_error": (why or "empty")[:200],
        },
    )


def record_unusable(question: StatusRequest, *, now: datetime) -> None:
    """Record that a response was unusable."""
    _record_failure(question, "not usable", now=now)


def store_object(question: StatusRequest, body: bytes, *, until: datetime, now: datetime) -> None:
    """Keep something verified."""
    PkiObject.objects.update_or_create(
        key=question.key,
        defaults={
            "kind": question.kind,
            "source": question.url,
            "body": body,
            "fetched_at": now,
            "expires_at": until,
            "tried_at": now,
            "last_error": "",
        },
    )
