"""Adding a device: a code on the desktop, an answer from the device, a yes on the desktop (docs/device-protocol.md; BI-1 to BI-5, C12, C14).

Every step locks the account and asks again whether the login that began it still stands.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.db.models import F
from joserfc.jwk import ECKey

from derived.changes import issue
from derived.errors import Reason, Refused
from derived.ledger.locking import transacted, under_lock
from derived.ledger.single_use import claim_once, spend
from derived.minting.device_key import DevicePublicKey, check_claims, verify
from derived.minting.hardware import statement as hardware
from derived.minting.hardware.judge import judge
from derived.minting.hardware.statement import Asked as AboutKey
from derived.models import Account, Credential
from derived.rules.eligibility import refusal
from derived.rules.kinds import Kind
from idp import clients
from idp.config import config
from idp.enrol.device_names import clean_name
from idp.enrol.grown import device_key
from idp.enrol.grown import registry as growing
from idp.enrol.grown.request import asked
from idp.login import password
from idp.login.session import is_standing, login_of, read
from idp.models import Binding, LoginSession
from idp.policies import attestation
from idp.secrets import heard, opaque, spoken, stored
from scim.models import Person
from scim.people.directory import person_by_login_name

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from derived.minting.hardware.statement import Kept

CODE_LIVES = timedelta(minutes=10)  # BI-2
DECISION_LIVES = timedelta(minutes=5)  # after the code's own time, for the yes on the desktop
CHALLENGE_LIVES = timedelta(minutes=5)
LONG, SHORT = 24, 8  # characters of 5 bits: 120 bits alone, 40 bits with the user name (BI-1)
MOST_SHORT_TRIES = 5
BINDING_TYP, STATUS_TYP = "ramet-binding+jwt", "ramet-binding-status+jwt"


@dataclass(frozen=True)
class Begun:
    """A new binding and the two forms of its code, which are shown once and kept as hashes."""

    binding: Binding
    code: str
    short_code: str


def _require_eligible(session: LoginSession, *, now: datetime) -> None:
    if not is_standing(session, now=now):
        raise Refused(Reason.LOGIN_ENDED)
    if reason := refusal(login_of(session.event), now=now):
        raise Refused(reason)


def begin(session: LoginSession, *, now: datetime, kind: Kind = Kind.DEVICE_KEY) -> Begun:
    """A code for a person who has just signed in with a root, for one kind of credential; their earlier codes are dead.

    Raises: Refused with the reason of eligibility.
    """
    code, short_code = spoken(LONG), spoken(SHORT)

    def work(account: Account) -> Binding:
        fresh = read(session.id, account)
        _require_eligible(fresh, now=now)
        account.bindings.filter(status__in=["waiting", "answered"]).update(status="burnt", consumed_at=now)
        return Binding.objects.create(
            account=account,
            epoch=account.epoch,
            kind=kind,
            session=fresh,
            event=fresh.event,
            code_hash=stored(code, kind="binding-code"),
            short_hash=_short_hash(account.id, short_code),
            created_at=now,
            expires_at=now + CODE_LIVES,
        )

    return Begun(under_lock(session.account_id, work), code, short_code)


def _short_hash(account_id: UUID, short_code: str) -> str:
    return stored(f"{account_id}:{short_code}", kind="binding-code-short")


def locate(typed: str, username: str, *, now: datetime, kind: Kind = Kind.DEVICE_KEY) -> Binding:
    """The binding that a code belongs to: the long form alone, or the short one with its person's user name.

    Raises: Refused(BAD_CODE), for all that is wrong alike.
    """
    code = heard(typed)
    rows = Binding.objects.filter(expires_at__gt=now, kind=kind).select_related("account__person")
    found: Binding | None = None
    if len(code) == LONG:
        found = rows.filter(code_hash=stored(code, kind="binding-code")).first()
    elif len(code) == SHORT and username:
        found = _by_short_code(code, username, kind=kind, now=now)
    if found is None or found.status == "burnt" or not found.account.is_active or found.epoch != found.account.epoch:
        raise Refused(Reason.BAD_CODE)
    return found


def _by_short_code(code: str, username: str, *, kind: Kind, now: datetime) -> Binding | None:
    """Count the guess against the person's waiting code before it is looked at; five, and only the long form serves."""
    person = person_by_login_name(username)
    if person is None:
        return None
    waiting = Binding.objects.filter(
        account_id=person.account_id, kind=kind, expires_at__gt=now, status="waiting", short_tries__lt=MOST_SHORT_TRIES
    )
    if not waiting.update(short_tries=F("short_tries") + 1):
        return None
    found = Binding.objects.filter(short_hash=_short_hash(person.account_id, code), kind=kind, expires_at__gt=now)
    row = found.select_related("account__person").first()
    if row is not None:
        Binding.objects.filter(id=row.id).update(short_tries=F("short_tries") - 1)
    return row


def challenge(binding: Binding, key: DevicePublicKey, *, now: datetime) -> str:
    """Pin the key to the code, or burn the code if it was another's, and give what it must sign (C12, DK-1).

    Raises: Refused(BAD_CODE), Refused(KEY_SEEN_BEFORE).
    """
    value = opaque()

    def work(account: Account) -> None:
        row = still_open(binding.id, account, now=now)
        if row.jkt and not hmac.compare_digest(row.jkt, key.jkt):
            Binding.objects.filter(id=row.id).update(status="burnt", consumed_at=now)
            raise Refused(Reason.BAD_CODE, spends=True)
        if Credential.objects.filter(jkt=key.jkt).exists():
            raise Refused(Reason.KEY_SEEN_BEFORE)
        Binding.objects.filter(id=row.id).update(
            jkt=key.jkt,
            jwk=key.jwk,
            challenge_hash=stored(value, kind="binding-challenge"),
            challenge_expires_at=now + CHALLENGE_LIVES,
        )

    under_lock(binding.account_id, work)
    return value


