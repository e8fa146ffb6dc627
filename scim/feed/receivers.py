"""Receivers of the feed: registration, visible attributes, credentials (RFC 9967 §5: least privilege).

A receiver's credential gives access to the feed only, and a source's does not. A receiver that is registered or enabled
again first reads everything once before it gets events, so it misses no change that was in progress.
"""

from __future__ import annotations

import re
import secrets
from datetime import timedelta
from typing import TYPE_CHECKING

from django.db import IntegrityError, transaction
from django.db.models import Max, Q

from derived.ledger.locking import transacted
from scim import callers as auth
from scim.errors import ScimError
from scim.feed import events
from scim.feed.events import ReceiverScope
from scim.models import FeedEvent, Receiver, ReceiverCredential
from scim.protocol import trust

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from django.db.models import QuerySet
    from django.http import HttpRequest

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_CLIENT = re.compile(r"[\x21-\x7e]{1,255}")
_NOTED_EVERY = timedelta(minutes=1)
PRESETS: dict[str, frozenset[str]] = {
    "names": frozenset({"userName", "name", "displayName"}),
    "directory": trust.PRESETS["directory"] - {trust.ACTIVE},
    "everything": trust.KNOWN - {trust.ACTIVE},
}


def register(  # noqa: PLR0913 - the operator's decisions
    name: str,
    *,
    kinds: Collection[str],
    full: bool,
    attributes: Collection[str],
    expires_at: datetime | None,
    now: datetime,
) -> tuple[Receiver, str]:
    """Register a receiver; returns it with its bearer token, which is not stored and cannot be shown again.

    Raises: ValueError for a bad name, kind or attribute, or a name in use.
    """
    if not _NAME.fullmatch(name):
        message = "the name must be lower-case letters, digits and hyphens, 63 at most"
        raise ValueError(message)
    followed, seen = _kinds(kinds), sorted(trust.full_names(attributes) - {trust.ACTIVE})

    def work() -> tuple[Receiver, str]:
        receiver = Receiver.objects.create(
            name=name,
            kinds=followed,
            to_read=followed,
            full=full,
            attributes=seen,
            floor=_newest(),
            created_at=now,
            since=now,
        )
        return receiver, _token(receiver, now=now, expires_at=expires_at)

    try:
        return transacted(work)
    except IntegrityError:
        message = f"there is a receiver named {name} already"
        raise ValueError(message) from None


def _kinds(kinds: Collection[str]) -> list[str]:
    if not kinds or set(kinds) - set(events.KINDS):
        message = f"the kinds are: {', '.join(events.KINDS)}"
        raise ValueError(message)
    return sorted(set(kinds))


def _newest() -> int:
    return FeedEvent.objects.aggregate(newest=Max("id"))["newest"] or 0


def _token(receiver: Receiver, *, now: datetime, expires_at: datetime | None) -> str:
    # The prefix lets secret scanners find a published token.
    token = f"ramet_feed_{secrets.token_urlsafe(32)}"
    ReceiverCredential.objects.create(
        receiver=receiver, key=auth.key_of_token(token), created_at=now, expires_at=expires_at
    )
    return token


def rotate(receiver: Receiver, *, now: datetime, expires_at: datetime | None, overlap: timedelta = timedelta()) -> str:
    """Issue a new token to a receiver; its old tokens end after `overlap`, or at once.

    expires_at: when the new token ends.
    """

    def work() -> str:
        later = Q(expires_at__isnull=True) | Q(expires_at__gt=now + overlap)
        receiver.credentials.filter(later, key__startswith="token:", ended_at__isnull=True).update(
            expires_at=now + overlap
        )
        return _token(receiver, now=now, expires_at=expires_at)

    return transacted(work)


def admit(receiver: Receiver, client_id: str, *, now: datetime) -> ReceiverCredential:
    """Let an OAuth client read this feed with access tokens that it got for itself (scope `scim`).

    Raises: ValueError for a malformed client_id, or a client that reads another feed.
    """
    if not _CLIENT.fullmatch(client_id):
        message = "that is no client_id"
        raise ValueError(message)
    with transaction.atomic():
        defaults = {"receiver": receiver, "created_at": now}
        row, _ = ReceiverCredential.objects.get_or_create(key=auth.key_of_client(client_id), defaults=defaults)
        if row.receiver_id != receiver.id:
            message = "it reads another feed already"
            raise ValueError(message)
        row.ended_at = None
        row.save(update_fields=["ended_at"])
    return row


def end_credential(receiver: Receiver, credential_id: int, *, now: datetime) -> bool:
    """End a credential of a receiver at once; False if it has no such credential."""
    return bool(receiver.credentials.filter(id=credential_id, ended_at__isnull=True).update(ended_at=now))


def disable(receiver: Receiver, *, now: datetime) -> None:
    """Refuse a receiver from now on; its pending events are dropped."""
    Receiver.objects.filter(id=receiver.id).update(disabled_at=now)


def enable(receiver: Receiver, *, now: datetime) -> None:
    """Enable a receiver again, with its credentials; it reads everything again first."""
    rows = Receiver.objects.filter(id=receiver.id, disabled_at__isnull=False)
    rows.update(disabled_at=None, since=now, floor=_newest(), to_read=receiver.kinds)


def allow(receiver: Receiver, *, kinds: Collection[str], full: bool, attributes: Collection[str]) -> None:
    """Set what a receiver may see, from its next request on; newly visible resource types are read first.

    Raises: ValueError for an unknown kind or attribute.
    """
    followed, seen = _kinds(kinds), sorted(trust.full_names(attributes) - {trust.ACTIVE})

    def work() -> None:
        row = Receiver.objects.select_for_update().get(id=receiver.id)
        sees_more = {"User"} & set(followed) if set(seen) - set(row.attributes) else set()
        row.to_read = sorted(set(followed) & (set(row.to_read) | (set(followed) - set(row.kinds)) | sees_more))
        row.kinds, row.full, row.attributes = followed, full, seen
        row.save(update_fields=["to_read", "kinds", "full", "attributes"])

    transacted(work)


def scope(receiver: Receiver) -> ReceiverScope:
    """The visible part for a receiver."""
    return ReceiverScope(attributes=frozenset(receiver.attributes), full=receiver.full)


def of_request(request: HttpRequest, *, now: datetime) -> Receiver:
    """The receiver that sent a request; the response is the same for unknown, expired and disabled credentials.

    Raises: ScimError 401; 429 above its own rate.
    """
    header = request.headers.get("Authorization", "").strip()
    keys = [key for some in auth.keys_of_header(header, request, now=now) for key in some] if header else []
    credential = next((one for key in keys if (one := _credential(key, now=now)) is not None), None)
    if credential is None:
        raise ScimError(401, None, "The credentials are not valid." if header else "A bearer token is needed.")
    if credential.last_used_at is None or now - credential.last_used_at > _NOTED_EVERY:
        ReceiverCredential.objects.filter(id=credential.id).update(last_used_at=now)
    receiver = credential.receiver
    auth.check_rate(("receiver", receiver.id, receiver.created_at), receiver.most_per_minute, now=now)
    return receiver


def _credential(key: str, *, now: datetime) -> ReceiverCredential | None:
    row = ReceiverCredential.objects.select_related("receiver").filter(key=key).first()
    return row if row is not None and row.is_live(now=now) and row.receiver.disabled_at is None else None


def enabled_receivers() -> QuerySet[Receiver]:
    """The enabled receivers."""
    return Receiver.objects.filter(disabled_at__isnull=True)
