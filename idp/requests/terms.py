"""The wanted credential, and the terms that its approvers are shown: an approval holds for their hash only (RQ-1)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext_noop

from derived.changes import requests
from derived.changes.requests import Asking
from derived.errors import Reason, Refused
from derived.ledger import status
from derived.rules import rulebook
from derived.rules.agency import agency_of
from derived.rules.assurance import AAL, IAL
from derived.rules.kinds import POLICIES, Kind, Label, policy_of
from idp.enrol.grown import registry
from idp.policies import issuance
from scim.access import approving
from scim.models import Record

if TYPE_CHECKING:
    from collections.abc import Mapping

    from derived.models import Account, Credential, Request
    from derived.rules.requests import Approval
    from derived.rules.rulebook import Rulebook
    from scim.models import Person

FORM_FACTORS = ("phone", "tablet", "laptop", "key", "vpn")
LEAST_PURPOSE, MOST_PURPOSE = 4, 300
_LONGEST = {"model": 200, "serial": 80, "asset_tag": 80, "ticket": 80}
_LATEST = timedelta(days=5 * 366)


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A wanted credential. aal: its highest level. model, serial: the device must prove them, if given.

    until: the last day of the credential, or None.
    """

    kind: Kind
    label: Label
    aal: AAL
    form_factor: str
    purpose: str
    model: str = ""
    serial: str = ""
    asset_tag: str = ""
    managed: bool | None = None
    until: date | None = None
    ticket: str = ""


class WrongField(Exception):
    """A field of a form, a file or a command has a value that it cannot have. name: of the field."""

    def __init__(self, name: str, words: str) -> None:
        super().__init__(words)
        self.name, self.words = name, words


def wanted(said: Mapping[str, str], *, now: datetime) -> Wanted:
    """The wanted credential of a form, of a row of a file, or of a command.

    Raises: WrongField.
    """
    kinds = {kind.value: kind for kind in POLICIES if policy_of(kind).is_derived}
    kind = kinds.get(said.get("kind", ""))
    if kind is None:
        raise WrongField("kind", f"Choose one of {', '.join(sorted(kinds))}.")
    label = said.get("label", "") or Label.GENERIC.value
    if label not in {one.value for one in Label}:
        raise WrongField("label", f"Choose one of {', '.join(sorted(Label))}.")
    form_factor = said.get("form_factor", "")
    if form_factor not in FORM_FACTORS:
        raise WrongField("form_factor", f"Choose one of {', '.join(FORM_FACTORS)}.")
    purpose = said.get("purpose", "").strip()
    if not LEAST_PURPOSE <= len(purpose) <= MOST_PURPOSE or not purpose.isprintable():
        raise WrongField("purpose", f"Say in {LEAST_PURPOSE} to {MOST_PURPOSE} letters what it is needed for.")
    texts = {name: said.get(name, "").strip() for name in _LONGEST}
    for name, text in texts.items():
        if len(text) > _LONGEST[name] or not text.isprintable():
            raise WrongField(name, f"Use at most {_LONGEST[name]} printable letters.")
    return Wanted(
        kind=kind,
        label=Label(label),
        aal=_level(said.get("aal", ""), kind, Label(label)),
        form_factor=form_factor,
        purpose=purpose,
        managed={"yes": True, "no": False}.get(said.get("managed", "")),
        until=_day(said.get("until", ""), now=now),
        **texts,
    )


def _level(text: str, kind: Kind, label: Label) -> AAL:
    """The highest level: AAL3 in a certificate only if it is asked for, since it takes more approvals."""
    usual = AAL.AAL2 if policy_of(kind).in_person else policy_of(kind).ceiling
    if text not in {"", "2", "3"}:
        raise WrongField("aal", gettext_noop("Choose 2 or 3."))
    found = AAL(int(text)) if text else usual
    if found == AAL.AAL3 and policy_of(kind).in_person and label != Label.DERIVED_PIV:
        raise WrongField("aal", gettext_noop("A certificate at AAL3 has the label derived_piv."))
    return min(found, policy_of(kind).ceiling)