def still_open(binding_id: UUID, account: Account, *, now: datetime) -> Binding:
    """A binding whose code has not been used, burnt or outlived, and whose login still stands.

    Raises: Refused(BAD_CODE).
    """
    row = Binding.objects.select_related("session__event__credential__root", "session__event__credential__parent").get(
        id=binding_id
    )
    row.session.account = account
    usable = row.status == "waiting" and row.consumed_at is None and row.expires_at > now
    if not usable or row.epoch != account.epoch or not is_standing(row.session, now=now):
        raise Refused(Reason.BAD_CODE)
    return row


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a device sends: a proof over the challenge, its name, its passphrase, and the apps it wants tokens for.

    attestation: what its hardware says of the key, or None. code: as it was typed, for hardware that speaks when a key is made.
    """

    proof: object
    device_name: str
    passphrase: str
    clients: Sequence[str] | None
    attestation: object = None
    code: str = ""


def answer(binding: Binding, given: Answer, *, now: datetime) -> Binding:
    """Verify a device's answer and spend the code; the desktop has the last word.

    Raises: Refused(BAD_PROOF), Refused(KEY_TOO_WEAK) without a passphrase, Refused(WEAK_SECRET), Refused(BAD_CODE).
    """
    if binding.jwk is None:
        raise Refused(Reason.BAD_PROOF)
    key = DevicePublicKey(binding.jwk, binding.jkt)
    claims = verify(given.proof, key, typ=BINDING_TYP)
    nonce = claims.get("nonce")
    hashed_nonce = stored(nonce, kind="binding-challenge") if isinstance(nonce, str) else ""
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
            answered=device_key.kept(kept),
            clients=allowed,
            challenge_hash="",
        )
        return Binding.objects.get(id=row.id)

    return under_lock(binding.account_id, work)


def _attested(given: Answer, nonce: object, key: DevicePublicKey, *, now: datetime) -> Kept | None:
    """What the device's hardware says; slow, so outside the lock.

    Raises: Refused(BAD_PROOF) for a statement that does not hold.
    """
    if given.attestation is None:
        return None
    asked = AboutKey(
        key=ECKey.import_key(key.jwk).public_key,
        nonce=hardware.nonce_of(str(nonce), key.jkt),
        made_for=hardware.made_for(heard(given.code)),
        now=now,
    )
    return judge(given.attestation, asked, attestation.trust())


def _hashed(binding: Binding, given: Answer) -> str:
    person: Person = Person.objects.get(account_id=binding.account_id)
    password.require_good(given.passphrase, context=(person.login_name or "", given.device_name, "ramet"))
    return password.hashed(given.passphrase)


def _allowed(wanted: Sequence[str] | None) -> list[str]:
    offered = [party.client_id for party in clients.for_devices()]
    return offered if wanted is None else [one for one in offered if one in wanted]


def standing(binding_id: UUID, proof: object, *, now: datetime) -> Binding:
    """Where a binding stands, for the key that is pinned to it.

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
    """Its state for the desktop page: waiting, answered, bound, refused, locked or expired."""
    if row.status in {"bound", "refused"}:
        return row.status
    if row.status == "burnt":
        return "locked"
    if row.epoch != row.account.epoch or not row.account.is_active:
        return "expired"
    limit = row.expires_at if row.status == "waiting" else row.expires_at + DECISION_LIVES
    return row.status if now < limit else "expired"


def confirm(binding_id: UUID, session: LoginSession, number: str, *, now: datetime) -> Credential:
    """The desktop says yes: the ledger gets its row, pending until the device's first login (C14).

    Raises: Refused(BAD_CODE) if this is not the session that showed the code or the number differs; Refused of `issue`.
    """

    def work(account: Account) -> Credential:
        row = Binding.objects.select_for_update().filter(id=binding_id, account=account, status="answered").first()
        if row is None or row.session_id != session.id or now >= row.expires_at + DECISION_LIVES:
            raise Refused(Reason.BAD_CODE)
        grows = growing.module(Kind(row.kind))
        if grows is None or row.epoch != account.epoch or not hmac.compare_digest(row.number.encode(), number.encode()):
            raise Refused(Reason.BAD_CODE)
        fresh = read(session.id, account)
        _require_eligible(fresh, now=now)
        credential = issue.grow(account, grows.proven(row), asked(fresh, name=row.device_name), now=now)
        Binding.objects.filter(id=row.id).update(
            status="bound", decided_at=now, credential=credential, passphrase_hash="", answered=None
        )
        return credential

    return under_lock(session.account_id, work)


def refuse(binding_id: UUID, session: LoginSession, *, now: datetime) -> None:
    """The desktop says no: nothing is minted, and the code stays spent."""

    def work(account: Account) -> None:
        Binding.objects.filter(id=binding_id, account=account, status__in=["waiting", "answered"]).update(
            status="refused", decided_at=now, consumed_at=now, passphrase_hash="", answered=None
        )

    under_lock(session.account_id, work)
