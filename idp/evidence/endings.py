"""The PS-4 report: who left, when each thing of theirs last worked, and that nothing worked afterwards (EV-8).

`received` is when the source's statement arrived, which ends the account in the same transaction unless the source
ended many at once: such a person is suspended at once, and ended after a manager's decision.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.db.models import Max, Min

from derived.models import Credential, Event, IssuedCertificate, OutboxRow, RevocationList
from derived.rules.kinds import Kind
from idp.evidence import exposure
from idp.evidence.records import told
from idp.models import AuthenticationEvent
from scim.models import Person, Record

if TYPE_CHECKING:
    from collections.abc import Iterable

    from derived.models import Account

LIMITS = {"low": timedelta(hours=4), "moderate": timedelta(hours=4), "high": timedelta(hours=1)}
_MOST = 100_000
_ENDED, _REOPENED = "account.terminated", "account.reopened"
_USES = ("tokens.granted", "credential.issued", "credential.activated", "certificate.released")
RETURNED = "hardware.returned"


@dataclass(frozen=True)
class Ending:
    """One ending of an account.

    effective: the source's own time of the statement; None where a person or the operator ended the account.
    received: when it arrived. last_before, last_after: the last success before and after the ending; after must be
    None. offline_until: until when an offline verifier may accept something. crl: the number of the first list of each
    authority after the ending that is kept. logouts: of the receivers that were told, those that accepted.
    """

    person: str
    account: str
    by: str
    because: str
    effective: datetime | None
    received: datetime
    ended: datetime
    kinds: dict[str, int]
    last_before: datetime | None
    last_after: datetime | None
    offline_until: datetime
    crl: str
    logouts: str
    returned: str

    @property
    def seconds(self) -> float:
        """From the arrival of the statement to the ending."""
        return round((self.ended - self.received).total_seconds(), 3)

    def row(self, limit: timedelta) -> dict[str, Any]:
        """The ending as a row of the report."""
        return {
            "person": self.person,
            "account": self.account,
            "by": self.by,
            "because": self.because,
            "effective": told(self.effective),
            "received": told(self.received),
            "ended": told(self.ended),
            "seconds": self.seconds,
            "late": self.ended - self.received > limit,
            "credentials": " ".join(f"{kind}:{count}" for kind, count in sorted(self.kinds.items())),
            "last_success_before": told(self.last_before),
            "success_after": told(self.last_after) or "none",
            "accepted_offline_until": told(self.offline_until),
            "crl": self.crl,
            "logouts": self.logouts,
            "hardware_returned": self.returned,
        }


def report(first: datetime, last: datetime, *, impact: str) -> list[dict[str, Any]]:
    """The endings of a period, the worst first: a success afterwards, then the slowest.

    impact: low, moderate or high, which gives the limit.
    """
    rows = Event.objects.filter(kind=_ENDED, at__gte=first, at__lte=last).select_related("account__person")
    found = [_ending(event) for event in rows.order_by("at")[:_MOST] if _is_first(event)]
    found.sort(key=lambda one: (one.last_after is None, -one.seconds, one.ended))
    return [one.row(LIMITS[impact]) for one in found]


def _is_first(event: Event) -> bool:
    """True unless a manager's decision was recorded over an ending that had happened before."""
    before = event.account.events.filter(kind__in=[_ENDED, _REOPENED], seq__lt=event.seq).order_by("-seq").first()
    return before is None or before.kind == _REOPENED


