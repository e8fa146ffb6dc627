"""Issue derived credentials of any kind, and token families (AS-2, DK-2, EL-2 to EL-5, C5, C6)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from django.apps import apps
from django.db import IntegrityError, transaction

from derived.changes import identity_checks, requests
from derived.errors import Reason, Refused
from derived.ledger import audit, bound_keys, status
from derived.ledger.prepared_sql import insert_rows
from derived.ledger.rows import Draft, build_row, create_row, event_body, notify, require_active
from derived.models import Account, BoundKey, Credential, Request
from derived.rules.agency import agency_of
from derived.rules.assurance import AAL, IAL
from derived.rules.eligibility import highest_level, label_of, refusal, refusal_of_level
from derived.rules.kinds import POLICIES, Kind, Label, policy_of
from derived.rules.lifecycle import LIVING, State, may_move
from derived.rules.requests import FIRST_USE_WITHIN, Approval, RequestState
from derived.rules.rulebook import Rulebook

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from uuid import UUID

    from django.db.models import Model

    from derived.minting.proven import VerifiedProof
    from derived.models import IssuedCertificate, RequestDecision
    from derived.rules.assurance import Authentication
    from derived.rules.rulebook import ApprovalRules


@dataclass(frozen=True, kw_only=True)
class IssuanceRequest:
    """A request for a derived credential: requester, holder, login and rules (RQ-1).

    login: the live authentication, by `root`. name: given by the holder. by: the requester: `person`, `manager:…`.
    person: the holder's login name; groups: the holder's groups. counts: whether an approval of a request still counts;
    stands: whether its requester may still ask. Both are asked under the lock; without them no request is collected.
    """

    login: Authentication
    root: Credential
    name: str
    by: str = "person"
    purpose: str = "sign in on another device"
    person: str = ""
    groups: frozenset[str] = frozenset()
    rulebook: Rulebook = field(default_factory=Rulebook)
    counts: Callable[[RequestDecision], bool] | None = None
    stands: Callable[[Request], bool] | None = None


def derive(
    account: Account, proven: VerifiedProof, asked: IssuanceRequest, *, now: datetime, credential_id: UUID | None = None
) -> Credential:
    """Derive a credential from a root; it is pending until its first use (PK-4, BI-6, AS-2).

    credential_id: the id of the new row, if something was bound to it before.
    Raises: Refused with the reason of eligibility or of the rulebook, KEY_SEEN_BEFORE, CREDENTIAL_NOT_LIVE.
    """
    root = _parent(account, asked, now=now)
    label = _label(account, root, proven, asked)
    request = requests.open_request(account, proven.kind, now=now)
    if request is not None and request.label == Label.GENERIC:
        label = Label.GENERIC  # the approval of a generic credential is none of a derived PIV credential
    if reason := asked.rulebook.refusal(proven.kind, label, proven.device, groups=asked.groups):
        if request is not None and reason == Reason.NOT_OFFERED:
            requests.lapse(request, reason, now=now)
        raise Refused(reason, spends=request is not None)
    limits: tuple[AAL, ...] = (
        asked.login.aal,
        asked.rulebook.most(proven.kind, label, proven.device, person=asked.person),
        highest_level(proven.kind, label, proven.shown, vetted=identity_checks.unused(account, now=now) is not None),
    )
    if request is not None:
        limits = (*limits, AAL(request.aal))
    draft = replace(_draft(root, proven, asked, label=label, limits=limits, now=now), credential_id=credential_id)
    if request is not None:
        draft = replace(draft, lifetime=_lifetime(draft, request, now=now))
    if reason := refusal_of_level(proven.kind, draft.level) or _too_many(account, proven.kind, asked.rulebook):
        raise Refused(reason)
    rule = _admitted(request, proven, asked, draft, now=now)
    row = _written(account, draft, proven)
    released = not policy_of(proven.kind).released_later
    body = {**event_body(row), **_decision(row, asked, draft)}
    if request is None:
        _recorded(row, proven, asked, rule=rule, now=now)
    else:
        requests.issued(request, row, released=released, actor=asked.by, now=now)
        body = {**body, "request": str(request.id)}
    personal = {"name": asked.name, **({"serial": proven.device.serial} if proven.device.serial else {})}
    audit.record(account, "credential.issued", now=now, actor=asked.by, credential=row, body=body, personal=personal)
    notify(account, "device.bound", row, now=now)
    return row


def _lifetime(draft: Draft, request: Request, *, now: datetime) -> timedelta | None:
    """The lifetime of a draft, no longer than was approved.

    Raises: Refused(REQUEST_EXPIRED) if the approved end has passed.
    """
    lives = [draft.lifetime or policy_of(draft.kind).lifetime]
    if days := request.terms.get("lifetime_days"):
        lives.append(timedelta(days=days))
    if request.lasts_until is not None:
        if request.lasts_until <= now:
            raise Refused(Reason.REQUEST_EXPIRED)
        lives.append(request.lasts_until - now)
    return min((one for one in lives if one is not None), default=None)


def _admitted(
    request: Request | None, proven: VerifiedProof, asked: IssuanceRequest, draft: Draft, *, now: datetime
) -> str:
    """Claim the approved request of this issuance; without one, the name of the rule by which none is needed.

    Raises: Refused(APPROVAL_NEEDED) (WF-1); of a request, as `requests.require_collectable` and `requests.collect`;
    Refused(IDENTITY_CHECK_NEEDED) if AAL3 was approved for a certificate, and the check is missing or too old (RQ-6).
    """
    rules = asked.rulebook.approval_of(proven.kind, draft.label, draft.level)
    is_free = rules.approval == Approval.NONE
    rule = "" if is_free else _automatic(rules, proven, asked)
    if request is None:
        if not is_free and not rule:
            raise Refused(Reason.APPROVAL_NEEDED)
        return rule
    collecting = requests.Collecting(
        label=draft.label,
        device=proven.device,
        root=asked.root,
        rules=rules,
        counts=asked.counts,
        stands=asked.stands,
        by_rule=is_free or bool(rule),
    )
    requests.require_collectable(request, collecting, now=now)
    is_high = policy_of(proven.kind).in_person and request.aal == AAL.AAL3
    if is_high and identity_checks.unused(request.account, now=now) is None:
        raise Refused(Reason.IDENTITY_CHECK_NEEDED)
    requests.collect(request, now=now)
    return ""


def _automatic(rules: ApprovalRules, proven: VerifiedProof, asked: IssuanceRequest) -> str:
    """The name of the rule that approves this issuance without anybody, or ""."""
    if rules.approving_group and rules.approving_group in asked.groups:
        return f"group:{rules.approving_group}"
    for rule in rules.automatic:
        if rule.holds(root=asked.root.kind, device=proven.device.type, groups=asked.groups):
            return f"rule:{rule.name}"
    return ""


def _recorded(row: Credential, proven: VerifiedProof, asked: IssuanceRequest, *, rule: str, now: datetime) -> None:
    """Record the request of an issuance that needed no approval (RQ-1)."""
    account = row.account
    later = policy_of(proven.kind).released_later
    Request.objects.create(
        account=account,
        epoch=account.epoch,
        state=RequestState.COLLECTING if later else RequestState.ISSUED,
        requested_by=asked.by,
        kind=proven.kind,
        label=row.label,
        aal=row.aal,
        device_name=asked.name,
        device_type=proven.device.type,
        device_model=proven.device.model,
        purpose=asked.purpose,
        rule=rule,
        login_aal=asked.login.aal,
        created_at=now,
        decided_at=now,
        consumed_at=now,
        expires_at=None if later else now + FIRST_USE_WITHIN,
        credential=row,
    )


def renew_derived(
    account: Account, old: Credential, proven: VerifiedProof, asked: IssuanceRequest, *, now: datetime
) -> Credential:
    """Renew a derived credential by itself, with the same root and label, and no stronger (MT-2).

    Account and rulebook are checked again; no login by a root is needed.
    Raises: Refused(CREDENTIAL_NOT_LIVE), Refused(NOT_A_ROOT) if its root was compromised; as `derive`.
    """
    require_active(account)
    fresh = Credential.objects.select_related("root", "parent").get(id=old.id)
    if not status.is_live(fresh, account, now=now):
        raise Refused(Reason.CREDENTIAL_NOT_LIVE)
    if fresh.root is None or fresh.kind != proven.kind or fresh.root.end_reason == Reason.COMPROMISED:
        raise Refused(Reason.NOT_A_ROOT)
    # a new module of hardware takes a full issuance (MT-2)
    return _succeeds(account, fresh, fresh.root, proven, asked, vetted=False, now=now)


def reissue(
    account: Account, old: IssuedCertificate, proven: VerifiedProof, asked: IssuanceRequest, *, now: datetime
) -> Credential:
    """Reissue a certificate on hold for the same key, with the same root and label, and no stronger (MT-4).

    The caller has checked the hold and the key.
    Raises: Refused(CREDENTIAL_NOT_LIVE) if its root has ended; Refused(KEY_SEEN_BEFORE) if the key was bound elsewhere.
    """
    require_active(account)
    root = old.credential.root
    if root is None or not status.is_live(root, account, now=now):
        raise Refused(Reason.CREDENTIAL_NOT_LIVE)
    first = identity_checks.first_of(old)
    if BoundKey.objects.filter(name__in=proven.keys).exclude(credential=first.credential_id).exists():
        raise Refused(Reason.KEY_SEEN_BEFORE)
    vetted = identity_checks.check_of(old) is not None
    return _succeeds(account, old.credential, root, replace(proven, keys=()), asked, vetted=vetted, now=now)


def _succeeds(  # noqa: PLR0913 - the parts of a successor
    account: Account,
    old: Credential,
    root: Credential,
    proven: VerifiedProof,
    asked: IssuanceRequest,
    *,
    vetted: bool,
    now: datetime,
) -> Credential:
    """Write the successor of a credential, with its Request, Event and notice.

    Raises: Refused.
    """
    label = status.label(old, account) or Label.GENERIC  # the person's IAL may have fallen since (AS-3)
    if reason := asked.rulebook.refusal(proven.kind, label, proven.device, groups=asked.groups):
        raise Refused(reason)
    limits = (
        status.level(old),
        asked.rulebook.most(proven.kind, label, proven.device, person=asked.person),
        highest_level(proven.kind, label, proven.shown, vetted=vetted),
    )
    draft = _draft(root, proven, asked, label=label, limits=limits, now=now)
    first = Request.objects.filter(credential=old).order_by("created_at").first()
    if first is not None:  # no successor outlives the end that was approved
        draft = replace(draft, lifetime=_lifetime(draft, first, now=now))
    if reason := refusal_of_level(proven.kind, draft.level):
        raise Refused(reason)
    row = _written(account, draft, proven)
    _recorded(row, proven, asked, rule="renewal", now=now)
    if first is not None and first.lasts_until is not None:
        Request.objects.filter(credential=row).update(lasts_until=first.lasts_until)
    body = {**event_body(row), **_decision(row, asked, draft), "renews": str(old.id)}
    audit.record(
        account, "credential.issued", now=now, actor=asked.by, credential=row, body=body, personal={"name": asked.name}
    )
    notify(account, "device.bound", row, now=now)
    return row


def _decision(row: Credential, asked: IssuanceRequest, draft: Draft) -> dict[str, object]:
    """The facts of the decision, for the record of issuance: rules, request, cap, and the parent's certificate."""
    parent = row.root.certificates.filter(superseded_at__isnull=True).order_by("-seen_at").first() if row.root else None
    shown = {} if parent is None else {
        "parent_certificate": {
            "sha256": parent.fingerprint, "serial": parent.serial, "issuer": parent.issuer,
            "first_seen": parent.seen_at.isoformat(),
            "status_at_login": "good",  # path and status are validated at each sign-in, which refuses otherwise
        }
    }  # fmt: skip
    return {
        "rules": asked.rulebook.digest or "defaults",
        "purpose": asked.purpose,
        "cap": {
            "kind": int(policy_of(draft.kind).ceiling),
            "key": int(draft.reaches),
            "limits": [int(one) for one in draft.limits],
            "parent": int(status.level(draft.parent)) if draft.parent else 0,
        },
        **shown,
    }


