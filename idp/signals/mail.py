"""Notices to people: to every address of the person, with links made at delivery (NT-1 to NT-5, BI-3).

The payload of an outbox row holds ids; the content is read from the database at delivery (C85).
"""

from __future__ import annotations

import hashlib
import logging
import smtplib
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.core.mail import get_connection
from django.template.loader import render_to_string
from django.utils import translation
from django.utils.formats import date_format
from django.utils.translation import gettext, gettext_noop

from derived.changes import revoke
from derived.changes.issue import GivenBy
from derived.errors import Reason
from derived.ledger import outbox, status
from derived.ledger.locking import under_lock
from derived.models import Account, Credential, OutboxRow, Request
from derived.rules.kinds import Kind, policy_of
from derived.rules.lifecycle import LIVING, State
from derived.rules.requests import RequestState
from idp import clients
from idp.config import config
from idp.enrol.devices import undo_links as undo
from idp.enrol.roots import invitations as invitation
from idp.enrol.roots import mailed_codes
from idp.errors import ENDINGS
from idp.login import language
from idp.models import RecoveryAttempt, RedressCase
from idp.secrets import grouped
from idp.signals import transport
from idp.signals.mail_page import as_page
from idp.signals.transport import NotInternational
from scim.models import Access, AccessState, EmergencyAccess, Person, RoleName, RoleReview
from scim.people import notices

if TYPE_CHECKING:
    from datetime import datetime


logger = logging.getLogger(__name__)

KINDS = (
    "invite", "authenticator.bound", "authenticator.changed", "device.bound", "device.active", "credential.ended",
    "authenticator.disabled", "credential.review", "credential.suspended", "account.ended", "account.frozen",
    "profile_changed", "access.changed", "mail.refused", "brake.held", "push.refused", "adoption.waits",
    "return.waits", "account.recovery", "recovery.codes", "pass.issued", "help.asked", "role.changed",
    "role.review", "emergency.opened", "redress.opened", "redress.answered",
    "request.changed", "request.decide", "credential.expiring", "account.unused",
)  # fmt: skip
_BOUND_BY = {
    "invitation": gettext_noop("added through the invitation to your account"),
    "login": gettext_noop("added by someone who was signed in as you"),
    "manager": gettext_noop("added by your identity team"),
    "vouched": gettext_noop("added through the invitation after your identity team had checked that it is you"),
    "recovery": gettext_noop("added with one of your recovery codes"),
}
_CHANGES = {
    "password": gettext_noop("Its password was changed"),
    "name": gettext_noop("It has this new name"),
    "codes": gettext_noop("Its recovery codes were replaced by new ones"),
}
_NOTICES = {
    "invite": gettext_noop("the invitation"),
    "account.ended": gettext_noop("the notice that the account ended"),
}
# Sources write a person several times in a row: one mail at the end tells it all, and holds the one link that works.
_IN_BURSTS = frozenset({"invite", "profile_changed", "access.changed", "adoption.waits", "return.waits"})
_LONGEST_PAUSE = 12  # times the pause, after the first cause
_PERMANENT = 500
_ONCE_A = timedelta(days=1)
# about another person
_FOR_MANAGERS = frozenset(
    {
        "mail.refused",
        "brake.held",
        "push.refused",
        "adoption.waits",
        "return.waits",
        "help.asked",
        "role.changed",
        "role.review",
        "emergency.opened",
        "redress.opened",
        "request.decide",
    }
)
_SUSPENDED = {
    "name_changed": (
        gettext_noop(
            "it shows a name that is no longer yours. Its holder can have it with the new one, for the same key: "
            "My devices, Correct the name"
        )
    ),
    "upstream_capped": gettext_noop("it rests on a sign-in at another provider that is trusted less than before"),
    "review_overdue": gettext_noop("nobody confirmed in time that you still need it"),
    "suspended_by_person": gettext_noop(
        "it was suspended on the My devices page. Its holder can lift that there, signed in another way"
    ),
    "upstream_disabled": gettext_noop("it rests on a sign-in at another provider that is switched off"),
}
# Endings by the person, or by an intruder in their place, so the notice can freeze the account.
_BY_PERSON = frozenset(
    {
        Reason.REMOVED_BY_PERSON,
        Reason.REPORTED_BY_PERSON,
        Reason.DISOWNED_BY_PERSON,
        Reason.REPLACED,
        Reason.COMPROMISED,
    }
)


