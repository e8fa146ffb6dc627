"""One more process with a live server's environment: it prepares people for races, and looks at the ledger afterwards.

JSON lines: `{"command": …, arguments}` in, `{"right": …}` or `{"wrong": …}` out. It writes rows by the product's own
functions; what is raced is then done over HTTP, by others.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import secrets
import sys
import time
from base64 import b64encode
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import cbor2
import django
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "idp.settings")
django.setup()

from django.core.management import CommandError, call_command  # noqa: E402
from django.db import connection  # noqa: E402
from joserfc.jwk import ECKey  # noqa: E402

from derived import clock  # noqa: E402
from derived.authority import keeping, lists  # noqa: E402
from derived.changes import identity_changes, issue  # noqa: E402
from derived.ledger.locking import under_lock  # noqa: E402
from derived.minting import authority as minting  # noqa: E402
from derived.minting.device_key import public_key  # noqa: E402
from derived.minting.passkey import RegisteredPasskey  # noqa: E402
from derived.minting.proven import key_name  # noqa: E402
from derived.minting.signing import MemorySigner  # noqa: E402
from derived.models import Account, Credential, Event, IssuedCertificate, OutboxRow, RecoveryCode, SigningKey  # noqa: E402
from derived.rules.assurance import Factor, VerifiedFactors  # noqa: E402
from derived.rules.eligibility import BoundBy, BoundVia  # noqa: E402
from derived.rules.kinds import Kind  # noqa: E402
from derived.rules.lifecycle import LIVING  # noqa: E402
from derived.signers import Backend, wrapped  # noqa: E402
from idp import clients, keys  # noqa: E402
from idp.enrol.grown import binding, derived_passkey  # noqa: E402
from idp.enrol.grown.certificate import by_code as ordering  # noqa: E402
from idp.enrol.grown.certificate import issuing as made_certificates  # noqa: E402
from idp.enrol.roots import invitations as invitation  # noqa: E402
from idp.login import password, totp  # noqa: E402
from idp.login.browser_store import SessionStore  # noqa: E402
from idp.login.card import PROBE  # noqa: E402
from idp.login.session import record_login  # noqa: E402
from idp.models import Binding, CertificateOrder, LoginSession, Probe  # noqa: E402
from idp.secrets import hash_secret, opaque  # noqa: E402
from scim.models import Person, Source  # noqa: E402
from scim.people import provision, sources  # noqa: E402
from tests.races import pushed, watched  # noqa: E402
from tests.webauthn.authenticator import cose  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable

CORE = "urn:ietf:params:scim:schemas:core:2.0:User"
PASSWORD, PASSPHRASE = "mossy stones by the river", "seven mossy stones"
_hashes: dict[str, str] = {}


def _hashed(secret: str) -> str:
    """argon2id, once per secret: a thousand people may share a password here."""
    return _hashes.setdefault(secret, password.hashed(secret))


def source(name: str, normalisers: tuple[str, ...] = ()) -> str:
    """Register a source; its bearer token."""
    source, token = provision.register_source(name, vouched_ial=2, normalisers=normalisers, now=clock.now())
    sources.set_brake(source, 1_000_000, 100)  # races end many people on purpose
    return token


def client(**wanted: Any) -> dict[str, str]:
    """Register a relying party."""
    party, secret = clients.register(clients.Registration(**wanted), now=clock.now())
    return {"client_id": party.client_id, **({"client_secret": secret} if secret else {})}


def people(count: int, *, enrolled: bool) -> list[dict[str, Any]]:
    """Push people, and let them enrol and sign in."""
    return [_person(enrolled=enrolled) for _ in range(count)]


def _person(*, enrolled: bool) -> dict[str, Any]:
    name = f"racer-{secrets.token_hex(6)}@example.org"
    body = {
        "schemas": [CORE],
        "userName": name,
        "name": {"givenName": "Race", "familyName": "Runner"},
        "emails": [{"value": name, "type": "work", "primary": True}],
    }
    record = provision.create_user(Source.objects.get(name="hr"), body, now=clock.now())
    found: dict[str, Any] = {"username": name, "scim_id": str(record.id), "account": str(record.person.account_id)}
    return {**found, **_enrolled(record.person)} if enrolled else found


def _enrolled(person: Person) -> dict[str, Any]:
    credential_id, seed, now = uuid4(), totp.new_seed(), clock.now()

    def work(account: Account) -> Credential:
        return issue.password_totp(
            account,
            credential_id=credential_id,
            password_hash=_hashed(PASSWORD),
            totp_seed=totp.wrap(seed, owner=credential_id),
            totp_step=0,
            recovery_code_hashes=[],
            bound_by=BoundBy(how=BoundVia.INVITATION),
            now=now,
            actor="person",
        )

    root = under_lock(person.account_id, work)
    session, login = sign_in(str(person.account_id)).values()
    return {"root": str(root.id), "totp_secret": totp.seed_text(seed), "session": session, "login": login}


def sign_in(account: str, browser: str | None = None) -> dict[str, str]:
    """A browser that is signed in with password and TOTP: the value of its cookie, and the id of its session."""
    now = clock.now()
    root = Credential.objects.get(account_id=account, kind="password_totp", state__in=LIVING)

    def work(locked: Account) -> LoginSession:
        event = record_login(locked, root, VerifiedFactors(factors=frozenset({Factor.PASSWORD, Factor.TOTP})), now=now)
        return LoginSession.objects.create(
            sid=opaque(),
            account=locked,
            epoch=locked.epoch,
            event=event,
            created_at=now,
            last_seen_at=now,
            expires_at=now + timedelta(hours=24),
            network="127.0.0.0/24",
        )

    login = under_lock(UUID(account), work)
    return {"session": _browser({"login_session": str(login.id)}, browser), "login": str(login.id)}


def _browser(values: dict[str, Any], key: str | None = None) -> str:
    """A browser's store with these values; the value of its cookie."""
    store = SessionStore(key)
    store.update(values)
    if key is None:
        store.create()
    else:
        store.save()
    return str(store.session_key)


