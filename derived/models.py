"""The models of the ledger, the audit chain and the outbox.

`Account` is one row per person, and the lock: whatever issues, renews, suspends or revokes locks it first
(`derived.ledger.locking`). Rows of other packages carry account, epoch and credential, and every read of them joins
these.
"""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import F, Q

from derived.rules.assurance import AAL, IAL
from derived.rules.kinds import Label
from derived.rules.lifecycle import LIVING, State
from derived.rules.requests import OPEN, RequestState


class AccountStatus(models.TextChoices):
    """The status of an identity account."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    TERMINATED = "terminated"


class Account(models.Model):
    """The identity account of a person, and the lock of everything that belongs to it.

    epoch: incremented with every termination of the account; rows with an older epoch are invalid. eligible: whether
    the person may hold derived credentials (EL-4). audit_head, audit_seq: the end of this account's chain of Events.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    status = models.CharField(max_length=12, choices=AccountStatus.choices, default=AccountStatus.ACTIVE)
    epoch = models.PositiveIntegerField(default=1)
    ial = models.PositiveSmallIntegerField(default=IAL.NONE)
    eligible = models.BooleanField(default=True)
    audit_head = models.CharField(max_length=64, default="0" * 64)
    audit_seq = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(name="account_ial_is_a_level", condition=Q(ial__lte=IAL.IAL3)),
        ]

    def __str__(self) -> str:
        return f"account {self.id}"

    @property
    def is_active(self) -> bool:
        """True if this account may log in, issue derived credentials and be asserted in tokens."""
        return self.status == AccountStatus.ACTIVE