class MailRefused(Exception):
    """No address of a notice takes mail; another try is useless."""


def pause_of(quiet: timedelta) -> outbox.Pause:
    """The pause of mail whose causes come in bursts, where a burst is over after `quiet` without another cause."""
    return outbox.Pause(kinds=_IN_BURSTS, quiet=quiet, longest=_LONGEST_PAUSE * quiet)


def tell_managers(row: OutboxRow, *, now: datetime) -> None:
    """Notify every manager of a notice that no address accepted; once a day per person."""
    if row.kind == "mail.refused" or row.account_id is None:
        return
    payload: dict[str, object] = {"of": str(row.account_id), "kind": row.kind}
    recent = OutboxRow.objects.filter(kind="mail.refused", payload__of=payload["of"], created_at__gt=now - _ONCE_A)
    if recent.exists():
        return
    notices.tell_managers("mail.refused", payload, now=now)


def deliver(row: OutboxRow, *, now: datetime) -> None:
    """Send the notice of a row, unless it no longer applies.

    Raises: OSError, smtplib.SMTPException if the mail could not be handed over.
    """
    account = row.account
    person: Person | None = getattr(account, "person", None) if account else None
    if account is None or person is None or revoke.is_deceased(account):
        return
    with translation.override(language.of_person(person)):
        _deliver(row, account, person, now=now)


def _deliver(row: OutboxRow, account: Account, person: Person, *, now: datetime) -> None:
    if row.kind in {"invite", "recovery.codes"}:
        (_invite if row.kind == "invite" else _codes)(row, account, person, now=now)
        return
    credential = (
        Credential.objects.filter(id=row.payload.get("credential")).first() if "credential" in row.payload else None
    )
    match row.kind:
        case "access.changed":
            template, values = _of_access(row)
        case "request.changed" | "request.decide":
            template, values = _of_request(row, person)
        case "brake.held":
            template, values = "brake_held", {"source": row.payload.get("source", ""), "link": _console("held")}
        case "adoption.waits":
            template, values = "adoption_waits", {**_of_another(row), "source": row.payload.get("source", "")}
        case "push.refused" | "return.waits":
            template, values = row.kind.replace(".", "_"), _of_push(row)
        case "mail.refused" | "help.asked" | "redress.opened" | "redress.answered":
            template, values = row.kind.replace(".", "_"), _of_another(row)
        case _:
            template, values = _own(row, credential, now=now)
    if template:
        _send(row, template, {**values, "display_name": person.display_name()}, _addresses(row, person))


def _addresses(row: OutboxRow, person: Person) -> list[str]:
    """Return every address of the person, and recently replaced ones (trap 3, NT-1, ID-9, ruling 29).

    An intruder would hide a notice by a change of address. A manager's notice about another person needs the present
    ones.
    """
    former = [] if row.kind in _FOR_MANAGERS else person.former_addresses
    return list(dict.fromkeys([*person.addresses(), *former]))