def half_logins(root: str, count: int) -> list[str]:
    """Browsers that have shown the password, each in a place of its own, so that no back-off hides the race."""
    at = clock.now().timestamp()
    state = [{"credential": root, "at": at, "place": hash_secret(opaque(), kind="place")} for _ in range(count)]
    return [_browser({"login": one}) for one in state]


def failures(root: str) -> int:
    """How many wrong guesses in a row stand against an authenticator."""
    return Credential.objects.values_list("failures", flat=True).get(id=root)


def exhaust(root: str, failures: int) -> None:
    """So many wrong guesses were made already."""
    Credential.objects.filter(id=root).update(failures=failures)


def events(account: str, kind: str) -> int:
    """How often the record of an account says something."""
    return Event.objects.filter(account_id=account, kind=kind).count()


def invitations(account: str, count: int) -> dict[str, Any]:
    """One invitation, and browsers that have each chosen a password and been shown a seed of their own for it."""
    while OutboxRow.objects.filter(account_id=account, kind="invite", delivered_at=None).exists():
        time.sleep(0.05)  # the worker's own link would void this one
    person, now = Person.objects.get(account_id=account), clock.now()
    token = under_lock(
        UUID(account), lambda locked: invitation.make(locked, person.invitation_address() or "", now=now)
    )
    browsers = []
    for _ in range(count):
        credential_id, seed = uuid4(), totp.new_seed()
        begun = {
            "invitation": hash_secret(token, kind="invitation"),
            "credential": str(credential_id),
            "password_hash": _hashed(PASSWORD),
            "seed": b64encode(totp.wrap(seed, owner=credential_id)).decode(),
        }
        browsers.append({"session": _browser({"enrolling": begun}), "totp_secret": totp.seed_text(seed)})
    return {"token": token, "browsers": browsers}


def recoveries(root: str, count: int) -> list[dict[str, str]]:
    """Browsers that have each shown the password and the same saved recovery code, and been shown a seed of their own."""
    code_hash, now, browsers = opaque(), clock.now(), []
    RecoveryCode.objects.create(credential_id=root, code_hash=code_hash, expires_at=now + timedelta(days=1))
    for _ in range(count):
        fresh, seed = uuid4(), totp.new_seed()
        begun = {
            "code": code_hash,
            "old": root,
            "new": str(fresh),
            "seed": b64encode(totp.wrap(seed, owner=fresh)).decode(),
        }
        half = {"credential": root, "at": now.timestamp(), "place": "x"}
        browsers.append(
            {"session": _browser({"login": half, "recovering": begun}), "totp_secret": totp.seed_text(seed)}
        )
    return browsers


def binding_code(login: str) -> str:
    """A binding code for a session."""
    return binding.begin(LoginSession.objects.get(id=login), now=clock.now()).code


