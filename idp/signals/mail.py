"""Mail to people: every notice to every address that the person has, links made at the moment of sending (NT-1 to NT-5, BI-3).

The payload of an outbox row holds ids; what stands in the mail is read from the database now (C85).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.mail import EmailMessage, get_connection
from django.template.loader import render_to_string

from derived import status
from derived.locking import under_lock
from derived.models import Account, Credential
from idp.config import config
from idp.enrol import invitation, undo
from idp.errors import ENDINGS

if TYPE_CHECKING:
    from datetime import datetime

    from derived.models import OutboxRow
    from scim.models import Person

KINDS = ("invite", "authenticator.bound", "device.bound", "device.active", "credential.ended", "account.ended", "profile_changed")


def deliver(row: OutboxRow, *, now: datetime) -> None:
    """Send the mail that a row stands for, or nothing where it is not true any more.

    Raises: OSError, smtplib.SMTPException when the mail could not be handed over.
    """
    account = row.account
    person: Person | None = getattr(account, "person", None) if account else None
    if account is None or person is None:
        return
    if row.kind == "invite":
        _invite(account, person, now=now)
        return
    credential = Credential.objects.filter(id=row.payload.get("credential")).first() if "credential" in row.payload else None
    template, values = _notice(row, credential, now=now)
    if template:
        _send(template, {**values, "display_name": person.display_name()}, _addresses(row, person))


def _addresses(row: OutboxRow, person: Person) -> list[str]:
    """Every address of the person; for what an intruder would hide also those that were replaced (trap 3, NT-1, ID-9)."""
    former = person.former_addresses if row.kind in {"device.bound", "device.active", "profile_changed"} else []
    return list(dict.fromkeys([*person.addresses(), *former]))


def _invite(account: Account, person: Person, *, now: datetime) -> None:
    address = person.invitation_address()
    if not address or not person.login_name:
        return

    def work(locked: Account) -> str | None:
        if not locked.is_active or status.was_ever_enrolled(locked):
            return None
        return invitation.make(locked, address, now=now)

    token = under_lock(account.id, work)
    if token:
        link = f"{config().issuer}/invitation/{token}"
        hours = int(invitation.LIVES.total_seconds() // 3600)
        _send("invitation", {"display_name": person.display_name(), "link": link, "hours": hours}, [address])


def _notice(row: OutboxRow, credential: Credential | None, *, now: datetime) -> tuple[str, dict[str, Any]]:
    """The template of a notice and its values; "" where there is nothing to say."""
    when = row.created_at.strftime("%-d %B %Y, %H:%M UTC")
    because = ENDINGS.get(str(row.payload.get("because", "")), "it was ended")
    match row.kind, credential:
        case ("device.bound" | "device.active"), Credential():
            link = f"{config().issuer}/undo/{undo.make(credential, now=now)}"
            return row.kind.replace(".", "_"), {"device_name": credential.name, "when": when, "undo_link": link}
        case "authenticator.bound", Credential():
            return "authenticator_bound", {"what": credential.name, "when": when}
        case "credential.ended", Credential():
            return "credential_ended", {"credential_name": credential.name, "when": when, "why": because}
        case "account.ended", _:
            return "account_ended", {"why": because}
        case "profile_changed", _:
            changed = ", ".join(str(one) for one in row.payload.get("changed", [])) or "your record"
            return "profile_changed", {"changes": changed}
        case _:
            return "", {}


def _send(template: str, values: dict[str, Any], addresses: list[str]) -> None:
    """One message per address, so that no address learns of another."""
    text = render_to_string(f"mail/{template}.txt", {"contact": config().contact, **values}).strip()
    subject, _, body = text.partition("\n")
    subject = subject.removeprefix("Subject:").strip().replace("\r", " ")
    with get_connection() as connection:
        for address in addresses:
            EmailMessage(subject, body.strip() + "\n", to=[address], connection=connection).send()