class Credential(models.Model):
    """A row of the ledger: a root, a derived credential, or a family of refresh tokens.

    root: the ancestor that the person already had; None for a root itself.
    parent: the credential that authorised this one (for a device its root, for a token family the login credential).
    aal: the level at issuance; `status.level` takes the minimum with its ancestors' at every use.
    jkt: RFC 7638 thumbprint of its key; unique for ever, also after revocation (C5, C6).
    evidence: the evidence for the level (BI-6): protection, factors, phishing_resistant, exportable.
    label: *derived PIV* or generic, set at issuance; the database refuses a change (EL-2).
    failures: consecutive wrong guesses (TH-1).
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="credentials")
    epoch = models.PositiveIntegerField()
    kind = models.CharField(max_length=24)  # a `Kind`; no choices, so that a new kind is no migration
    state = models.CharField(max_length=12, choices=[(state.value, state.value) for state in State])
    root = models.ForeignKey("self", on_delete=models.PROTECT, null=True, related_name="grown")
    parent = models.ForeignKey("self", on_delete=models.PROTECT, null=True, related_name="children")
    aal = models.PositiveSmallIntegerField()
    ial = models.PositiveSmallIntegerField()
    name = models.CharField(max_length=80, default="")
    evidence = models.JSONField(default=dict)
    label = models.CharField(
        max_length=16, choices=[(label.value, label.value) for label in Label], default=Label.GENERIC
    )
    jkt = models.CharField(max_length=43, null=True, unique=True)  # noqa: DJ001 - unique, and most rows have none
    failures = models.PositiveSmallIntegerField(default=0)
    created_at = models.DateTimeField()
    activated_at = models.DateTimeField(null=True)
    last_used_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    end_reason = models.CharField(max_length=32, default="")

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(name="credential_aal_is_a_level", condition=Q(aal__gte=AAL.AAL1, aal__lte=AAL.AAL3)),
            models.CheckConstraint(
                name="credential_root_and_parent_together",
                condition=Q(root__isnull=True, parent__isnull=True) | Q(root__isnull=False, parent__isnull=False),
            ),
            models.CheckConstraint(
                name="credential_ended_says_when",
                condition=Q(state__in=sorted(LIVING), ended_at__isnull=True) | Q(ended_at__isnull=False),
            ),
            models.CheckConstraint(name="credential_is_not_its_own_parent", condition=~Q(parent=F("id"))),
        ]
        indexes: ClassVar = [
            models.Index(fields=["account", "state"], name="credential_of_account"),
            models.Index(fields=["expires_at"], condition=Q(state__in=sorted(LIVING)), name="credential_due_to_expire"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"


class PasswordAndTotp(models.Model):
    """The verifier of a password and TOTP root: an argon2 hash, a wrapped seed, and the last time step (AU-5)."""

    credential = models.OneToOneField(
        Credential, on_delete=models.PROTECT, primary_key=True, related_name="password_totp"
    )
    password_hash = models.CharField(max_length=256)
    totp_seed = models.BinaryField()
    totp_last_step = models.BigIntegerField(default=-1)

    def __str__(self) -> str:
        return f"verifier of {self.credential_id}"


class RecoveryCode(models.Model):
    """A saved recovery code, hashed, for a single use (RC-3)."""

    credential = models.ForeignKey(Credential, on_delete=models.PROTECT, related_name="recovery_codes")
    code_hash = models.CharField(max_length=64, unique=True)
    expires_at = models.DateTimeField()
    consumed_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"recovery code of {self.credential_id}"


class Holder(models.Model):
    """The current account of a card or an upstream identity; its row is locked while that is decided.

    key: SHA-256 over the kind and the identifiers of the item (`derived.ledger.exclusive_holders`).
    """

    key = models.CharField(max_length=64, primary_key=True)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, null=True, related_name="+")
    credential = models.ForeignKey(Credential, on_delete=models.PROTECT, null=True, related_name="+")

    def __str__(self) -> str:
        return f"holder of {self.key[:8]}…"


class CardCertificate(models.Model):
    """A certificate seen on a card or a derived PIV credential, with history; it identifies its holder (C24).

    issuer: RFC 4514 name. issuer_key: SHA-256 of the issuer's DER name and its key identifier: two CAs of one name
    differ. serial: hex. ski: hex of the subject key identifier, or of the RFC 5280 §4.2.1.2 (1) hash if the certificate
    has none. fasc_n: hex of the 25 bytes. card_uuid: the `urn:uuid:` of the subject alternative name. fingerprint:
    SHA-256 of the DER. superseded_at: when another certificate of the same card replaced it.
    """

    credential = models.ForeignKey(Credential, on_delete=models.PROTECT, related_name="certificates")
    issuer = models.CharField(max_length=1000)
    issuer_key = models.CharField(max_length=64, db_index=True)
    serial = models.CharField(max_length=64)
    ski = models.CharField(max_length=128)
    fasc_n = models.CharField(max_length=64, default="", db_index=True)
    card_uuid = models.CharField(max_length=36, default="", db_index=True)
    fingerprint = models.CharField(max_length=64, db_index=True)
    der = models.BinaryField()
    not_after = models.DateTimeField()
    seen_at = models.DateTimeField()
    superseded_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["credential", "fingerprint"], name="certificate_once_per_credential")
        ]

    def __str__(self) -> str:
        return f"certificate {self.serial} of {self.credential_id}"


class Passkey(models.Model):
    """The verifier of a WebAuthn credential: its COSE key and the facts of its registration (PK-1, PK-2, BI-6).

    raw_id: the authenticator's credential id, unique for ever. public_key: COSE. transports: hints for the browser.
    backup_eligible, backed_up: BE and BS; BE decides the level and never changes (trap 4). aaguid: a UUID, unverified
    unless attested. attested: its attestation chains to a root in the FIDO metadata, and its model is on the
    allow-list. discoverable: whether it signs in without a user name. hardware: proven non-exportable.
    """

    credential = models.OneToOneField(Credential, on_delete=models.PROTECT, primary_key=True, related_name="passkey")
    raw_id = models.BinaryField(max_length=1023)
    raw_id_hash = models.CharField(max_length=64, unique=True)
    public_key = models.BinaryField()
    sign_count = models.PositiveBigIntegerField(default=0)
    backup_eligible = models.BooleanField()
    backed_up = models.BooleanField()
    user_verified = models.BooleanField()
    discoverable = models.BooleanField(default=False)
    aaguid = models.CharField(max_length=36, default="")
    attestation = models.CharField(max_length=24, default="none")
    attested = models.BooleanField(default=False)
    hardware = models.BooleanField(default=False)
    model = models.CharField(max_length=200, default="")
    transports = models.JSONField(default=list)

    def __str__(self) -> str:
        return f"verifier of {self.credential_id}"


class UpstreamIdentity(models.Model):
    """A person's identity at another provider, by (issuer, sub) only, never by a name or an address (P33)."""

    credential = models.OneToOneField(
        Credential, on_delete=models.PROTECT, primary_key=True, related_name="upstream_identity"
    )
    issuer = models.CharField(max_length=500)
    subject = models.CharField(max_length=255)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["issuer", "subject"], name="upstream_identity_is_sought")]

    def __str__(self) -> str:
        return f"identity at {self.issuer} of {self.credential_id}"