def answered(login: str) -> dict[str, Any]:
    """A binding that a device has answered and the desktop has not: its id, its number and the device's private key."""
    session = LoginSession.objects.get(id=login)
    begun = binding.begin(session, now=clock.now())
    key = ECKey.generate_key("P-256")
    public = public_key(key.as_dict(private=False))
    Binding.objects.filter(id=begun.binding.id).update(
        status="answered",
        number="42",
        device_name="Race phone",
        passphrase_hash=_hashed(PASSPHRASE),
        protection="software",
        clients=[party.client_id for party in clients.parties_for_devices()],
        jkt=public.jkt,
        jwk=public.jwk,
        consumed_at=clock.now(),
    )
    return {"binding": str(begun.binding.id), "number": "42", "jwk": key.as_dict(private=True)}


def device(login: str) -> dict[str, Any]:
    """A bound device that waits for its first login: its private key, and its credential's id."""
    found, session = answered(login), LoginSession.objects.select_related("account").get(id=login)
    row = binding.confirm(UUID(found["binding"]), session, "42", now=clock.now())
    return {"credential": str(row.id), "jwk": found["jwk"]}


def answered_passkey(login: str) -> dict[str, Any]:
    """A binding that a phone has answered with a passkey: its id, its number and the passkey's private key."""
    session = LoginSession.objects.get(id=login)
    begun = binding.begin(session, kind=Kind.DERIVED_PASSKEY, now=clock.now())
    private, raw_id = ec.generate_private_key(ec.SECP256R1()), secrets.token_bytes(32)
    made = RegisteredPasskey(
        raw_id=raw_id,
        raw_id_hash=hashlib.sha256(raw_id).hexdigest(),
        public_key=cbor2.dumps(cose(private)),
        sign_count=0,
        backup_eligible=False,
        backed_up=False,
        user_verified=True,
        discoverable=True,
        aaguid="",
        attestation="none",
        attested=False,
        hardware=False,
        model="",
        transports=(),
        key=key_name(private.public_key()),
    )
    Binding.objects.filter(id=begun.binding.id).update(
        status="answered",
        number="42",
        device_name="Race phone",
        answered=derived_passkey._kept(made),
        consumed_at=clock.now(),
    )
    number = private.private_numbers().private_value
    return {
        "binding": str(begun.binding.id),
        "number": "42",
        "private": f"{number:x}",
        "raw_id": raw_id.hex(),
        "user": session.account_id.hex,
    }


def passkey(login: str) -> dict[str, Any]:
    """A grown passkey that waits for its first sign-in."""
    found, session = answered_passkey(login), LoginSession.objects.select_related("account").get(id=login)
    binding.confirm(UUID(found["binding"]), session, "42", now=clock.now())
    return found


def ledger(account: str) -> dict[str, Any]:
    """What stands in the ledger for an account, and what waits to be told."""
    rows = Credential.objects.filter(account_id=account)
    outbox = OutboxRow.objects.filter(account_id=account)
    return {
        "status": Account.objects.get(id=account).status,
        "living": sorted(rows.filter(state__in=LIVING).values_list("kind", flat=True)),
        "ended": sorted(rows.exclude(state__in=LIVING).values_list("kind", flat=True)),
        "ending_mails": outbox.filter(kind="account.ended").count(),
        "sessions": LoginSession.objects.filter(account_id=account).count(),
    }


def authority() -> str:
    """An authority, as `ca init` makes it, once; its root's key is thrown away. The certificate host's proxy, which the tests play, strips what is forged."""
    Probe.objects.update_or_create(name=PROBE, defaults={"at": clock.now(), "passed": True})
    found = keeping.current(now=clock.now())
    if found is None:
        now, raw = clock.now(), wrapped.new()
        plan = keeping.AuthorityPlan(organisation="Race", base_url="http://pki.race.example", oid="1.3.6.1.4.1.32473.1")
        found = keeping.create(
            plan, keeping.KeyLocation(where=Backend.WRAPPED, secret=raw), wrapped.signer(raw), keys.wrapper(), now=now
        )
        root_key = MemorySigner(ec.generate_private_key(ec.SECP384R1()))
        root = minting.root_certificate(root_key, organisation="Race", now=now)
        keeping.install(found, keeping.certified_by_root(found, root, root_key, now=now), [root], [], now=now)
    return str(found.name)


def certificate_order(login: str) -> dict[str, str]:
    """A code for a certificate that another device makes."""
    session = LoginSession.objects.get(id=login)
    begun = ordering.begin(session, name="Router", passphrase_hash=_hashed(PASSPHRASE), now=clock.now())
    return {"id": str(begun.order.id), "code": begun.code}


