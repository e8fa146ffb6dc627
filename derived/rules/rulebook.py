"""What may be issued here, as one table: per kind for whom, under which label, how strong, on which devices, how many, how long.

The defaults are the table below; an operator writes what differs as TOML (docs/operating.md), and `manage.py policy show` says
the whole in words. A rule only narrows: nothing in a rulebook raises a level or lengthens a life beyond `kinds`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from derived.errors import Reason
from derived.rules.assurance import AAL
from derived.rules.kinds import MOST_DERIVED_PER_PERSON, POLICIES, Kind, Label, policy

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, kw_only=True)
class Device:
    """What a new key lives in, as far as that was proven; a name that the device gives itself is no part of it.

    type: software where nothing was proven, else android, apple, tpm, yubikey, passkey, … model, aaguid, serial: attested, or "".
    synced: the key can be copied to other devices (BE, PK-1).
    """

    type: str = "software"
    model: str = ""
    aaguid: str = ""
    serial: str = ""
    synced: bool = False


@dataclass(frozen=True, kw_only=True)
class Approved:
    """Devices that were looked at and found good: by model name, AAGUID, or one by one by serial number (RQ-4).

    Each entry is compared whole. An attested device is on the list if any of the three names it.
    """

    models: frozenset[str] = frozenset()
    aaguids: frozenset[str] = frozenset()
    serials: frozenset[str] = frozenset()

    def lists(self, device: Device) -> bool:
        """Whether a device is on the list."""
        pairs = ((self.models, device.model), (self.aaguids, device.aaguid), (self.serials, device.serial))
        return any(said and said in listed for listed, said in pairs)


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What holds for the issuance of one kind.

    offered: whether it is issued at all. labels: under which it may be. groups: whose members may have it; none for everybody.
    devices: types of device that it may live in; none for all. only_approved: only in a device on the list (RQ-4).
    most_aal: never above. most: how many one person may have. lifetime: from issue to expiry, never longer than the kind's.
    synced: labels under which a key that can be copied may be issued (PK-3).
    """

    offered: bool = True
    labels: frozenset[Label] = frozenset(Label)
    groups: frozenset[str] = frozenset()
    devices: frozenset[str] = frozenset()
    only_approved: bool = False
    most_aal: AAL = AAL.AAL3
    most: int = MOST_DERIVED_PER_PERSON
    lifetime: timedelta | None = None
    synced: frozenset[Label] = frozenset({Label.GENERIC})


@dataclass(frozen=True, kw_only=True)
class Rulebook:
    """The table.

    home_agencies: FASC-N agency codes whose cards may be parents of a *derived PIV* credential; none, and nothing bears that
    label (EL-3). assigned: {serial: login name} of devices that were issued to a person, as somebody found (RQ-5).
    most_in_all: living grown credentials a person may have, of all counted kinds (EL-5).
    """

    terms: Mapping[Kind, Terms] = field(default_factory=dict)
    approved: Approved = field(default_factory=Approved)
    home_agencies: frozenset[str] = frozenset()
    assigned: Mapping[str, str] = field(default_factory=dict)
    most_in_all: int = MOST_DERIVED_PER_PERSON

    def of(self, kind: Kind) -> Terms:
        """The terms of a kind."""
        return self.terms.get(kind, _USUAL)

    def refusal(self, kind: Kind, label: Label, device: Device, *, groups: frozenset[str]) -> Reason | None:
        """Why this may not be issued, or None; groups: those that the person is in."""
        terms = self.of(kind)
        if not terms.offered or label not in terms.labels or (terms.groups and not terms.groups & groups):
            return Reason.NOT_OFFERED
        if terms.devices and device.type not in terms.devices:
            return Reason.DEVICE_NOT_APPROVED
        if terms.only_approved and not self.approved.lists(device):
            return Reason.DEVICE_NOT_APPROVED
        if device.synced and label not in terms.synced:
            return Reason.DEVICE_NOT_APPROVED
        return None

    def refusal_of_number(self, kind: Kind, *, of_kind: int, in_all: int) -> Reason | None:
        """Why this person may not have one more, or None (EL-5); how many are living already."""
        counted = policy(kind).counted
        return (
            Reason.TOO_MANY_CREDENTIALS
            if counted and (of_kind >= self.of(kind).most or in_all >= self.most_in_all)
            else None
        )

    def most(self, kind: Kind, label: Label, device: Device, *, person: str) -> AAL:
        """The most that a credential may be worth here; person: the login name.

        AAL3 takes a device on the list, and under the PIV label one that was issued to this very person (RQ-4, RQ-5).
        """
        listed = self.approved.lists(device)
        theirs = bool(device.serial) and bool(person) and self.assigned.get(device.serial) == person
        high = listed and (theirs or label == Label.GENERIC)
        return min(self.of(kind).most_aal, AAL.AAL3 if high else AAL.AAL2)

    def lifetime(self, kind: Kind) -> timedelta | None:
        """From issue to expiry."""
        given = [one for one in (policy(kind).lifetime, self.of(kind).lifetime) if one is not None]
        return min(given, default=None)


_USUAL = Terms()


# --- as an operator writes it -----------------------------------------------------------------------------------------


