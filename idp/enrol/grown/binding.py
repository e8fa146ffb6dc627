"""Bind a device: a code on the desktop, the device's answer, the desktop's confirmation (docs/device-protocol.md).

Every step locks the account and checks that the login which began it still stands (BI-1 to BI-5, C12, C14).
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from django.db.models import Q
from joserfc.jwk import ECKey

from derived.changes import issue
from derived.changes.requests import under_locks_to_collect
from derived.errors import Reason, Refused
from derived.ledger.locking import transacted, under_lock
from derived.ledger.single_use import claim_once, spend
from derived.minting.device_key import DevicePublicKey, check_claims, verify
from derived.minting.hardware import statement as hardware
from derived.minting.hardware.judge import judge
from derived.minting.hardware.statement import AttestationRequest as AboutKey
from derived.models import Account, Credential
from derived.rules.kinds import Kind
from idp import clients
from idp.config import config
from idp.enrol.device_names import clean_name
from idp.enrol.grown import codes, device_key, registry
from idp.enrol.grown.request import request_of
from idp.login import password
from idp.login.session import has_not_ended
from idp.models import Binding, LoginSession
from idp.policies import attestation
from idp.secrets import hash_secret, normalise_code, opaque
from scim.models import Person

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from derived.minting.hardware.statement import HardwareEvidence

CHALLENGE_LIVES = timedelta(minutes=5)
_CODE_KIND = "binding-code"
BINDING_TYP, STATUS_TYP = "ramet-binding+jwt", "ramet-binding-status+jwt"


@dataclass(frozen=True)
class NewBinding:
    """A new binding and the two forms of its code, which are shown once and stored as hashes."""

    binding: Binding
    code: str
    short_code: str


def begin(session: LoginSession, *, now: datetime, kind: Kind = Kind.DEVICE_KEY) -> NewBinding:
    """Begin a binding for a person with a fresh login by a root; their earlier codes are spent.

    Raises: Refused with the reason of eligibility.
    """
    code = codes.BindingCode(_CODE_KIND)

    def work(account: Account) -> Binding:
        fresh = codes.eligible_session(session, account, now=now)
        account.bindings.filter(status__in=["waiting", "answered"]).update(status="burnt", consumed_at=now)
        return Binding.objects.create(kind=kind, session=fresh, event=fresh.event, **code.columns(account, now=now))

    return NewBinding(under_lock(session.account_id, work), code.long, code.short)


def locate(typed: str, username: str, *, now: datetime, kind: Kind = Kind.DEVICE_KEY) -> Binding:
    """The binding of a code: the long form alone, or the short form with its person's user name.

    Raises: Refused(BAD_CODE), for every fault alike.
    """
    rows = Binding.objects.filter(expires_at__gt=now, kind=kind).select_related("account__person")
    return codes.locate(rows, typed, username, kind=_CODE_KIND, guessable=Q(status="waiting"))


def challenge(binding: Binding, key: DevicePublicKey, *, now: datetime) -> str:
    """Pin the key to the code and return the challenge; another key burns the code (C12, DK-1).

    Raises: Refused(BAD_CODE), Refused(KEY_SEEN_BEFORE).
    """
    value = opaque()

    def work(account: Account) -> None:
        row = still_open(binding.id, account, now=now)
        burn = partial(Binding.objects.filter(id=row.id).update, status="burnt", consumed_at=now)
        codes.require_pinned_key(row.jkt.encode(), key.jkt.encode(), spend=burn)
        if Credential.objects.filter(jkt=key.jkt).exists():
            raise Refused(Reason.KEY_SEEN_BEFORE)
        Binding.objects.filter(id=row.id).update(
            jkt=key.jkt,
            jwk=key.jwk,
            challenge_hash=hash_secret(value, kind="binding-challenge"),
            challenge_expires_at=now + CHALLENGE_LIVES,
        )

    under_lock(binding.account_id, work)
    return value


def still_open(binding_id: UUID, account: Account, *, now: datetime) -> Binding:
    """A binding whose code is neither used, burnt nor expired, and whose login still stands.

    Raises: Refused(BAD_CODE).
    """
    row = Binding.objects.select_related("session__event__credential__root", "session__event__credential__parent").get(
        id=binding_id
    )
    row.session.account = account
    usable = row.status == "waiting" and row.consumed_at is None and row.expires_at > now
    if not usable or row.epoch != account.epoch or not has_not_ended(row.session, now=now):
        raise Refused(Reason.BAD_CODE)
    return row


@dataclass(frozen=True, kw_only=True)
class DeviceResponse:
    """What a device sends: a proof over the challenge, its name, its passphrase, and the apps it wants tokens for.

    attestation: the hardware's statement, or None. code: as it was typed, for hardware that attests when a key is made.
    """

    proof: object
    device_name: str
    passphrase: str
    clients: Sequence[str] | None
    attestation: object = None
    code: str = ""


def accept_response(binding: Binding, given: DeviceResponse, *, now: datetime) -> Binding:
    """Verify a device's answer and spend the code; the desktop then confirms or refuses.

    Raises: Refused(BAD_PROOF), Refused(KEY_TOO_WEAK) without a passphrase, Refused(WEAK_SECRET), Refused(BAD_CODE).
    """
    if binding.jwk is None:
        raise Refused(Reason.BAD_PROOF)
    key = DevicePublicKey(binding.jwk, binding.jkt)
    claims = verify(given.proof, key, typ=BINDING_TYP)
    nonce = claims.get("nonce")
    hashed_nonce = hash_secret(nonce, kind="binding-challenge") if isinstance(nonce, str) else ""
    jti = check_claims(claims, expected={"aud": config().issuer}, now=now)
    kept = _attested(given, nonce, key, now=now)
    if not given.passphrase and not (kept and kept.verifies_user):
        raise Refused(Reason.KEY_TOO_WEAK)
    passphrase_hash = _hashed(binding, given) if given.passphrase else ""
    name, allowed = clean_name(given.device_name), _allowed(given.clients)
    number = f"{secrets.randbelow(90) + 10}"

    def work(account: Account) -> Binding:
        row = still_open(binding.id, account, now=now)
        fresh = row.challenge_expires_at is not None and row.challenge_expires_at > now
        if not fresh or row.jkt != key.jkt or not hmac.compare_digest(row.challenge_hash, hashed_nonce):
            raise Refused(Reason.BAD_PROOF)
        if not claim_once(Binding.objects.filter(id=row.id), now=now):
            raise Refused(Reason.BAD_CODE)
        spend(BINDING_TYP, key.jkt, jti, expires_at=now + CHALLENGE_LIVES)
        Binding.objects.filter(id=row.id).update(
            status="answered",
            number=number,
            device_name=name,
            passphrase_hash=passphrase_hash,
            protection="hardware" if kept else "software",
            answered=device_key.stored_form(kept),
            clients=allowed,
            challenge_hash="",
        )
        return Binding.objects.get(id=row.id)

    return under_lock(binding.account_id, work)


def _attested(given: DeviceResponse, nonce: object, key: DevicePublicKey, *, now: datetime) -> HardwareEvidence | None:
    """Verify the statement of the device's hardware, outside the lock because it is slow.

    Raises: Refused(BAD_PROOF) for a statement that does not hold.
    """
    if given.attestation is None:
        return None
    asked = AboutKey(
        key=ECKey.import_key(key.jwk).public_key,
        nonce=hardware.nonce_of(str(nonce), key.jkt),
        made_for=hardware.made_for(normalise_code(given.code)),
        now=now,
    )
    return judge(given.attestation, asked, attestation.trust())


def _hashed(binding: Binding, given: DeviceResponse) -> str:
    person: Person = Person.objects.get(account_id=binding.account_id)
    password.require_good(given.passphrase, context=(person.login_name or "", given.device_name, "ramet"))
    return password.hashed(given.passphrase)


def _allowed(wanted: Sequence[str] | None) -> list[str]:
    offered = [party.client_id for party in clients.parties_for_devices()]
    return offered if wanted is None else [one for one in offered if one in wanted]


def binding_state(binding_id: UUID, proof: object, *, now: datetime) -> Binding:
    """The state of a binding, for the key that is pinned to it.

    Raises: Refused(BAD_CODE) if there is no such binding, Refused(BAD_PROOF).
    """
    row = Binding.objects.select_related("account").filter(id=binding_id).first()
    if row is None or row.jwk is None:
        raise Refused(Reason.BAD_CODE)
    claims = verify(proof, DevicePublicKey(row.jwk, row.jkt), typ=STATUS_TYP)
    expected = {"aud": config().issuer, "sub": str(binding_id)}
    jti = check_claims(claims, expected=expected, now=now)
    if not transacted(lambda: spend(STATUS_TYP, row.jkt, jti, expires_at=now + CHALLENGE_LIVES)):
        raise Refused(Reason.BAD_PROOF)
    return row


def state(row: Binding, *, now: datetime) -> str:
    """The state for the desktop page: waiting, answered, bound, refused, locked or expired."""
    return "locked" if row.status == "burnt" else codes.state(row, settled=("bound", "refused"), now=now)


def confirm(binding_id: UUID, session: LoginSession, number: str, *, now: datetime) -> Credential:
    """Confirm at the desktop: the ledger row is written, pending until the device's first login (C14).

    Raises: Refused(BAD_CODE) if this is not the session that showed the code or the number differs; Refused of `issue`.
    """

    def work(account: Account) -> Credential:
        row = codes.to_decide(Binding.objects.filter(id=binding_id, status="answered"), session, account, now=now)
        kind_module = registry.module(Kind(row.kind))
        if kind_module is None or not hmac.compare_digest(row.number.encode(), number.encode()):
            raise Refused(Reason.BAD_CODE)
        fresh = codes.eligible_session(session, account, now=now)
        credential = issue.derive(account, kind_module.proven(row), request_of(fresh, name=row.device_name), now=now)
        Binding.objects.filter(id=row.id).update(
            status="bound", decided_at=now, credential=credential, passphrase_hash="", answered=None
        )
        return credential

    kind = Binding.objects.filter(id=binding_id).values_list("kind", flat=True).first() or Kind.DEVICE_KEY
    return under_locks_to_collect(session.account_id, Kind(kind), work)


def refuse(binding_id: UUID, session: LoginSession, *, now: datetime) -> None:
    """Refuse at the desktop: nothing is issued, and the code stays spent."""

    def work(account: Account) -> None:
        Binding.objects.filter(id=binding_id, account=account, status__in=["waiting", "answered"]).update(
            status="refused", decided_at=now, consumed_at=now, passphrase_hash="", answered=None
        )

    under_lock(session.account_id, work)