class DeviceKey(models.Model):
    """The verifier of a device: its public key, and the hash of its passphrase (ruling 1).

    jwk: RFC 7517 EC public key.
    clients: client_ids for which it may request tokens by assertion, fixed at binding (ruling 2).
    authenticated_at: the last login with key and passphrase; a key-only call repeats this time and never moves it.
    """

    credential = models.OneToOneField(Credential, on_delete=models.PROTECT, primary_key=True, related_name="device_key")
    jwk = models.JSONField()
    passphrase_hash = models.CharField(max_length=256)
    clients = models.JSONField(default=list)
    authenticated_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"verifier of {self.credential_id}"


class Verifier(models.Model):
    """The verifier of a derived credential whose kind has no table of its own: JSON for its module of `minting`."""

    credential = models.OneToOneField(Credential, on_delete=models.PROTECT, primary_key=True, related_name="verifier")
    data = models.JSONField()

    def __str__(self) -> str:
        return f"verifier of {self.credential_id}"


class BoundKey(models.Model):
    """A public key that was bound; no key is ever bound twice, also not after its credential has ended (C5, C6).

    name: SHA-256 of its SubjectPublicKeyInfo, hex, or of another identifier (`minting.proven`). proven: whether its
    holder has proven possession of it (`ledger.bound_keys`).
    """

    name = models.CharField(max_length=64, primary_key=True)
    credential = models.ForeignKey(Credential, on_delete=models.PROTECT, related_name="keys")
    proven = models.BooleanField(default=True, db_default=True)

    def __str__(self) -> str:
        return f"key {self.name[:8]}… of {self.credential_id}"


