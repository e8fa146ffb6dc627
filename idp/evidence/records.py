"""The record of issuance of a credential: who asked, who approved, by which rules and proof, its use and end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from derived.changes import identity_checks
from derived.ledger import status
from derived.models import Credential, Event, IdentityCheck, IssuedCertificate, OutboxRow, Request
from derived.rules.kinds import Kind
from idp.config import config
from idp.models import AuthenticationEvent

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from django.db.models import QuerySet

_ENDS = ("credential.revoked", "credential.expired")
_FIRST_USES = ("credential.activated", "certificate.released")
_PROOFING = ("account.opened", "account.vouched")


def of_credentials(rows: QuerySet[Credential], *, until: Mapping[str, int]) -> list[dict[str, Any]]:
    """The records of credentials, in the order of their issue; token families have none.

    until: the length of each account's chain at the checkpoint of the export; later Events are not proven by it.
    """
    found = rows.exclude(kind=Kind.TOKEN_FAMILY).select_related("account__person", "root", "parent")
    made = ((row, until.get(str(row.account_id), 0)) for row in found.order_by("created_at", "id"))
    return [
        _record(row, events) for row, last in made if (events := list(row.events.filter(seq__lte=last).order_by("seq")))
    ]


def _record(row: Credential, events: list[Event]) -> dict[str, Any]:
    issued = next((one for one in events if one.kind == "credential.issued"), None)
    body: dict[str, Any] = issued.body if issued else {}
    return {
        "credential": str(row.id),
        "account": str(row.account_id),
        "person": _person(row),
        "kind": row.kind,
        "label": row.label if row.root_id else "",
        "level": {"aal": int(status.level(row)), "at_issuance": body.get("aal"), "ial": row.ial},
        "state": row.state,
        "issued": {"at": told(row.created_at), "by": issued.actor if issued else "", "epoch": row.epoch},
        "where": config().issuer,
        "request": _request(row),
        "rules": body.get("rules", ""),
        "cap": body.get("cap", {}),
        "parent": _parent(row, body),
        "login": {name: value for name, value in row.evidence.items() if name.startswith("login_")},
        "proofing": _proofing(row),
        "device": {name: value for name, value in dict(row.evidence.get("device") or {}).items() if name != "serial"},
        "attestation": _attestation(row),
        "certificate": _certificate(row),
        "key": row.jkt or "",
        "first_use": _first(events, _FIRST_USES),
        "last_use": told(row.last_used_at),
        "expires": told(row.expires_at),
        "notices": _notices(row),
        "end": _end(row, events),
        "events": [[one.seq, one.kind] for one in events],
    }


def told(at: datetime | None) -> str:
    """A time as an export has it: RFC 3339 in UTC, "" for none."""
    return at.isoformat() if at else ""


def _person(row: Credential) -> dict[str, str]:
    person = getattr(row.account, "person", None)
    return {} if person is None else {"id": str(person.id), "login_name": person.login_name or ""}


def _request(row: Credential) -> dict[str, Any]:
    found = Request.objects.filter(credential=row).order_by("created_at").first()
    if found is None:
        return {}
    return {
        "id": str(found.id),
        "by": found.requested_by,
        "role": found.role,
        "channel": found.channel,
        "at": told(found.created_at),
        "purpose": found.purpose,
        "form_factor": found.form_factor,
        "ticket": found.ticket,
        "approval": found.approval,
        "rule": found.rule,
        "terms_sha256": found.terms_hash,
        "rules_at_asking": found.policy_hash,
        "decisions": [
            {
                "by": one.by,
                "role": one.role,
                "approves": one.approves,
                "words": one.words,
                "terms_sha256": one.terms_hash,
                "at": told(one.at),
                "void_at": told(one.void_at),
            }
            for one in found.decisions.order_by("at")
        ],
    }


def _parent(row: Credential, body: dict[str, Any]) -> dict[str, Any]:
    if row.root is None:
        return {}
    return {
        "credential": str(row.root_id),
        "kind": row.root.kind,
        "state": row.root.state,
        "certificate": body.get("parent_certificate", {}),
    }


def _proofing(row: Credential) -> dict[str, Any]:
    """Who vouched for the identity, by the last Event before the issue, and the check in person, if there was one."""
    said = row.account.events.filter(kind__in=_PROOFING, at__lte=row.created_at).order_by("-seq").first()
    check = IdentityCheck.objects.defer("sample").filter(credential=row).first()
    return {
        "ial": row.ial,
        "by": said.actor if said else "",
        "at": told(said.at) if said else "",
        "bound_by": row.evidence.get("bound_by", ""),
        "in_person": {}
        if check is None
        else {name: value if isinstance(value, str) else str(value) for name, value in _fields(check).items()},
    }


def _fields(check: IdentityCheck) -> dict[str, object]:
    return {**identity_checks.fields_of(check), "at": told(check.at)}


def _attestation(row: Credential) -> dict[str, Any]:
    """The verdict on the key: what it proved, and in which hardware."""
    names = ("factors", "phishing_resistant", "hardware", "exportable", "reach", "vouched", "attested", "attestation")
    found = {name: row.evidence[name] for name in names if name in row.evidence}
    if isinstance(vouched := found.get("vouched"), dict):  # serial numbers identify a device
        found["vouched"] = {name: value for name, value in vouched.items() if name != "numbers"}
    return found


def _certificate(row: Credential) -> dict[str, Any]:
    found = IssuedCertificate.objects.filter(credential=row).first()
    if found is None:
        return {}
    return {
        "serial": found.serial,
        "sha256": found.fingerprint,
        "authority": str(found.authority_id),
        "policies": list(found.policies or []),
        "not_before": told(found.not_before),
        "not_after": told(found.not_after),
    }


def _first(events: Iterable[Event], kinds: tuple[str, ...]) -> dict[str, Any]:
    found = next((one for one in events if one.kind in kinds), None)
    return {} if found is None else {"at": told(found.at), "by": found.actor, "event": found.seq}


def _notices(row: Credential) -> list[dict[str, str]]:
    """Notices about it that the outbox still has, each with its outcome; delivered ones are kept for some days."""
    rows = OutboxRow.objects.filter(account=row.account_id, receiver__startswith="mail:")
    return [
        {
            "kind": one.kind,
            "at": told(one.created_at),
            "outcome": "delivered" if one.delivered_at else "refused" if one.parked_at else "waiting",
            "delivered_at": told(one.delivered_at),
        }
        for one in rows.filter(payload__credential=str(row.id)).order_by("id")
    ]


def _end(row: Credential, events: Iterable[Event]) -> dict[str, Any]:
    if row.ended_at is None:
        return {}
    found = next((one for one in events if one.kind in _ENDS), None)
    if found is None:
        with_all = row.account.events.filter(kind="account.terminated", at__gte=row.created_at).order_by("seq")
        found = with_all.first()
    return {
        "at": told(row.ended_at),
        "because": row.end_reason,
        "by": found.actor if found else "",
        "event": found.seq if found else 0,
    }


def logins_of(row: Credential) -> QuerySet[AuthenticationEvent]:
    """The sign-ins with a credential that are kept."""
    return AuthenticationEvent.objects.filter(credential=row)