def _parent(account: Account, asked: IssuanceRequest, *, now: datetime) -> Credential:
    """The root as read under the lock, if this login may issue from it.

    Raises: Refused.
    """
    require_active(account)
    root = Credential.objects.select_related("root", "parent").get(id=asked.root.id)
    if not status.is_live(root, account, now=now):
        raise Refused(Reason.CREDENTIAL_NOT_LIVE)
    if not status.is_root(root):
        raise Refused(Reason.NOT_A_ROOT)
    if reason := refusal(asked.login, now=now):
        raise Refused(reason)
    return root


def _label(account: Account, root: Credential, proven: VerifiedProof, asked: IssuanceRequest) -> Label:
    cards = root.certificates.filter(superseded_at__isnull=True).values_list("fasc_n", flat=True)
    home = any(agency_of(one) in asked.rulebook.home_agencies for one in cards if agency_of(one))
    label = label_of(asked.login, root=Kind(root.kind), ial=IAL(account.ial), own=proven.shown, home_agency=home)
    # Where the rulebook forbids the label for copyable keys, such a key gets the generic label (PK-3).
    if proven.device.synced and label not in asked.rulebook.of(proven.kind).synced:
        return Label.GENERIC
    return label


def _too_many(account: Account, kind: Kind, rulebook: Rulebook) -> Reason | None:
    counted = [one for one in POLICIES if policy_of(one).counted]
    living = Credential.objects.filter(account=account, state__in=LIVING, epoch=account.epoch, kind__in=counted)
    return rulebook.refusal_of_number(kind, of_kind=living.filter(kind=kind).count(), in_all=living.count())