class Request(models.Model):
    """A request for a credential, from its asking to its end (RQ-1, `derived.rules.requests`).

    epoch: the account's when it was asked; a request of an older epoch is no more. requested_by, requester: the actor
    and, for a person, their account. role: in which they ask: self, supervisor, manager, system. channel: page,
    command, api, scim, timer. about: distinguishes open requests of one kind; "" for a credential. aal: the highest
    level that was approved. form_factor: phone, tablet, laptop, key or vpn. device_model, device_serial: if given, the
    device must prove them. terms: everything that approvers are shown; terms_hash: its hash. policy_hash: of the rules
    when it was asked. approval, approvers: the needed approvals, and the groups that are asked in turn. stage: the
    number of groups asked beyond the first. rule: the automatic rule that approved it, with a hash. reminded: reminders
    sent. lasts_until: the latest end of the credential. idempotency: of an import, unique, or "". expires_at: the
    deadline of the present state. consumed_at: when it was collected, once. reason: words for the person.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="requests")
    epoch = models.PositiveIntegerField(default=1)
    state = models.CharField(
        max_length=12, choices=[(one.value, one.value) for one in RequestState], default=RequestState.ASKED
    )
    requested_by = models.CharField(max_length=80)
    requester = models.ForeignKey(Account, on_delete=models.PROTECT, null=True, related_name="requests_for_others")
    role = models.CharField(max_length=12, default="self")
    channel = models.CharField(max_length=12, default="page")
    kind = models.CharField(max_length=24)
    about = models.CharField(max_length=80, default="")
    label = models.CharField(max_length=16, default=Label.GENERIC)
    aal = models.PositiveSmallIntegerField(default=AAL.AAL3)
    form_factor = models.CharField(max_length=12, default="")
    device_name = models.CharField(max_length=80)
    device_type = models.CharField(max_length=24, default="software")
    device_model = models.CharField(max_length=200, default="")
    device_serial = models.CharField(max_length=80, default="")
    asset_tag = models.CharField(max_length=80, default="")
    managed = models.BooleanField(null=True)
    purpose = models.CharField(max_length=300)
    ticket = models.CharField(max_length=80, default="")
    lasts_until = models.DateTimeField(null=True)
    batch = models.CharField(max_length=36, default="", db_index=True)
    idempotency = models.CharField(max_length=64, default="")
    terms = models.JSONField(default=dict)
    terms_hash = models.CharField(max_length=64, default="")
    policy_hash = models.CharField(max_length=64, default="")
    approval = models.CharField(max_length=8, default="none")
    approvers = models.JSONField(default=list)
    stage = models.PositiveSmallIntegerField(default=0)
    rule = models.CharField(max_length=160, default="")
    reminded = models.PositiveSmallIntegerField(default=0)
    login_aal = models.PositiveSmallIntegerField(default=0)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True)
    consumed_at = models.DateTimeField(null=True)
    decided_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    reason = models.CharField(max_length=300, default="")
    credential = models.ForeignKey(Credential, on_delete=models.PROTECT, null=True, related_name="requests")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["account", "kind", "about"], condition=Q(state__in=sorted(OPEN)), name="one_open_request"
            ),
            models.UniqueConstraint(
                fields=["idempotency"], condition=~Q(idempotency=""), name="one_request_for_each_row"
            ),
            models.CheckConstraint(
                name="request_collected_once",
                condition=~Q(state__in=["collecting", "issued", "active"]) | Q(consumed_at__isnull=False),
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["created_at", "id"], condition=Q(state="waiting"), name="requests_waiting"),
            models.Index(
                fields=["expires_at"],
                condition=Q(state__in=sorted([*OPEN, RequestState.ISSUED])),
                name="requests_due_to_expire",
            ),
        ]

    def __str__(self) -> str:
        return f"request {self.id}"


class RequestDecision(models.Model):
    """One approval or refusal of a request: who, when, yes or no, in which words, of which terms (RQ-1).

    by: the actor; account, epoch: of a person. role: manager, supervisor, group, system. acting_for: the account of
    the approver who delegated this decision. void_at: since when it no longer counts, because its approver left.
    """

    request = models.ForeignKey(Request, on_delete=models.PROTECT, related_name="decisions")
    by = models.CharField(max_length=120)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, null=True, related_name="request_decisions")
    epoch = models.PositiveIntegerField(default=0)
    role = models.CharField(max_length=120)
    acting_for = models.ForeignKey(Account, on_delete=models.PROTECT, null=True, related_name="+")
    approves = models.BooleanField()
    words = models.CharField(max_length=300, default="")
    terms_hash = models.CharField(max_length=64)
    at = models.DateTimeField()
    void_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["request", "by"], condition=Q(void_at__isnull=True), name="one_decision_each"
            )
        ]

    def __str__(self) -> str:
        return f"decision on request {self.request_id}"


class Event(models.Model):
    """A link of an account's audit chain: one change of the ledger (RE-1).

    Append-only; a trigger refuses the rest.
    body: the hashed content: ids, facts, and salted commitments to personal data.
    hash: HMAC-SHA-256 with the chain's key over account, seq, at, kind, actor, body and the previous hash, as canonical
    JSON. keyed: False for an Event from before the key existed, whose hash is a plain SHA-256.
    """

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="events")
    seq = models.PositiveIntegerField()
    at = models.DateTimeField()
    kind = models.CharField(max_length=48)
    actor = models.CharField(max_length=120)
    credential = models.ForeignKey(Credential, on_delete=models.PROTECT, null=True, related_name="events")
    body = models.JSONField()
    previous = models.CharField(max_length=64)
    hash = models.CharField(max_length=64)
    keyed = models.BooleanField(default=True, db_default=False)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["account", "seq"], name="event_chain_has_no_forks")]

    def __str__(self) -> str:
        return f"{self.kind} #{self.seq} of {self.account_id}"


class EventDetail(models.Model):
    """The personal side of an Event: name, value and salt of a commitment in its body; may be erased."""

    event = models.ForeignKey(Event, on_delete=models.PROTECT, related_name="details")
    name = models.CharField(max_length=48)
    value = models.TextField()
    salt = models.CharField(max_length=32)

    def __str__(self) -> str:
        return f"detail {self.name} of event {self.event_id}"


class LedgerState(models.Model):
    """The one row about the ledger as a whole.

    chain_key: the key of the audit chain, wrapped. generation: raised each time that a restored backup is accepted.
    compared_at: when this database was last compared with its witness; None if it never had one.
    """

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    chain_key = models.BinaryField()
    generation = models.PositiveIntegerField(default=1)
    compared_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [models.CheckConstraint(name="ledger_state_is_one_row", condition=Q(id=1))]

    def __str__(self) -> str:
        return f"generation {self.generation}"


class Checkpoint(models.Model):
    """A signed checkpoint of all chains; its leaves are what `CheckpointLeaf` says at it or before (EV-4, EV-5).

    statement: the JWS. hash: SHA-256 of the statement, which the next one names. root: of the tree of public heads
    (RFC 9162), "" for a checkpoint that was only read from the witness.
    """

    hash = models.CharField(max_length=64, unique=True)
    statement = models.TextField()
    root = models.CharField(max_length=64)
    at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"checkpoint {self.hash[:8]}…"


class CheckpointLeaf(models.Model):
    """The public head of a chain at a checkpoint, written where the chain had grown since the one before.

    head: unlike the head on the account, it is computed without a key, so that anybody can verify a chain that is
    exported (`derived.ledger.public_heads`).
    """

    checkpoint = models.ForeignKey(Checkpoint, on_delete=models.PROTECT, related_name="leaves")
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="+")
    seq = models.PositiveIntegerField()
    head = models.CharField(max_length=64)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["account", "checkpoint"], name="leaf_once_per_checkpoint")
        ]

    def __str__(self) -> str:
        return f"leaf of {self.account_id}"


class OutboxRow(models.Model):
    """A message for a receiver outside, written with the change that causes it; delivered at least once.

    payload: ids only; links and tokens are made at delivery (ruling 10).
    receiver: deliveries are in order per receiver, and receivers are independent (C83).
    """

    account = models.ForeignKey(Account, on_delete=models.PROTECT, null=True, related_name="outbox")
    kind = models.CharField(max_length=48)
    receiver = models.CharField(max_length=255)
    payload = models.JSONField()
    created_at = models.DateTimeField()
    due_at = models.DateTimeField()
    attempts = models.PositiveSmallIntegerField(default=0)
    leased_until = models.DateTimeField(null=True)
    delivered_at = models.DateTimeField(null=True)
    parked_at = models.DateTimeField(null=True)
    last_error = models.CharField(max_length=200, default="")

    class Meta:
        indexes: ClassVar = [
            models.Index(
                fields=["receiver", "id"],
                name="outbox_waiting",
                condition=Q(delivered_at__isnull=True, parked_at__isnull=True),
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} for {self.receiver}"


class Spent(models.Model):
    """A `jti` or time step that was seen: the insert on its unique key is the claim (I3)."""

    key = models.CharField(max_length=64, primary_key=True)
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"spent {self.key[:8]}…"


class SigningKey(models.Model):
    """A signing key of one purpose; its private half is wrapped by the key-encryption key.

    state: pending (published, not yet used) → active → retiring (published, verifies) → retired; from any: revoked.
    """

    kid = models.CharField(max_length=43, primary_key=True)
    purpose = models.CharField(max_length=24)
    alg = models.CharField(max_length=8)
    state = models.CharField(max_length=12)
    public_jwk = models.JSONField()
    wrapped = models.BinaryField()
    created_at = models.DateTimeField()
    active_from = models.DateTimeField()
    retired_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["purpose", "alg"], condition=Q(state="active"), name="one_active_key_per_purpose_and_alg"
            )
        ]

    def __str__(self) -> str:
        return f"{self.purpose} key {self.kid}"


class Authority(models.Model):
    """A certification authority that issues certificates to people: its key and its CA certificate.

    name: hex of the beginning of its key identifier; part of the URLs of its lists. state: waiting (the superior CA has
    not signed it yet) → active → retired: it issues no more, and signs its lists until all its certificates have
    expired. signer: the backend of its key (`derived.signers`); reference: the key's name there; secret: wrapped, the
    key itself or a PIN. public: base64 of its SubjectPublicKeyInfo. chain: base64 of DER, from the superior CA up to
    the root; lists: their URLs. base_url: the URL of its lists and responses, over http. oid: the policy of its generic
    certificates. asserts_piv: whether it may assert the Common Policy's own OIDs. crl_number: of its newest lists.
    responder: the certificate of its OCSP responder, whose key is wrapped.
    """

    name = models.CharField(max_length=16, primary_key=True)
    state = models.CharField(max_length=8)
    organisation = models.CharField(max_length=64)
    common_name = models.CharField(max_length=64)
    public = models.TextField()
    certificate = models.BinaryField(null=True)
    chain = models.JSONField(default=list)
    lists = models.JSONField(default=list)
    signer = models.CharField(max_length=12)
    reference = models.JSONField(default=dict)
    secret = models.BinaryField()
    base_url = models.CharField(max_length=200)
    oid = models.CharField(max_length=120)
    asserts_piv = models.BooleanField(default=False)
    crl_number = models.PositiveBigIntegerField(default=0)
    responder = models.BinaryField(null=True)
    responder_key = models.BinaryField(null=True)
    created_at = models.DateTimeField()
    not_after = models.DateTimeField(null=True)
    retired_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["state"], condition=Q(state="active"), name="one_authority_issues")
        ]

    def __str__(self) -> str:
        return f"authority {self.name}"


class IssuedCertificate(models.Model):
    """An issued certificate: its serial number is recorded before signing, its bytes at release (ruling 23).

    shard: its CRL shard. uuid: of this certificate alone (X-3). shown: the attributes of the person in it (MT-4). spki:
    the public key. passphrase_hash: the second factor for logins here (ruling 1). replaces: the certificate that it
    renews (MT-5). rechecked_at: when the parent's certificate was checked again (X-10). told: the last status sent to
    an external CA: hold, revoked.
    """

    credential = models.OneToOneField(Credential, on_delete=models.PROTECT, primary_key=True, related_name="issued")
    authority = models.ForeignKey(Authority, on_delete=models.PROTECT, related_name="issued")
    serial = models.CharField(max_length=40)
    shard = models.PositiveIntegerField()
    uuid = models.UUIDField(unique=True)
    shown = models.JSONField()
    spki = models.BinaryField()
    passphrase_hash = models.CharField(max_length=256, default="")
    policies = models.JSONField(default=list)
    not_before = models.DateTimeField()
    not_after = models.DateTimeField()
    der = models.BinaryField(null=True)
    # unique, and NULL before its release
    fingerprint = models.CharField(max_length=64, null=True, unique=True)  # noqa: DJ001
    released_at = models.DateTimeField(null=True)
    replaces = models.ForeignKey("self", on_delete=models.PROTECT, null=True, related_name="replaced_by")
    rechecked_at = models.DateTimeField(null=True)
    told = models.CharField(max_length=8, default="")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["authority", "serial"], name="serial_once_per_authority")
        ]
        indexes: ClassVar = [models.Index(fields=["authority", "shard"], name="certificates_of_a_shard")]

    def __str__(self) -> str:
        return f"certificate {self.serial} of {self.authority_id}"


class IdentityCheck(models.Model):
    """An identity check in person by an officer: the record that a certificate at AAL3 takes (X-9, RQ-6).

    how: in person, or supervised remote. officer: never the person themselves (RQ-3). place: where. compared: the
    biometric, compared one to one; against: the reference. sample: as captured, sealed under the operator's key;
    digest: its SHA-256. credential: the credential that was issued on it; a check serves once. The database refuses any
    other change, and deletion.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="identity_checks")
    epoch = models.PositiveIntegerField()
    how = models.CharField(max_length=20)
    officer = models.CharField(max_length=120)
    place = models.CharField(max_length=120)
    compared = models.CharField(max_length=20)
    against = models.CharField(max_length=120)
    sample = models.BinaryField()
    digest = models.CharField(max_length=64)
    at = models.DateTimeField()
    credential = models.OneToOneField(Credential, on_delete=models.PROTECT, null=True, related_name="identity_check")

    def __str__(self) -> str:
        return f"identity check {self.id}"