def _day(text: str, *, now: datetime) -> date | None:
    if not text:
        return None
    try:
        found = date.fromisoformat(text)
    except ValueError:
        raise WrongField("until", gettext_noop("Write a day as 2027-06-30.")) from None
    if not now.date() < found <= (now + _LATEST).date():
        raise WrongField("until", gettext_noop("Choose a day in the future, within five years."))
    return found


# --- the request ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Origin:
    """How a request came. channel: page, command, api or scim. batch: the id of an import. key: its idempotency."""

    channel: str
    batch: str = ""
    key: str = ""


def asking(want: Wanted, subject: Person, asker: Person, role: str, origin: Origin) -> Asking:
    """The request of a subject, as rules, people and root are now; for `approving.ask`.

    Raises: Refused(NOT_OFFERED) for a kind that is not issued to them.
    """
    rules = issuance.rules()
    groups = issuance.groups_of(subject)
    kind_rules = rules.of(want.kind)
    if not kind_rules.offered or want.label not in kind_rules.labels:
        raise Refused(Reason.NOT_OFFERED)
    if kind_rules.groups and not kind_rules.groups & groups:
        raise Refused(Reason.NOT_OFFERED)
    needed = rules.approval_of(want.kind, want.label, want.aal)
    until = datetime.combine(want.until, time.max, tzinfo=UTC) if want.until else None
    fields: dict[str, Any] = {
        "requested_by": f"{'operator' if origin.channel == 'command' else 'person'}:{asker.id}",
        "requester": asker.account,
        "role": role,
        "channel": origin.channel,
        "batch": origin.batch,
        "idempotency": origin.key,
        "kind": want.kind.value,
        "label": want.label.value,
        "aal": int(want.aal),
        "form_factor": want.form_factor,
        "device_name": "",
        "device_model": want.model,
        "device_serial": want.serial,
        "asset_tag": want.asset_tag,
        "managed": want.managed,
        "purpose": want.purpose,
        "ticket": want.ticket,
        "lasts_until": until,
    }
    terms = _terms(fields, subject, rules)
    root = terms["root"]["kind"] if terms["root"] else ""
    by_rule = ""
    if needed.approving_group and needed.approving_group in groups:
        by_rule = f"group:{needed.approving_group}"
    for rule in needed.automatic:
        if rule.holds(root=root, device="", groups=groups):
            by_rule = by_rule or f"rule:{rule.name}"
    policy_hash = terms["policy"]["sha256"]
    if by_rule:
        by_rule = f"{by_rule}@{policy_hash[:16]}"
    return Asking(fields=fields, terms=terms, rules=needed, policy_hash=policy_hash, by_rule=by_rule)


def present(row: Request) -> tuple[dict[str, object], Approval]:
    """The terms of a request as they are now, and the approval that the rules of now ask for it."""
    rules = issuance.rules()
    names = (
        "requested_by", "role", "kind", "label", "aal", "form_factor", "device_model", "device_serial", "asset_tag",
        "managed", "purpose", "ticket", "lasts_until",
    )  # fmt: skip
    fields = {name: getattr(row, name) for name in names}
    needed = rules.approval_of(Kind(row.kind), Label(row.label), AAL(row.aal))
    return _terms(fields, row.account.person, rules), needed.approval


