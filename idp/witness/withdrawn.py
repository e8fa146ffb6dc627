"""What an operator took away: sources, clients, receivers, upstreams, their credentials and secrets, keys, managers.

The witness names the state of each, so that a restored backup gives nothing of it back (C90). Names and states hold no
secret: digests of what is a digest already.
"""

from __future__ import annotations

import hashlib
import secrets
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Final, NamedTuple

from django.db.models import F

from derived.models import SigningKey
from idp.keys import keyring
from idp.models import ClientPolicy, Upstream
from idp.secrets import hash_secret
from scim.models import (
    DecisionSystem,
    Delegation,
    Receiver,
    ReceiverCredential,
    Role,
    RoleName,
    Source,
    SourceCredential,
)
from scim.people import disabling

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime

_LIVE: Final = "live"
_ENDED: Final = "ended"
_GONE: Final = "gone"  # its row was deleted
_SECRET: Final = "client-secret:"  # noqa: S105 - a name


class Item(NamedTuple):
    """One thing that can be taken away.

    state: live, ended, or the digest of a client's secret. end: take it away. told: what was done and what to do.
    """

    name: str
    state: str
    end: Callable[[], object]
    told: str


def changed(known: Mapping[str, str], *, now: datetime) -> dict[str, str]:
    """The states that differ from the known ones; `gone` for what is not there any more."""
    present = {item.name: item.state for item in _items(now=now)}
    missing = {name: _GONE for name, state in known.items() if state != _GONE and name not in present}
    return {name: state for name, state in present.items() if known.get(name) != state} | missing


def returned(known: Mapping[str, str], *, now: datetime) -> list[Item]:
    """What the database has live, or with another secret, and the witness has seen taken away."""
    return [item for item in _items(now=now) if _is_back(item, known.get(item.name))]


def _is_back(item: Item, known: str | None) -> bool:
    if known is None or known == item.state:
        return False
    return item.name.startswith(_SECRET) or (item.state == _LIVE and known in {_ENDED, _GONE})


def _items(*, now: datetime) -> Iterator[Item]:
    return chain(_of_sources(now=now), _of_clients(now=now), _of_receivers(now=now), _of_keys_and_people(now=now))


def _of_sources(*, now: datetime) -> Iterator[Item]:
    for source in Source.objects.all():
        yield Item(
            f"source:{source.name}",
            _state(ended=source.disabled_at is not None),
            partial(disabling.disable_source, source, now=now),
            f"source {source.name} was disabled again; to undo it: manage.py source enable {source.name}",
        )
    for row in SourceCredential.objects.select_related("source"):
        yield Item(
            f"source-credential:{_digest(row.key)}",
            _state(ended=not row.is_live(now=now)),
            partial(SourceCredential.objects.filter(id=row.id).update, ended_at=now),
            f"credential {row.id} of source {row.source.name} was ended again; for a new token: "
            f"manage.py source rotate {row.source.name}",
        )


def _of_clients(*, now: datetime) -> Iterator[Item]:
    rows = ClientPolicy.objects.annotate(identifier=F("client__client_id"))
    for pk, identifier, disabled_at, secret_hash in rows.values_list("pk", "identifier", "disabled_at", "secret_hash"):
        row = ClientPolicy.objects.filter(pk=pk)
        yield Item(
            f"client:{identifier}",
            _state(ended=disabled_at is not None),
            partial(row.update, disabled_at=now),
            f"client {identifier} was disabled again; to undo it: manage.py client enable {identifier}",
        )
        if secret_hash:
            yield Item(
                f"{_SECRET}{identifier}",
                _digest(secret_hash),
                partial(row.update, secret_hash=hash_secret(secrets.token_urlsafe(), kind="client-secret")),
                f"client {identifier} had a newer secret, so that the backup's was ended; for a new one: "
                f"manage.py client rotate-secret {identifier}",
            )


def _of_receivers(*, now: datetime) -> Iterator[Item]:
    for receiver in Receiver.objects.all():
        yield Item(
            f"receiver:{receiver.name}",
            _state(ended=receiver.disabled_at is not None),
            partial(Receiver.objects.filter(id=receiver.id).update, disabled_at=now),
            f"receiver {receiver.name} was disabled again; to undo it: manage.py feed enable {receiver.name}",
        )
    for row in ReceiverCredential.objects.select_related("receiver"):
        is_live = row.ended_at is None and (row.expires_at is None or row.expires_at > now)
        yield Item(
            f"receiver-credential:{_digest(row.key)}",
            _state(ended=not is_live),
            partial(ReceiverCredential.objects.filter(id=row.id).update, ended_at=now),
            f"credential {row.id} of receiver {row.receiver.name} was ended again; for a new token: "
            f"manage.py feed rotate {row.receiver.name}",
        )


def _of_keys_and_people(*, now: datetime) -> Iterator[Item]:
    for upstream in Upstream.objects.all():
        yield Item(
            f"upstream:{upstream.slug}",
            _state(ended=upstream.disabled_at is not None),
            partial(Upstream.objects.filter(pk=upstream.pk).update, disabled_at=now),
            f"upstream {upstream.slug} was disabled again; for the links of people: "
            f"manage.py upstream disable {upstream.slug}",
        )
    for system in DecisionSystem.objects.all():
        yield Item(
            f"decision-system:{system.name}",
            _state(ended=system.ended_at is not None),
            partial(DecisionSystem.objects.filter(id=system.id).update, ended_at=now),
            f"system {system.name} was ended again; to undo it: manage.py request add-system, under another name",
        )
    for given in Delegation.objects.filter(until__gt=now):
        yield Item(
            f"delegation:{given.id}:{given.since.isoformat()}",
            _state(ended=given.ended_at is not None),
            partial(Delegation.objects.filter(id=given.id).update, ended_at=now),
            f"delegation {given.id} was ended again; to undo it: manage.py request delegate",
        )
    for kid, state in SigningKey.objects.values_list("kid", "state"):
        yield Item(
            f"key:{kid}",
            _state(ended=state == "revoked"),
            partial(keyring().revoke, kid, now=now),
            f"signing key {kid} was revoked again; a new one signs",
        )
    for row in Role.objects.select_related("person"):
        # Of a manager as databases of before the other roles name it, of which a witness may remember the end.
        name = f"manager:{row.person_id}" if row.role == RoleName.MANAGER else f"role:{_digest(_role(row))}"
        yield Item(
            f"{name}:{row.since.isoformat()}",
            _state(ended=row.ended_at is not None),
            partial(Role.objects.filter(id=row.id).update, ended_at=now),
            f"the role {row.role} of {row.person.get_username()} was ended again; to undo it: manage.py role give",
        )


def _role(row: Role) -> str:
    return f"{row.person_id} {row.role} {row.scope}"


def _state(*, ended: bool) -> str:
    return _ENDED if ended else _LIVE


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
