"""Issue a certificate: recorded under the lock, signed outside, released under a second lock (ruling 23).

Three callers: a request on the page, one over EST with a code, and a key that is made here for a device that cannot
(X-8). Of a request only the key counts; names and terms are the profile's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12

from derived import clock
from derived.authority import making
from derived.authority.keeping import certificate_of, chain_of, require_current
from derived.changes import issue, renew
from derived.changes.requests import under_locks_to_collect
from derived.errors import Reason, Refused
from derived.ledger import status
from derived.ledger.locking import under_lock
from derived.minting.hardware.statement import HardwareEvidence
from derived.models import Account, Credential, IssuedCertificate
from derived.rules.assurance import Authentication, Factor
from derived.rules.eligibility import refusal_to_change
from derived.rules.kinds import Kind
from derived.rules.rulebook import DeviceFacts
from idp.enrol.grown.request import request_of
from idp.keys import wrapper
from idp.login import password
from idp.login.session import has_not_ended, is_live, login_of, session_under_lock
from idp.policies import attestation
from idp.policies import issuance as rulebook

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from derived.changes.issue import IssuanceRequest
    from derived.minting.csr import CertificateKey
    from derived.minting.proven import VerifiedProof
    from idp.models import LoginSession
    from scim.models import Person

PURPOSE = "VPN, Wi-Fi and web servers"


@dataclass(frozen=True, kw_only=True)
class CertificateOptions:
    """A requested certificate. made_here: its key is made here (X-8). kept: its proven hardware (X-7)."""

    key: CertificateKey
    name: str
    passphrase_hash: str = field(repr=False)
    made_here: bool = False
    kept: HardwareEvidence | None = None


def life() -> timedelta | None:
    """The lifetime of a certificate."""
    return rulebook.rules().lifetime(Kind.CERTIFICATE)


def good_passphrase(account: Account, passphrase: str, *, name: str) -> str:
    """Hash a certificate's passphrase; slow.

    Raises: Refused(WEAK_SECRET).
    """
    person: Person = account.person
    password.require_good(passphrase, context=(person.login_name or "", name, "ramet"))
    return password.hashed(passphrase)


def make(session: LoginSession, wanted: CertificateOptions, *, now: datetime) -> IssuedCertificate:
    """Record, sign and release, for a person who is signed in.

    Raises: Refused of `issue.derive`, of the key, or Refused(LOGIN_ENDED); Unavailable.
    """
    credential = under_locks_to_collect(
        session.account_id, Kind.CERTIFICATE, lambda account: record(account, session, wanted, now=now, live=True)
    )
    return finish(credential)


def record(
    account: Account, session: LoginSession, wanted: CertificateOptions, *, now: datetime, live: bool
) -> Credential:
    """Under the account's lock: write the ledger row with its serial; nothing is signed yet.

    live: the browser's session must be live; otherwise it must only stand.
    """
    fresh = session_under_lock(session.id, account)
    if not (is_live if live else has_not_ended)(fresh, now=now):
        raise Refused(Reason.LOGIN_ENDED)
    proven = _planned(account, wanted, now=now, evidence={"line_began": login_of(fresh.event).at.isoformat()})
    return issue.derive(account, proven, request_of(fresh, name=wanted.name, purpose=PURPOSE), now=now)


def _planned(  # noqa: PLR0913 - the parts of a certificate that is to be
    account: Account,
    wanted: CertificateOptions,
    *,
    now: datetime,
    replaces: IssuedCertificate | None = None,
    evidence: dict[str, object] | None = None,
    until: datetime | None = None,
) -> VerifiedProof:
    person: Person = account.person
    return making.planned_proof(
        require_current(now=now),
        wanted.key,
        name=person.display_name(),
        login=person.login_name or "",
        life=life(),
        now=now,
        passphrase_hash=wanted.passphrase_hash,
        made_here=wanted.made_here,
        kept=wanted.kept,
        replaces=replaces,
        evidence=evidence,
        until=until,
    )


def reissued(
    old: IssuedCertificate, key: CertificateKey, *, session: LoginSession | None = None, now: datetime
) -> IssuedCertificate:
    """The same certificate with the present name, for a caller who has proven its key (MT-4).

    session: the person's, on the page; None over a handshake with the old certificate.

    Raises: Refused of `renew.reissue`, and Refused(LOGIN_ENDED), or of eligibility, on the page; Unavailable.
    """

    def work(account: Account) -> Credential:
        row = Credential.objects.select_related("root", "parent").get(id=old.credential_id)
        said = _by_itself(account, row, now=now)
        if session is not None:
            fresh = session_under_lock(session.id, account)
            if not is_live(fresh, now=now):
                raise Refused(Reason.LOGIN_ENDED)
            said = request_of(fresh, name=row.name, purpose=PURPOSE)
            if reason := refusal_to_change(said.login, affected=status.level(row), now=now):
                raise Refused(reason)
        wanted = CertificateOptions(key=key, name=row.name, passphrase_hash=old.passphrase_hash, kept=_still_kept(row))
        evidence: dict[str, object] = {"line_began": renew.line_began(row)}
        proven = _planned(account, wanted, now=now, replaces=old, evidence=evidence, until=old.not_after)
        return renew.reissue(account, row, proven, said, now=now)

    return finish(under_lock(old.credential.account_id, work))


def _still_kept(row: Credential) -> HardwareEvidence | None:
    """The hardware that was proven when it was made, as far as it is trusted now."""
    if not attestation.is_trusted(row.evidence):
        return None
    facts = {name: row.evidence[name] for name in ("level", "vouched")}
    return HardwareEvidence(
        device=DeviceFacts(**row.evidence["device"]),
        verifies_user=row.evidence.get("activation") == "per_use",
        level=str(facts["level"]),
        facts=facts,
    )


def finish(credential: Credential) -> IssuedCertificate:
    """Sign the recorded certificate, lock again, and release it.

    Raises: Refused after an end meanwhile; Unavailable(KEY_UNAVAILABLE): the row waits, and the worker ends it.
    """
    made = making.signed_certificate(credential.id, wrapper())

    def work(account: Account) -> None:
        row = issue.release(account, credential.id, made, now=clock.now(), actor="person")
        renew.end_corrected(account, row, now=clock.now(), actor="person")

    under_lock(credential.account_id, work)
    return IssuedCertificate.objects.select_related("credential", "authority").get(credential=credential.id)


# --- a new one for an old one -----------------------------------------------------------------------------------------


def renewed(old: IssuedCertificate, key: CertificateKey, *, now: datetime) -> IssuedCertificate:
    """Issue a successor, requested over a handshake with the old certificate (MT-2, MT-5).

    Raises: Refused of `renew.certificate`; Unavailable.
    """
    wanted = CertificateOptions(key=key, name=old.credential.name, passphrase_hash=old.passphrase_hash)

    def work(account: Account) -> Credential:
        row = Credential.objects.select_related("root", "parent").get(id=old.credential_id)
        proven = _planned(account, wanted, now=now, replaces=old, evidence={"line_began": renew.line_began(row)})
        return renew.certificate(account, row, proven, _by_itself(account, row, now=now), now=now)

    return finish(under_lock(old.credential.account_id, work))


def _by_itself(account: Account, row: Credential, *, now: datetime) -> IssuanceRequest:
    """The request of the old key's holder."""
    person: Person = account.person
    login = Authentication(
        factors=frozenset({Factor.CERTIFICATE}),
        aal=status.level(row),
        root=False,
        at=now,
        phishing_resistant=True,
        by=str(row.id),
    )
    return issue.IssuanceRequest(
        login=login,
        root=row.root or row,
        name=row.name,
        by="certificate",
        purpose=PURPOSE,
        person=person.login_name or "",
        groups=rulebook.groups_of(person),
        rulebook=rulebook.rules(),
    )


# --- for a device that cannot make a key ------------------------------------------------------------------------------


def make_pkcs12(
    session: LoginSession, *, name: str, passphrase_hash: str, transport: str, now: datetime
) -> tuple[IssuedCertificate, bytes]:
    """A key and its certificate in one encrypted file, delivered once and not stored (X-8: AAL2 only).

    transport: the passphrase of the file. Raises: as `make`.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    wanted = CertificateOptions(key=key.public_key(), name=name, passphrase_hash=passphrase_hash, made_here=True)
    row = make(session, wanted, now=now)
    sealed = pkcs12.serialize_key_and_certificates(
        name.encode(), key, certificate(row), between(row), BestAvailableEncryption(transport.encode())
    )
    return row, sealed


# --- what its holder gets ---------------------------------------------------------------------------------------------


def certificate(row: IssuedCertificate) -> x509.Certificate:
    """A released certificate."""
    return x509.load_der_x509_certificate(bytes(row.der or b""))


def between(row: IssuedCertificate) -> list[x509.Certificate]:
    """The certificates that a client sends along: between its own and the root."""
    return [one for one in [certificate_of(row.authority), *chain_of(row.authority)] if one.issuer != one.subject]