def _draft(  # noqa: PLR0913 - the parts of a row
    root: Credential,
    proven: VerifiedProof,
    asked: IssuanceRequest,
    *,
    label: Label,
    limits: tuple[AAL, ...],
    now: datetime,
) -> Draft:
    ends = [proven.not_after - now] if proven.not_after else []
    ends += [life] if (life := asked.rulebook.lifetime(proven.kind)) else []
    return Draft(
        kind=proven.kind,
        reaches=proven.shown.reach,
        limits=limits,
        state=State.PENDING,
        name=asked.name[:80],
        now=now,
        parent=root,
        jkt=proven.jkt,
        evidence=_evidence(proven, asked),
        label=label,
        lifetime=min(ends, default=None),
    )


def _written(account: Account, draft: Draft, proven: VerifiedProof) -> Credential:
    """Write the row, the names of its keys and its verifier, all or nothing.

    Raises: Refused(KEY_SEEN_BEFORE).
    """
    bound_keys.require_free(proven.keys, proven.unproven_keys)
    try:
        with transaction.atomic():
            row = create_row(account, draft)
            bound_keys.bind(row, proven.keys, proven.unproven_keys)
            apps.get_model("derived", policy_of(proven.kind).verifier).objects.create(credential=row, **proven.verifier)
    except IntegrityError:  # another account binds the same key concurrently, under its own lock
        raise Refused(Reason.KEY_SEEN_BEFORE) from None
    return row