def _terms(fields: Mapping[str, Any], subject: Person, rules: Rulebook) -> dict[str, Any]:
    """Everything that an approver is shown, as plain values."""
    kind, label = Kind(fields["kind"]), Label(fields["label"])
    account: Account = subject.account
    root = root_for(account, label, rules)
    level, why = _level_and_why(kind, AAL(fields["aal"]), root, rules)
    until, life = fields["lasts_until"], rules.lifetime(kind)
    return {
        "subject": {"id": str(subject.id), "name": subject.display_name(), "login_name": subject.login_name or ""},
        "requested_by": fields["requested_by"],
        "role": fields["role"],
        "kind": kind.value,
        "label": label.value,
        "level": {"aal": level, "why": why},
        "form_factor": fields["form_factor"],
        "device": {
            "model": fields["device_model"],
            "serial": fields["device_serial"],
            "asset_tag": fields["asset_tag"],
            "managed": fields["managed"],
        },
        "purpose": fields["purpose"],
        "ticket": fields["ticket"],
        "until": until.date().isoformat() if until else "",
        "lifetime_days": life.days if life else None,
        "root": {"id": str(root.id), "kind": root.kind, "name": root.name, "aal": int(status.level(root))}
        if root
        else None,
        "eligibility": _eligibility(subject, account, kind, rules),
        "policy": {"sha256": rulebook.digest(rules, kind)},
    }


def root_for(account: Account, label: Label, rules: Rulebook) -> Credential | None:
    """The root from which it would be derived: a card of the home agency for derived PIV, else the strongest one."""
    rows = [one for one in status.living(account.id).filter(root__isnull=True) if status.is_root(one)]
    if label == Label.DERIVED_PIV:
        rows = [one for one in rows if one.kind == Kind.PIV_CARD and _is_of_home_agency(one, rules)]
    return max(rows, key=lambda one: (status.level(one), one.created_at), default=None)


def _is_of_home_agency(card: Credential, rules: Rulebook) -> bool:
    numbers = card.certificates.filter(superseded_at__isnull=True).values_list("fasc_n", flat=True)
    return any(agency_of(one) in rules.home_agencies for one in numbers if agency_of(one))


def _level_and_why(kind: Kind, most: AAL, root: Credential | None, rules: Rulebook) -> tuple[int, list[str]]:
    """The highest level that it can have, and every bound of it."""
    bounds = [(int(policy_of(kind).ceiling), f"the kind {policy_of(kind).label}"), (int(most), "this request")]
    bounds.append((int(rules.of(kind).most_aal), "the rules of issuance"))
    if root is not None:
        bounds.append((int(status.level(root)), f"the root {root.name or policy_of(Kind(root.kind)).label}"))
    return min(level for level, _ in bounds), [f"AAL{level} at most: {name}" for level, name in bounds]


def _eligibility(subject: Person, account: Account, kind: Kind, rules: Rulebook) -> list[dict[str, Any]]:
    """The answers to each question of eligibility, with the sources that gave them and their versions (EL-4)."""
    rows = Record.objects.filter(person=subject, adopted=True, deleted_at__isnull=True).select_related("source")
    sources = [f"{one.source.name} version {one.version}" for one in rows.order_by("source__name", "id")]
    answers: list[tuple[str, object]] = [
        ("active", account.is_active),
        ("may hold derived credentials", account.eligible),
        ("identity assurance level", int(IAL(account.ial))),
    ]
    if groups := rules.of(kind).groups:
        answers.append(("in a group that it is issued to", bool(groups & issuance.groups_of(subject))))
    return [{"question": question, "answer": answer, "sources": sources} for question, answer in answers]


def ask(subject: Person, asker: Person, want: Wanted, origin: Origin, *, now: datetime) -> Request:
    """Ask for a credential of a subject.

    Raises: Refused of `approving.ask` and of `asking`.
    """
    return approving.ask(subject, asker, lambda fresh, role: asking(want, fresh, asker, role, origin), now=now)


def collect_page(row: Request) -> str:
    """The page on which a request is collected."""
    found = registry.module(Kind(row.kind))
    return found.OFFER.url if found is not None and found.OFFER is not None else "/devices"


def look(row: Request, *, now: datetime) -> Request:
    """A request as it stands now: one whose time is over is ended where it is looked at (WF-14)."""
    if not requests.standing_of(row).is_over(now=now) and row.epoch == row.account.epoch:
        return row

    def work(fresh: Request) -> Request:
        requests.end_if_over(fresh, now=now)
        return fresh

    return requests.under_locks_of(row.id, work)
