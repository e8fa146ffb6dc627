"""The issuance rules: per kind for whom, under which label, at which level, on which devices, how many, how long.

The defaults are below; an operator writes differences as TOML (docs/operating.md), and `manage.py policy show` prints
all rules. A rule only narrows: nothing in a rulebook raises a level or extends a lifetime beyond `kinds`.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, fields, is_dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from derived.errors import Reason
from derived.rules.assurance import AAL
from derived.rules.kinds import MOST_DERIVED_PER_PERSON, POLICIES, Kind, Label, policy_of
from derived.rules.requests import Approval, stricter

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True, kw_only=True)
class DeviceFacts:
    """The proven facts about the device that holds a new key; a name given by the device itself is not part of it.

    type: software if nothing was proven, else android, apple, tpm, yubikey, passkey, … model, aaguid, serial: attested,
    or "". synced: the key can be copied to other devices (BE, PK-1).
    """

    type: str = "software"
    model: str = ""
    aaguid: str = ""
    serial: str = ""
    synced: bool = False


@dataclass(frozen=True, kw_only=True)
class ApprovedDevices:
    """The approved devices, by model name, AAGUID or serial number (RQ-4).

    Entries are compared exactly. An attested device is approved if any of the three lists it.
    """

    models: frozenset[str] = frozenset()
    aaguids: frozenset[str] = frozenset()
    serials: frozenset[str] = frozenset()

    def lists(self, device: DeviceFacts) -> bool:
        """True if the device is approved."""
        pairs = ((self.models, device.model), (self.aaguids, device.aaguid), (self.serials, device.serial))
        return any(said and said in listed for listed, said in pairs)


SUPERVISOR, MANAGER, GROUP = "supervisor", "manager", "group:"
_AAL3 = "aal3"


@dataclass(frozen=True, kw_only=True)
class AutomaticRule:
    """A rule that approves without a person: for everybody in `group` who derives from `root` into `device`.

    name: as the record names it. root: a kind of root; device: a type of device; group: of the person. "" for any.
    """

    name: str
    root: str = ""
    device: str = ""
    group: str = ""

    def holds(self, *, root: str, device: str, groups: frozenset[str]) -> bool:
        """True if it approves this issuance."""
        return self.root in {"", root} and self.device in {"", device} and (not self.group or self.group in groups)


@dataclass(frozen=True, kw_only=True)
class ApprovalRules:
    """Who must approve a credential before it is issued (RQ-1).

    approvers: the groups that are asked in turn: `supervisor`, `manager`, `group:` and a group. automatic: never at
    AAL3 in a certificate. approving_group: a group whose members a source has approved by putting them into it.
    """

    approval: Approval = Approval.NONE
    approvers: tuple[str, ...] = (MANAGER,)
    automatic: tuple[AutomaticRule, ...] = ()
    approving_group: str = ""


_APPROVALS = {
    Label.GENERIC.value: ApprovalRules(),
    Label.DERIVED_PIV.value: ApprovalRules(approval=Approval.ONE),
    _AAL3: ApprovalRules(approval=Approval.TWO),
}


@dataclass(frozen=True, kw_only=True)
class KindRules:
    """The issuance rules for a kind.

    approvals: by label, and `aal3` for certificates at that level; None for the defaults: nobody's for generic ones,
    one person's for derived PIV, two people's for a certificate at AAL3.

    offered: whether it is issued at all. labels: the permitted labels. groups: whose members may have it; none for
    everybody. devices: the permitted types of device; none for all. only_approved: only on approved devices (RQ-4).
    most_aal: the highest level. most: the highest number per person. lifetime: from issuance to expiry, never longer
    than the kind's. synced: the labels under which a copyable key is permitted (PK-3).
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
    approvals: Mapping[str, ApprovalRules] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Rulebook:
    """All issuance rules of an installation.

    home_agencies: FASC-N agency codes whose cards may be parents of a *derived PIV* credential; if empty, no credential
    has that label (EL-3). assigned: {serial: login name} of devices issued to a person (RQ-5). most_in_all: the highest
    number of living derived credentials per person, over all counted kinds (EL-5). digest: the beginning of the
    SHA-256 of the operator's file, by which a record of issuance names its rules; "" for the defaults.
    """

    terms: Mapping[Kind, KindRules] = field(default_factory=dict)
    approved: ApprovedDevices = field(default_factory=ApprovedDevices)
    home_agencies: frozenset[str] = frozenset()
    assigned: Mapping[str, str] = field(default_factory=dict)
    most_in_all: int = MOST_DERIVED_PER_PERSON
    digest: str = field(default="", compare=False)

    def of(self, kind: Kind) -> KindRules:
        """The terms of a kind."""
        return self.terms.get(kind, _USUAL)

    def approval_rules(self, kind: Kind) -> dict[str, ApprovalRules]:
        """The approval rules of a kind, by label."""
        return {**_APPROVALS, **self.of(kind).approvals}

    def approval_of(self, kind: Kind, label: Label, level: AAL) -> ApprovalRules:
        """The approval that a credential needs before it is issued; level: the one that it would have."""
        said = self.approval_rules(kind)
        found = said[label.value]
        if not (policy_of(kind).in_person and level == AAL.AAL3):
            return found
        high = said[_AAL3]
        return replace(high, approval=stricter(high.approval, found.approval), automatic=(), approving_group="")

    def refusal(self, kind: Kind, label: Label, device: DeviceFacts, *, groups: frozenset[str]) -> Reason | None:
        """The reason to refuse this issuance, or None; groups: the person's groups."""
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
        """The reason to refuse another credential of this person by number, or None (EL-5).

        of_kind, in_all: the numbers of living ones.
        """
        counted = policy_of(kind).counted
        return (
            Reason.TOO_MANY_CREDENTIALS
            if counted and (of_kind >= self.of(kind).most or in_all >= self.most_in_all)
            else None
        )

    def most(self, kind: Kind, label: Label, device: DeviceFacts, *, person: str) -> AAL:
        """The highest level of a credential under these rules; person: the login name.

        AAL3 takes an approved device, and under the PIV label a device issued to this very person (RQ-4, RQ-5).
        """
        listed = self.approved.lists(device)
        theirs = bool(device.serial) and bool(person) and self.assigned.get(device.serial) == person
        high = listed and (theirs or label == Label.GENERIC)
        return min(self.of(kind).most_aal, AAL.AAL3 if high else AAL.AAL2)

    def lifetime(self, kind: Kind) -> timedelta | None:
        """The time from issuance to expiry."""
        given = [one for one in (policy_of(kind).lifetime, self.of(kind).lifetime) if one is not None]
        return min(given, default=None)