def read(document: Mapping[str, Any]) -> Rulebook:
    """The rulebook that a TOML document describes; what it does not name is as usual.

    Raises: ValueError with what is wrong, for any name or value that is not understood: a mistyped rule must not be none.
    """
    said = dict(document)
    approved, assigned = dict(said.pop("approved", {})), dict(said.pop("assigned", {}))
    agencies, most = said.pop("home_agencies", []), said.pop("most_in_all", MOST_DERIVED_PER_PERSON)
    terms = {}
    for name, rules in said.items():
        grown = {kind.value for kind in POLICIES if policy(kind).grown}
        if name not in grown or not isinstance(rules, dict):
            raise ValueError(f"[{name}] is none of {', '.join(sorted(grown))}")
        terms[Kind(name)] = _terms(name, rules)
    if unknown := set(approved) - {one.name for one in fields(Approved)}:
        raise ValueError(f"[approved] has no {', '.join(sorted(unknown))}")
    if not all(isinstance(one, str) for pair in assigned.items() for one in pair) or not _is_number(most):
        raise ValueError('[assigned] is serial = "login name", and most_in_all a whole number')
    return Rulebook(
        terms=terms,
        approved=Approved(**{name: _texts(f"approved.{name}", value) for name, value in approved.items()}),
        home_agencies=_texts("home_agencies", agencies),
        assigned=assigned,
        most_in_all=most,
    )


def _terms(kind: str, rules: Mapping[str, Any]) -> Terms:
    made: dict[str, Any] = {}
    for name, value in rules.items():
        where = f"{kind}.{name}"
        match name:
            case "offered" | "only_approved" if isinstance(value, bool):
                made[name] = value
            case "groups" | "devices":
                made[name] = _texts(where, value)
            case "labels" | "synced":
                made[name] = frozenset(Label(one) for one in _texts(where, value))
            case "most" if _is_number(value):
                made[name] = value
            case "most_aal" if _is_number(value):
                made[name] = AAL(value)
            case "lifetime_days" if _is_number(value) and value:
                made["lifetime"] = timedelta(days=value)
            case _:
                raise ValueError(f"{where} = {value!r} is not understood")
    return Terms(**made)


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _texts(where: str, value: object) -> frozenset[str]:
    if not isinstance(value, list) or not all(isinstance(one, str) and one for one in value):
        raise ValueError(f"{where} is a list of texts")
    return frozenset(value)


# --- in words ---------------------------------------------------------------------------------------------------------


def in_words(rules: Rulebook) -> list[str]:
    """The whole table, a line each, for whoever has to answer for it."""
    said = [
        "Everything is grown from a sign-in with a root credential, at AAL2 or more, at most 20 minutes old; never from what was grown.",
        f"One person may have {rules.most_in_all} living ones in all.",
        "The label derived PIV: only from a PIV card, shown with its PIN, of a person at IAL3, with a phishing-resistant key; "
        + (
            f"and only for cards of {_listed(rules.home_agencies)}."
            if rules.home_agencies
            else "no home agency is named, so nothing bears it."
        ),
        (
            f"AAL3: only in devices on the approved list ({_approved(rules.approved)}); under derived PIV only in one that was issued to"
            f" its holder ({len(rules.assigned)} recorded)."
        ),
    ]
    for kind in POLICIES:
        if policy(kind).grown:
            said += ["", *_of_kind(rules, kind)]
    return said


_IN_PERSON = [
    (
        "  AAL3 takes besides: the label derived PIV, a key proven to be in hardware that asks for its holder at each use, and a check in"
        " person within 90 days on which nothing was issued (manage.py identity)."
    )
]


def _of_kind(rules: Rulebook, kind: Kind) -> list[str]:
    terms, life = rules.of(kind), rules.lifetime(kind)
    if not terms.offered:
        return [f"{policy(kind).label}: not issued."]
    devices = f"in {_listed(terms.devices)}" if terms.devices else "in any type of device"
    return [
        (
            f"{policy(kind).label}: issued to {f'members of {_listed(terms.groups)}' if terms.groups else 'everybody'}, {devices}"
            f"{', if it is on the approved list' if terms.only_approved else ''}."
        ),
        (
            f"  Label: {_listed(label.value for label in terms.labels)}. Level: AAL{int(policy(kind).floor)} to"
            f" AAL{int(min(policy(kind).ceiling, terms.most_aal))}, never above the sign-in or the root that it grew from."
        ),
        f"  At most {min(terms.most, rules.most_in_all)} a person, each for {f'{life.days} days' if life else 'as long as the account lives'}.",
        *_IN_PERSON[: policy(kind).in_person],
        f"  A key that can be copied to other devices: {_listed(label.value for label in terms.synced) if terms.synced else 'refused'}.",
    ]


def _listed(names: Any) -> str:  # noqa: ANN401 - an iterable of texts
    return ", ".join(sorted(names)) or "none"


def _approved(approved: Approved) -> str:
    parts = {"models": approved.models, "AAGUIDs": approved.aaguids, "serial numbers": approved.serials}
    return ", ".join(f"{len(found)} {name}" for name, found in parts.items() if found) or "empty"