class IdentityCheckConfirmation(models.Model):
    """A second person's confirmation of an identity check; a check serves only with one. by: never its officer."""

    check_made = models.OneToOneField(IdentityCheck, on_delete=models.PROTECT, related_name="confirmation")
    by = models.CharField(max_length=120)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"confirmation of identity check {self.check_made_id}"


class VouchedRecovery(models.Model):
    """A permission to bind a first root again: the identity of a person without a way in was checked (RC-1).

    invitation_to: SHA-256 of the address to which the invitation may go. by, seconded_by: the people who vouched.
    """

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="vouched_recoveries")
    epoch = models.PositiveIntegerField()
    invitation_to = models.CharField(max_length=64)
    by = models.CharField(max_length=120)
    seconded_by = models.CharField(max_length=120)
    at = models.DateTimeField()
    expires_at = models.DateTimeField()
    consumed_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"vouched recovery of {self.account_id}"


class RevocationList(models.Model):
    """The newest CRL of an authority or of one of its shards (-1: the full list), as every node publishes it."""

    authority = models.ForeignKey(Authority, on_delete=models.PROTECT, related_name="revocation_lists")
    shard = models.IntegerField()
    number = models.PositiveBigIntegerField()
    der = models.BinaryField()
    entries = models.PositiveIntegerField()
    made_at = models.DateTimeField()
    next_update = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["authority", "shard"], name="one_list_per_shard")]

    def __str__(self) -> str:
        return f"list {self.number} of {self.authority_id}"