def asked_order(login: str) -> dict[str, str]:
    """The same, when a device has asked with it and the desktop has not decided."""
    made, key = certificate_order(login), ec.generate_private_key(ec.SECP256R1())
    ordering.ask(CertificateOrder.objects.get(id=made["id"]), key.public_key(), network="", now=clock.now())
    return {**made, "fingerprint": fingerprint(made["id"])}


def fingerprint(order: str) -> str:
    """What the desktop is shown of the key that came with it."""
    return ordering.fingerprint(CertificateOrder.objects.get(id=order))


def certificate(login: str) -> dict[str, str]:
    """A certificate and its key, as PEM."""
    session, key = LoginSession.objects.select_related("account").get(id=login), ec.generate_private_key(ec.SECP256R1())
    wanted = made_certificates.CertificateOptions(key=key.public_key(), name="VPN", passphrase_hash=_hashed(PASSPHRASE))
    row = made_certificates.make(session, wanted, now=clock.now())
    pem = made_certificates.certificate(row).public_bytes(Encoding.PEM)
    return {"pem": pem.decode(), "key": key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()}


def renamed(account: str) -> int:
    """What shows a name of this account shows one of before."""
    return under_lock(UUID(account), lambda locked: identity_changes.name_changed(locked, now=clock.now(), actor="t"))


def certificates(account: str) -> dict[str, Any]:
    """What became of an account's certificates; late: how many the record says were released after the end of the account."""
    ends = Event.objects.filter(account_id=account, kind="account.terminated").values_list("seq", flat=True)
    released = Event.objects.filter(account_id=account, kind="certificate.released").values_list("seq", flat=True)
    rows = IssuedCertificate.objects.filter(credential__account_id=account)
    now, authority = clock.now(), keeping.require_current(now=clock.now())
    return {
        "recorded": rows.count(),
        "released": rows.filter(released_at__isnull=False).count(),
        "bytes": rows.exclude(der=None).count(),
        "late": sum(seq > min(ends, default=seq) for seq in released),
        "listed": len(lists.entries(list(rows), authority=authority, now=now)),
    }


def signing_keys() -> list[dict[str, Any]]:
    """Every signing key, unwrapped: only for the search for what must not be anywhere else."""
    ring = keys.keyring()
    return [ring._unwrapped(row).as_dict(private=True) for row in SigningKey.objects.all()]


def dump() -> list[str]:
    """Every value of every row of every table, and what the browsers' stores hold in clear."""
    found: list[str] = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")  # noqa: S608 - a table's own name
            found += [_text(value) for row in cursor.fetchall() for value in row if value is not None]
            if table == "django_session":
                cursor.execute("SELECT session_data FROM django_session")
                found += [json.dumps(SessionStore().decode(data)) for (data,) in cursor.fetchall()]
    return found


def _text(value: object) -> str:
    return bytes(value).hex() if isinstance(value, bytes | memoryview) else str(value)


def execute(sql: str) -> int:
    """Break something: one statement, committed; how many rows it changed."""
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return int(cursor.rowcount)


def manage(*, words: list[str]) -> dict[str, str]:
    """Run `manage.py WORDS` in this process: its output, and the message that it ended with."""
    out = io.StringIO()
    try:
        call_command(*words, stdout=out, stderr=io.StringIO())
    except CommandError as error:
        return {"output": out.getvalue(), "refused": str(error)}
    return {"output": out.getvalue(), "refused": ""}


COMMANDS: dict[str, Callable[..., Any]] = {
    one.__name__: one
    for one in (
        source,
        client,
        people,
        sign_in,
        half_logins,
        failures,
        exhaust,
        events,
        invitations,
        recoveries,
        binding_code,
        answered,
        answered_passkey,
        device,
        passkey,
        ledger,
        authority,
        certificates,
        certificate_order,
        asked_order,
        fingerprint,
        certificate,
        renamed,
        signing_keys,
        dump,
        execute,
        manage,
        *watched.COMMANDS,
        *pushed.COMMANDS,
    )
}


def main() -> None:
    """Answer until there are no more questions."""
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            said: dict[str, Any] = {"right": COMMANDS[asked.pop("command")](**asked)}
        except Exception as error:  # noqa: BLE001 - the asker decides what it means
            said = {"wrong": f"{type(error).__name__}: {error}"}
        sys.stdout.write(json.dumps(said) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