def _invite(row: OutboxRow, account: Account, person: Person, *, now: datetime) -> None:
    address = person.invitation_address()
    if not address or not person.login_name:
        return

    def work(locked: Account) -> str | None:
        if not status.may_be_invited(locked, address, now=now):
            return None
        return invitation.make(locked, address, now=now)

    token = under_lock(account.id, work)
    if token:
        link = f"{config().issuer}/invitation/{token}"
        hours = int(invitation.LIVES.total_seconds() // 3600)
        names = {"display_name": person.display_name(), "username": person.login_name}
        _send(row, "invitation", {**names, "link": link, "hours": hours}, [address])


def _codes(row: OutboxRow, account: Account, person: Person, *, now: datetime) -> None:
    """Send the codes of an attempt to come back, one to each address, while the attempt waits for them."""
    found = RecoveryAttempt.objects.filter(id=row.payload.get("attempt"), account=account, expires_at__gt=now).first()
    if found is None or found.consumed_at is not None or not mailed_codes.is_meant(found, account, now=now):
        return
    for code, address in zip(mailed_codes.codes(found), mailed_codes.addresses(person, now=now), strict=True):
        values = {"display_name": person.display_name(), "code": grouped(code)}
        _send(row, "recovery_code", values, [address])


def _notice(row: OutboxRow, credential: Credential | None, *, now: datetime) -> tuple[str, dict[str, Any]]:
    """The template of a notice and its values; "" if there is nothing to send."""
    values: dict[str, Any] = {"when": date_format(row.created_at, "DATETIME_FORMAT") + " UTC"}
    because = str(row.payload.get("because", ""))
    why = gettext(ENDINGS.get(because, gettext_noop("it was ended")))
    match row.kind, credential:
        case (("device.bound" | "device.active" | "authenticator.bound" | "pass.issued"), Credential()):
            return row.kind.replace(".", "_"), {**values, **_of_new(row, credential, now=now)}
        case (("authenticator.changed" | "authenticator.disabled"), Credential()):
            change = gettext(_CHANGES.get(str(row.payload.get("change", "")), gettext_noop("It was changed")))
            told = {
                **values,
                "what": credential.name,
                "change": change,
                "freeze_link": _link(credential, undo.FREEZE, now=now),
            }
            return row.kind.replace(".", "_"), told
        case "credential.ended", Credential():
            link = _link(credential, undo.FREEZE, now=now) if because in _BY_PERSON else ""
            return "credential_ended", {**values, "credential_name": credential.name, "why": why, "freeze_link": link}
        case "credential.suspended", Credential():
            return "credential_suspended", {
                **values,
                "credential_name": credential.name,
                "why": gettext(_SUSPENDED.get(because, gettext_noop("it has to be looked at first"))),
            }
        case "credential.review", Credential():
            return "credential_review", {**values, "lost": credential.name, "reviewed": _reviewed(row, now=now)}
        case "account.ended", _:
            return "account_ended", {"why": why}
        case (("account.frozen" | "account.recovery"), _):
            return row.kind.replace(".", "_"), values
        case "profile_changed", _:
            changed = ", ".join(str(one) for one in row.payload.get("changed", [])) or gettext("your record")
            return "profile_changed", {"changes": changed}
        case (("role.changed" | "role.review" | "emergency.opened"), _):
            return row.kind.replace(".", "_"), _of_role(row)
        case _:
            return "", {}


def _own(row: OutboxRow, credential: Credential | None, *, now: datetime) -> tuple[str, dict[str, Any]]:
    """A notice to a person about their own account: of what the time brought, or of a change."""
    if row.kind == "account.unused":
        when = date_format(row.created_at, "DATETIME_FORMAT") + " UTC"
        return "account_unused", {"when": when, "days": row.payload.get("days")}
    if row.kind == "credential.expiring" and credential is not None and credential.expires_at is not None:
        if credential.state != State.ACTIVE or credential.expires_at <= now:
            return "", {}  # it has ended or is suspended since: another notice tells that
        return "credential_expiring", {
            "credential_name": credential.name,
            "expires": date_format(credential.expires_at, "DATETIME_FORMAT") + " UTC",
            "days": max(1, -(-(credential.expires_at - now) // _ONCE_A)),
            "link": f"{config().issuer}/devices",
        }
    return _notice(row, credential, now=now)


def _of_new(row: OutboxRow, credential: Credential, *, now: datetime) -> dict[str, Any]:
    """A new credential, and the link that ends it."""
    values = {"undo_link": _link(credential, undo.REVOKE, now=now)}
    match row.kind:
        case "pass.issued":
            return {**values, "by_codes": credential.evidence.get("given_by") == GivenBy.TWO_ADDRESSES}
        case "authenticator.bound":
            how = gettext(
                _BOUND_BY.get(str(credential.evidence.get("bound_by", "")), gettext_noop("added on your account"))
            )
            return {**values, "what": credential.name, "how": how}
        case _:
            return {**values, "device_name": credential.name, "certificate": credential.kind == Kind.CERTIFICATE}


def _of_access(row: OutboxRow) -> tuple[str, dict[str, Any]]:
    """The decision on an access request, or its end, as it is now."""
    found = (
        Access.objects.select_related("rule").filter(id=row.payload.get("access"), person__account=row.account).first()
    )
    if found is None or found.state == AccessState.REQUESTED:
        return "", {}
    party = clients.find(found.rule.client_key)
    until = date_format(found.expires_at, "DATE_FORMAT") if found.expires_at else ""
    name = party.name if party else found.rule.client_key
    return "access_changed", {
        "state": found.state,
        "client": name,
        "what": f"{name} ({found.rule.entitlement})" if found.rule.entitlement else name,
        "until": until,
        "reason": found.reason,
        "link": f"{config().issuer}/access",
    }


def _of_request(row: OutboxRow, person: Person) -> tuple[str, dict[str, Any]]:
    """The request that changed, for its subject or requester; or that waits, for an approver, while it waits."""
    found = Request.objects.select_related("account__person", "requester__person").filter(id=row.payload["request"])
    request = found.first()
    if request is None or (row.kind == "request.decide" and request.state != RequestState.WAITING):
        return "", {}
    subject: Person = request.account.person
    is_subject = subject.id == person.id
    is_for_another = request.requester is not None and request.requester_id != request.account_id
    by = request.requester.person.display_name() if request.requester and is_for_another else ""
    values: dict[str, Any] = {
        "state": row.payload.get("state"),
        "is_subject": is_subject,
        "of": subject.display_name(),
        "by": by,
        "kind": gettext(policy_of(Kind(request.kind)).label),
        "reason": request.reason,
        "reminded": row.payload.get("reminded"),
        "until": date_format(request.expires_at, "DATE_FORMAT") if request.expires_at else "",
        "link": f"{config().issuer}/requests/{request.id}",
    }
    if row.kind == "request.decide":
        return "request_decide", {**values, "link": _console(f"requests/{request.id}")}
    return "request_changed", values


def _console(page: str) -> str:
    return f"{config().issuer}/console/{page}"


def _of_another(row: OutboxRow) -> dict[str, Any]:
    """The person whom a manager's notice is about."""
    person = Person.objects.filter(account_id=row.payload.get("of")).first()
    return {
        "of": (person.login_name or person.display_name()) if person else gettext("a person who is no longer here"),
        "notice": gettext(_NOTICES.get(str(row.payload.get("kind")), gettext_noop("a notice"))),
        "link": f"{config().issuer}/console/people/{person.id}" if person else f"{config().issuer}/console",
        **_of_case(row),
    }


def _of_case(row: OutboxRow) -> dict[str, Any]:
    """A case of redress, for the managers who answer it and for the person who opened it; nothing for other rows."""
    case = RedressCase.objects.filter(pk=row.payload.get("case")).first()
    if case is None:
        return {}
    is_answer = row.kind == "redress.answered"
    link = f"{config().issuer}/redress" if is_answer else _console(f"redress/{case.pk}")
    return {"case": case.pk, "due": case.due_at, "link": link}


def _of_role(row: OutboxRow) -> dict[str, Any]:
    """A role that was given or ended, a review of roles that began, or an emergency access."""
    when = date_format(row.created_at, "DATETIME_FORMAT") + " UTC"
    if row.kind == "role.changed":
        role = RoleName(str(row.payload.get("role", "")))
        return {**_of_another(row), "role": role.label, "change": str(row.payload.get("change", "")), "when": when}
    if row.kind == "role.review":
        review = RoleReview.objects.get(pk=row.payload["review"])
        return {"due": date_format(review.due_at, "DATE_FORMAT"), "link": _console("reviews")}
    access = EmergencyAccess.objects.select_related("first", "second").get(pk=row.payload["emergency"])
    return {
        "first": access.first.get_username(),
        "second": access.second.get_username(),
        "because": access.because,
        "until": date_format(access.until, "DATETIME_FORMAT") + " UTC",
        "late": row.payload.get("late", False),
        "link": _console("reviews"),
    }


def _of_push(row: OutboxRow) -> dict[str, Any]:
    """The source and the person of a refused push, or of a return that waits, for a manager."""
    named = row.payload.get("person", "")
    person = Person.objects.filter(id=named).first() if named else None
    return {
        "source": row.payload.get("source", ""),
        "of": (person.login_name or person.display_name()) if person else "",
        "link": _console("refused") if row.kind == "push.refused" else _console(f"people/{named}"),
    }


def _link(credential: Credential, action: str, *, now: datetime) -> str:
    """A link made now and stored as a hash (BI-5, ruling 4)."""
    return f"{config().issuer}/undo/{undo.make(credential, now=now, action=action)}"


def _reviewed(row: OutboxRow, *, now: datetime) -> list[dict[str, str]]:
    """The credentials to review that have not ended, each with a link that ends it."""
    rows = Credential.objects.filter(
        id__in=list(row.payload.get("reviewed", [])), account=row.account, state__in=LIVING
    )
    return [{"name": one.name, "link": _link(one, undo.REVOKE, now=now)} for one in rows.order_by("created_at")]


def _send(row: OutboxRow, template: str, values: dict[str, Any], addresses: list[str]) -> None:
    """Send a message per address, so that no address learns of another, and a bad one stops no other.

    An address that is put off (4xx, RFC 5321 §4.2.1) is asked again without those that took it: the former address
    hears of a change as well as the new one does, however long its server puts strangers off.
    Raises: MailRefused if every address was refused for good; OSError, smtplib.SMTPException for a transient fault.
    """
    text = render_to_string(f"mail/{template}.txt", {"contact": config().contact, **values}).strip()
    subject, _, body = text.partition("\n")
    subject = subject.removeprefix("Subject:").strip().replace("\r", " ")
    written = body.strip() + "\n"
    written_as_page = as_page(subject, written)
    taken, refused = (dict.fromkeys(row.payload.get(name, [])) for name in ("taken", "refused"))
    later: Exception | None = None
    why = ""
    try:
        with get_connection() as connection:
            for address in addresses:
                mark = hashlib.sha256(address.encode()).hexdigest()[:16]
                if mark in taken or mark in refused:
                    continue
                try:
                    transport.hand_over(
                        connection, subject=subject, body=written, page=written_as_page, address=address
                    )
                    taken[mark] = None
                except (ValueError, NotInternational, smtplib.SMTPRecipientsRefused, smtplib.SMTPDataError) as error:
                    if (final := _final(error)) is None:
                        later = error
                    else:
                        refused[mark], why = None, final
    finally:
        if taken or refused:
            outbox.add_to_payload(row, taken=list(taken), refused=list(refused))
    if why:
        logger.warning("a notice did not go to %s of %s addresses: %s", len(refused), len(addresses), why)
    if later is not None:
        raise later
    if refused and not taken:
        raise MailRefused(why or "every address was refused")


def _final(error: ValueError | smtplib.SMTPException) -> str | None:
    """The reason why another try is useless: an impossible address, or a 5xx answer (RFC 5321 §4.2.1); else None.

    A refused sender or a failed authentication is a fault of the configuration, so it is not checked here.
    """
    if isinstance(error, NotInternational):
        return "the mail server takes no address with letters outside ASCII before the @ (SMTPUTF8)"
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        codes = [code for code, _ in error.recipients.values()]
    elif isinstance(error, smtplib.SMTPDataError):
        codes = [error.smtp_code]
    else:
        return "the address is not one that mail can be sent to"
    return f"the mail server answered {codes[0]}" if codes and min(codes) >= _PERMANENT else None