_USUAL = KindRules()


def digest(rules: Rulebook, kind: Kind) -> str:
    """SHA-256 of the rules that a credential of this kind is issued by, in hex."""
    said = [_plain(rules.of(kind)), _plain(rules.home_agencies), rules.most_in_all, _plain(rules.approval_rules(kind))]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def _plain(value: object) -> object:
    """A value of a rulebook as JSON, in one order."""
    if isinstance(value, frozenset):
        return sorted(str(one) for one in value)
    if isinstance(value, dict):
        return {str(name): _plain(one) for name, one in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return {one.name: _plain(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return value if isinstance(value, str | int | None) else str(value)


# --- the TOML form ---


def read(document: Mapping[str, Any]) -> Rulebook:
    """The rulebook of a TOML document; missing entries have their defaults.

    Raises: ValueError with the fault, for any unknown name or value: a mistyped rule must not be ignored.
    """
    said = dict(document)
    approved, assigned = dict(said.pop("approved", {})), dict(said.pop("assigned", {}))
    agencies, most = said.pop("home_agencies", []), said.pop("most_in_all", MOST_DERIVED_PER_PERSON)
    terms = {}
    for name, rules in said.items():
        kinds = {kind.value for kind in POLICIES if policy_of(kind).is_derived}
        if name not in kinds or not isinstance(rules, dict):
            raise ValueError(f"[{name}] must be one of {', '.join(sorted(kinds))}")
        terms[Kind(name)] = _terms(name, rules)
    if unknown := set(approved) - {one.name for one in fields(ApprovedDevices)}:
        raise ValueError(f"[approved] has no {', '.join(sorted(unknown))}")
    if not all(isinstance(one, str) for pair in assigned.items() for one in pair) or not _is_number(most):
        raise ValueError('[assigned] is serial = "login name", and most_in_all a whole number')
    return Rulebook(
        terms=terms,
        approved=ApprovedDevices(**{name: _texts(f"approved.{name}", value) for name, value in approved.items()}),
        home_agencies=_texts("home_agencies", agencies),
        assigned=assigned,
        most_in_all=most,
    )


def _terms(kind: str, rules: Mapping[str, Any]) -> KindRules:
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
            case "generic" | "derived_piv" | "aal3" if isinstance(value, dict):
                if name == _AAL3 and not policy_of(Kind(kind)).in_person:
                    raise ValueError(f"[{where}] is for certificates only")
                made.setdefault("approvals", {})[name] = _approval(where, name, value)
            case _:
                raise ValueError(f"{where} = {value!r} is not valid")
    return KindRules(**made)


def _approval(where: str, label: str, rules: Mapping[str, Any]) -> ApprovalRules:
    """The approval rules of one label."""
    given = dict(rules)
    approval, approvers = given.pop("approval", _APPROVALS[label].approval), given.pop("approvers", [MANAGER])
    automatic, group = given.pop("automatic", []), given.pop("approving_group", "")
    _texts(f"{where}.approvers", approvers)
    if approval not in set(Approval):
        raise ValueError(f"{where}.approval is one of {', '.join(Approval)}")
    if not approvers or not all(_names_approvers(one) for one in approvers):
        raise ValueError(f'{where}.approvers names "supervisor", "manager" or "group:SOURCE/NAME"')
    if given or not isinstance(group, str) or not isinstance(automatic, list):
        raise ValueError(f"[{where}] has approval, approvers, automatic and approving_group only")
    if label == _AAL3 and (automatic or group):
        raise ValueError(f"[{where}] is never approved automatically")
    return ApprovalRules(
        approval=Approval(approval),
        approvers=tuple(approvers),
        automatic=tuple(_automatic(where, one) for one in automatic),
        approving_group=group,
    )


def _names_approvers(text: str) -> bool:
    return text in {SUPERVISOR, MANAGER} or (text.startswith(GROUP) and len(text) > len(GROUP))


def _automatic(where: str, rule: object) -> AutomaticRule:
    names = {one.name for one in fields(AutomaticRule)}
    given = rule if isinstance(rule, dict) else {}
    if not {"name"} < set(given) <= names or not all(isinstance(one, str) and one for one in given.values()):
        raise ValueError(f"{where}.automatic is a list of tables with a name and root, device or group")
    return AutomaticRule(**given)


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _texts(where: str, value: object) -> frozenset[str]:
    if not isinstance(value, list) or not all(isinstance(one, str) and one for one in value):
        raise ValueError(f"{where} is a list of texts")
    return frozenset(value)


# --- the printed form ---


def in_words(rules: Rulebook) -> list[str]:
    """The rules as printed lines, for the people who answer for them."""
    agencies = (
        f"and only for cards of {_listed(rules.home_agencies)}."
        if rules.home_agencies
        else "no home agency is configured, so no credential has it."
    )
    said = [
        (
            "Every derived credential takes a sign-in with a root credential, at AAL2 or more, at most 20 minutes old;"
            " never a sign-in with a derived credential."
        ),
        f"A person may have at most {rules.most_in_all} living derived credentials in all.",
        (
            "The label derived PIV: only from a PIV card, shown with its PIN, of a person at IAL3,"
            f" with a phishing-resistant key; {agencies}"
        ),
        (
            f"AAL3: only in devices on the approved list ({_approved(rules.approved)});"
            f" under derived PIV only in one that was issued to its holder ({len(rules.assigned)} recorded)."
        ),
    ]
    for kind in POLICIES:
        if policy_of(kind).is_derived:
            said += ["", *_of_kind(rules, kind)]
    return said


_IN_PERSON = [
    (
        "  AAL3 also takes the label derived PIV, a key proven to be in hardware that verifies its user at each use,"
        " and an identity check in person within the last 90 days that is unused (manage.py identity)."
    )
]


def _of_kind(rules: Rulebook, kind: Kind) -> list[str]:
    terms, life = rules.of(kind), rules.lifetime(kind)
    if not terms.offered:
        return [f"{policy_of(kind).label}: not issued."]
    people = f"members of {_listed(terms.groups)}" if terms.groups else "everybody"
    devices = f"in {_listed(terms.devices)}" if terms.devices else "in any type of device"
    synced = _listed(label.value for label in terms.synced) if terms.synced else "refused"
    each = f"{life.days} days" if life else "as long as the account lives"
    highest = int(min(policy_of(kind).ceiling, terms.most_aal))
    return [
        (
            f"{policy_of(kind).label}: issued to {people}, {devices}"
            f"{', if it is on the approved list' if terms.only_approved else ''}."
        ),
        (
            f"  Label: {_listed(label.value for label in terms.labels)}. Level: AAL{int(policy_of(kind).floor)} to"
            f" AAL{highest}, never above the sign-in or the root that it is derived from."
        ),
        f"  At most {min(terms.most, rules.most_in_all)} a person, each for {each}.",
        *_IN_PERSON[: policy_of(kind).in_person],
        f"  A key that can be copied to other devices: {synced}.",
        *_of_approvals(rules, kind),
    ]


_APPROVED_BY = {
    Approval.NONE: "no approval",
    Approval.ONE: "one approval",
    Approval.TWO: "the approvals of two people",
    Approval.SYSTEM: "the signed decision of a system",
}


def _of_approvals(rules: Rulebook, kind: Kind) -> list[str]:
    """One line for each label: the needed approvals, and the automatic rules."""
    cases = [(label.value.replace("_", " "), label, AAL.AAL2) for label in Label if label in rules.of(kind).labels]
    if policy_of(kind).in_person:
        cases.append(("derived piv at AAL3", Label.DERIVED_PIV, AAL.AAL3))
    said = []
    for name, label, level in cases:
        found = rules.approval_of(kind, label, level)
        by = f" from {_listed(found.approvers)}" if found.approval in {Approval.ONE, Approval.TWO} else ""
        automatic = f"; automatic: {_listed(one.name for one in found.automatic)}" if found.automatic else ""
        group = f"; members of {found.approving_group} are approved" if found.approving_group else ""
        said.append(f"  Approval for {name}: {_APPROVED_BY[found.approval]}{by}{automatic}{group}.")
    return said


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def _approved(approved: ApprovedDevices) -> str:
    parts = {"models": approved.models, "AAGUIDs": approved.aaguids, "serial numbers": approved.serials}
    return ", ".join(f"{len(found)} {name}" for name, found in parts.items() if found) or "empty"