def _evidence(proven: VerifiedProof, asked: IssuanceRequest) -> dict[str, object]:
    """The evidence for a credential's level (BI-6)."""
    device = {name: value for name, value in vars(proven.device).items() if value not in ("", False)}
    return {
        "factors": sorted(proven.shown.factors),
        "phishing_resistant": proven.shown.phishing_resistant,
        "hardware": proven.shown.hardware_protected,
        "amr": list(proven.shown.amr),
        "reach": int(proven.shown.reach),
        "device": device,
        "login_aal": int(asked.login.aal),
        "login_at": asked.login.at.isoformat(),
        "login_by": asked.login.by,
        "login_factors": sorted(asked.login.factors),
        **proven.evidence,
    }


def token_family(  # noqa: PLR0913 - the parts of a grant
    account: Account,
    *,
    used: Credential,
    login: Authentication,
    client_id: str,
    lifetime: timedelta,
    now: datetime,
    actor: str,
    family_id: UUID | None = None,
    hanging: Callable[[Credential], Sequence[Model]] = lambda _: (),
) -> Credential:
    """Record the token family of a login at a relying party, never above the login's level (C3).

    family_id: its id, if the consumed row names it already. hanging: rows of `idp` that belong to the new family;
    written with it, in one statement where the database can.
    Raises: Refused(ACCOUNT_NOT_ACTIVE), Refused(CREDENTIAL_NOT_LIVE).
    """
    require_active(account)
    if not status.is_live(used, account, now=now):
        raise Refused(Reason.CREDENTIAL_NOT_LIVE)
    draft = Draft(
        kind=Kind.TOKEN_FAMILY,
        reaches=login.aal,
        state=State.ACTIVE,
        name=client_id[:80],
        now=now,
        parent=used,
        evidence={"factors": sorted(login.factors), "auth_time": int(login.at.timestamp())},
        lifetime=lifetime,
        credential_id=family_id,
    )
    row = build_row(account, draft)
    event = audit.build_event(
        account,
        "tokens.granted",
        now=now,
        actor=actor,
        credential=row,
        body={"client_id": client_id, "aal": int(row.aal)},
    )
    insert_rows(row, event, *hanging(row))
    return row


def activate(credential: Credential, *, account: Account, now: datetime, actor: str) -> None:
    """Activate a pending credential on its first login (PK-4), and notify the person.

    Raises: Refused(ILLEGAL_MOVE) unless it is pending; Refused(ACCOUNT_NOT_ACTIVE), Refused(CREDENTIAL_NOT_LIVE).
    """
    require_active(account)
    if credential.epoch != account.epoch or (credential.expires_at and credential.expires_at <= now):
        raise Refused(Reason.CREDENTIAL_NOT_LIVE)
    if not may_move(State(credential.state), State.ACTIVE) or credential.state != State.PENDING:
        raise Refused(Reason.ILLEGAL_MOVE)
    requests.activated(credential, now=now)
    credential.state, credential.activated_at = State.ACTIVE, now
    credential.save(update_fields=["state", "activated_at"])
    audit.record(account, "credential.activated", now=now, actor=actor, credential=credential)
    notify(account, "device.active", credential, now=now)