def _ending(event: Event) -> Ending:
    account, ended = event.account, event.at
    person: Person | None = getattr(account, "person", None)
    returned = account.events.filter(kind=_REOPENED, seq__gt=event.seq).aggregate(at=Min("at"))["at"]
    rows = Credential.objects.filter(account=account, created_at__lte=ended).exclude(kind=Kind.TOKEN_FAMILY)
    with_it = rows.filter(ended_at=ended)
    kinds = Counter(with_it.values_list("kind", flat=True))
    effective, received = _source_times(event, person)
    certificates = IssuedCertificate.objects.filter(credential__in=with_it).exists()
    return Ending(
        person=(person.login_name or str(person.id)) if person else "",
        account=str(account.id),
        by=event.actor,
        because=str(event.body.get("because", "")),
        effective=effective,
        received=received,
        ended=ended,
        kinds=dict(kinds),
        last_before=_last_before(account, ended),
        last_after=_last_after(account, event, until=returned),
        offline_until=ended + exposure.longest_offline(certificates=certificates),
        crl=_lists_after(ended) if certificates else "",
        logouts=_logouts(account, ended),
        returned=", ".join(_returned(account, ended)),
    )


def _source_times(event: Event, person: Person | None) -> tuple[datetime | None, datetime]:
    """When the source says that it holds, and when its statement arrived."""
    if not event.actor.startswith("source:") and not event.account.events.filter(kind="person.held").exists():
        return None, event.at
    held = event.account.events.filter(kind="person.held", seq__lt=event.seq).order_by("-seq").first()
    since = event.account.events.filter(kind__in=[_ENDED, _REOPENED, "person.held_given_back"], seq__lt=event.seq)
    is_held = held is not None and not since.filter(seq__gt=held.seq).exists()
    received = held.at if held is not None and is_held else event.at
    name = event.actor.removeprefix("source:") if not is_held or held is None else str(held.body.get("source", ""))
    record = Record.objects.filter(person=person, source__name=name).order_by("-stated_at").first() if person else None
    stated = record.stated_at if record is not None else None
    return (min(stated, received) if stated is not None else None), received


def _last_before(account: Account, ended: datetime) -> datetime | None:
    used = Credential.objects.filter(account=account, last_used_at__lte=ended).aggregate(at=Max("last_used_at"))["at"]
    login = AuthenticationEvent.objects.filter(account=account, at__lte=ended).aggregate(at=Max("at"))["at"]
    granted = account.events.filter(kind="tokens.granted", at__lte=ended).aggregate(at=Max("at"))["at"]
    return max((one for one in (used, login, granted) if one is not None), default=None)


def _last_after(account: Account, event: Event, *, until: datetime | None) -> datetime | None:
    """The last success of anything from before the ending, after it; none, if Ramet works.

    until: when the account was reopened; what was issued in the new epoch is another life.
    """
    old = Credential.objects.filter(account=account, created_at__lte=event.at)
    used = old.filter(last_used_at__gt=event.at).aggregate(at=Max("last_used_at"))["at"]
    login = AuthenticationEvent.objects.filter(credential__in=old, at__gt=event.at).aggregate(at=Max("at"))["at"]
    events = account.events.filter(kind__in=_USES, seq__gt=event.seq)
    done = (events.filter(at__lt=until) if until else events).aggregate(at=Max("at"))["at"]
    return max((one for one in (used, login, done) if one is not None), default=None)


def _lists_after(ended: datetime) -> str:
    """The numbers of the lists that were made after the ending and are kept, by authority."""
    rows = RevocationList.objects.filter(made_at__gte=ended, shard=-1).values_list("authority__name", "number")
    return " ".join(f"{name}:{number}" for name, number in rows.order_by("authority__name"))


def _logouts(account: Account, ended: datetime) -> str:
    """How many receivers of logout tokens were told; rows that were delivered are kept for some days."""
    rows = OutboxRow.objects.filter(account=account, kind="logout", created_at__gte=ended)
    total = rows.count()
    return f"{rows.filter(delivered_at__isnull=False).count()} of {total}" if total else ""


def _returned(account: Account, ended: datetime) -> Iterable[str]:
    """The hardware that came back, and to whom, as recorded around the ending."""
    for event in account.events.filter(kind=RETURNED, at__gte=ended - timedelta(days=30)).prefetch_related("details"):
        yield " ".join(one.value for one in sorted(event.details.all(), key=lambda one: one.name))
