"""What the top floor keeps: sessions, authorization requests, codes, grants, bindings, invitations, clients' policies.

Each row that lets somebody do something carries account, epoch and credential; every read of it joins the Account and
the credential, so one flip on the ground floor ends it (design.md). Secrets are stored as SHA-256 of high-entropy values.
"""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from oidc_provider.models import Client, UserConsent

from derived.models import Account, Credential


class AuthenticationEvent(models.Model):
    """The evidence of one login: what was verified, by which credential, when. Never edited; `auth_time` is its `at`.

    beside: a second credential that took part (the password beside a security key); the login lives with both.
    hardware: the phishing-resistant key is proven to be in hardware. upstream: the issuer that vouched, or "" (FA-8).
    fal: the federation level of the path up to here; 3 where nobody vouched (AS-6).
    """

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="logins")
    credential = models.ForeignKey(Credential, on_delete=models.PROTECT, related_name="logins")
    beside = models.ForeignKey(Credential, on_delete=models.PROTECT, null=True, related_name="+")
    factors = models.JSONField()
    amr = models.JSONField(default=list)
    aal = models.PositiveSmallIntegerField()
    root = models.BooleanField()
    phishing_resistant = models.BooleanField(default=False)
    hardware = models.BooleanField(default=False)
    upstream = models.CharField(max_length=500, default="")
    fal = models.PositiveSmallIntegerField(default=3)
    at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"login at AAL{self.aal} of {self.account_id}"


class LoginSession(models.Model):
    """One browser of one person, signed in. Its level is that of its one present event, never a sum (AS-4).

    sid: what relying parties know it by. network: a coarse place, for the person's own list of sessions.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    sid = models.CharField(max_length=43, unique=True)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="sessions")
    epoch = models.PositiveIntegerField()
    event = models.ForeignKey(AuthenticationEvent, on_delete=models.PROTECT, related_name="sessions")
    browser = models.CharField(max_length=120, default="")
    network = models.CharField(max_length=45, default="")
    created_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"session {self.id}"


class CertificateLogin(models.Model):
    """One login, or binding, by certificate: begun on the main host, proven on the certificate host, ended where it began (ruling 7).

    browser: hash of the secret of the browser that began it. ticket_hash: what the certificate host is called with.
    result_hash: what comes back, once. purpose: login, bind, replace or invitation; subject: what a binding is about.
    verified: what the certificate said, as `derived.changes.issue.Certificate` (its DER in base64). reason: why it was refused.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    browser = models.CharField(max_length=64)
    ticket_hash = models.CharField(max_length=64, unique=True)
    result_hash = models.CharField(max_length=64, default="")
    purpose = models.CharField(max_length=12)
    subject = models.CharField(max_length=64, default="")
    verified = models.JSONField(null=True)
    reason = models.CharField(max_length=48, default="")
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)
    presented_at = models.DateTimeField(null=True)
    consumed_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"certificate login {self.id}"


class PkiObject(models.Model):
    """A CRL, an OCSP answer or an issuer's certificate that was fetched, so that one slow responder fails no login (C22).

    key: SHA-256 of what it is about. A stale one is kept, and never believed after `expires_at`.
    """

    key = models.CharField(max_length=64, primary_key=True)
    kind = models.CharField(max_length=12)
    source = models.CharField(max_length=1000)
    body = models.BinaryField(null=True)
    fetched_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)
    tried_at = models.DateTimeField(null=True)
    last_error = models.CharField(max_length=200, default="")

    def __str__(self) -> str:
        return f"{self.kind} from {self.source}"


class Probe(models.Model):
    """What the probe through the public address last showed: whether a forged certificate header is stripped (H4)."""

    name = models.CharField(max_length=32, primary_key=True)
    nonce_hash = models.CharField(max_length=64, default="")
    at = models.DateTimeField()
    passed = models.BooleanField(default=False)
    words = models.CharField(max_length=300, default="")

    def __str__(self) -> str:
        return f"probe {self.name}"


class Ceremony(models.Model):
    """One WebAuthn challenge: of one browser, for one purpose, used once, for five minutes (C59).

    browser: hash of the secret of the browser that asked. account: whose key is expected; None where the key itself says.
    purpose: login, second (beside a password), register. options: what the answer is compared with.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    browser = models.CharField(max_length=64)
    purpose = models.CharField(max_length=12)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, null=True, related_name="+")
    challenge = models.CharField(max_length=64)
    options = models.JSONField(default=dict)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)
    consumed_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"ceremony {self.id}"


class Upstream(models.Model):
    """Another OpenID provider that people may sign in at, and exactly what its words are worth (AU-7, C10).

    levels: {acr: [aal, ial]}, compared whole; an `acr` that is not in it is worth nothing. cap: the most that it is trusted for.
    aal_claim, ial_claim: claims that say it instead of `acr`, where a provider has them (login.gov). secret: wrapped.
    A claim named with `[]` at its end is a list of texts; any other is one text, and nothing else is ever read.
    amr: {theirs: ours}; what is not in it is not passed on. phishing_resistant: acr values or claims values that say so.
    hosts: `host` or `host:port` of its endpoints beside the issuer's own. jwks: its keys as they were last fetched.
    """

    slug = models.SlugField(primary_key=True, max_length=40)
    name = models.CharField(max_length=80)
    issuer = models.CharField(max_length=500, unique=True)
    client_id = models.CharField(max_length=255)
    auth_method = models.CharField(max_length=32, default="client_secret_basic")
    secret = models.BinaryField(null=True)
    scope = models.CharField(max_length=200, default="openid")
    acr_values = models.CharField(max_length=500, default="")
    preset = models.CharField(max_length=24, default="")
    levels = models.JSONField(default=dict)
    aal_claim = models.CharField(max_length=64, default="")
    ial_claim = models.CharField(max_length=64, default="")
    amr = models.JSONField(default=dict)
    phishing_resistant = models.JSONField(default=list)
    algs = models.JSONField(default=list)
    cap = models.PositiveSmallIntegerField(default=2)
    metadata = models.JSONField(default=dict)
    metadata_at = models.DateTimeField(null=True)
    jwks = models.JSONField(default=dict)
    jwks_at = models.DateTimeField(null=True)
    hosts = models.JSONField(default=list)
    disabled_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"upstream {self.slug}"


class UpstreamLogin(models.Model):
    """One trip to an upstream: its state belongs to the browser that began it, and comes back once (P35, P32).

    state_hash: SHA-256 of the state. purpose: login or link; account, session: who links, signed in as what. code_verifier: wrapped.
    nonce_hash: of the one nonce that the answer must carry. max_age: what was asked for, in seconds; then `auth_time` must come.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    upstream = models.ForeignKey(Upstream, on_delete=models.CASCADE, related_name="+")
    browser = models.CharField(max_length=64)
    state_hash = models.CharField(max_length=64, unique=True)
    nonce_hash = models.CharField(max_length=64)
    code_verifier = models.BinaryField()
    purpose = models.CharField(max_length=8)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, null=True, related_name="+")
    session = models.ForeignKey(LoginSession, on_delete=models.PROTECT, null=True, related_name="+")
    max_age = models.PositiveIntegerField(null=True)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)
    consumed_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"trip to {self.upstream_id}"


class ClientPolicy(models.Model):
    """What we add to a `Client` of the registry; the registry's own secret, URI and scope columns stay empty.

    application_type: web, native (RFC 8252) or browser (a public client with an origin of its own).
    device_assertion: may serve tokens for a device key without a browser (ruling 2).
    most_idle, most_session: how long a login may have been idle, and may be old, for this client; never longer than the
    level's own limits.
    origins: origins that may read answers cross-site. subject_type: public or pairwise (ruling 21).
    version: rises with whatever a person's consent was given to; a consent to an older one is asked for again (C54).

    What it proves itself with, beside a secret: auth_alg: the one algorithm of its assertions (P43). jwks: RFC 7517 set of
    public keys, or jwks_uri: where they are. tls_subject: one of {"dn", "dns", "uri", "ip", "email"} of its certificate
    (RFC 8705 §2.1.2). hosts: `host` or `host:port` inside, that an operator allows this client's documents to be fetched
    from. certificate_bound: its tokens are bound to its certificate (§3). registration_hash: of its
    registration access token (RFC 7592).
    What it must do: par_required (RFC 9126; a confidential client with min_aal 3 must in any case), request_alg and request_required (RFC 9101), phishing_resistant logins.
    What it is excused from, off by default and never for public clients: pkce_optional, nonce_optional (then FAL1).
    dpop_nonce: its DPoP proofs carry our nonce (RFC 9449 §8); None is the default: public clients' do.
    What it gets: grants beyond code and refresh; resources: resource indicators that it may ask for (RFC 8707);
    serves: those that it answers for, so that it may introspect what is meant for them;
    access_token_format: jwt or opaque; lives, where shorter than ours; userinfo_alg, introspection_alg: "" for plain JSON.
    shown: client_uri, policy_uri, tos_uri, logo_uri, contacts: text to show, never fetched (C46).
    """

    client = models.OneToOneField(Client, on_delete=models.CASCADE, primary_key=True, related_name="policy")
    secret_hash = models.CharField(max_length=64, default="")
    auth_method = models.CharField(max_length=32)
    application_type = models.CharField(max_length=8)
    scopes = models.CharField(max_length=500)
    id_token_alg = models.CharField(max_length=8, default="ES256")
    min_aal = models.PositiveSmallIntegerField(default=1)
    most_idle = models.DurationField(null=True)
    most_session = models.DurationField(null=True)
    dpop_required = models.BooleanField(default=False)
    dpop_nonce = models.BooleanField(null=True)
    device_assertion = models.BooleanField(default=False)
    subject_type = models.CharField(max_length=8, default="public")
    origins = models.JSONField(default=list)
    backchannel_logout_uri = models.CharField(max_length=500, default="")
    version = models.PositiveIntegerField(default=1)
    auth_alg = models.CharField(max_length=8, default="")
    jwks = models.JSONField(null=True)
    jwks_uri = models.CharField(max_length=500, default="")
    hosts = models.JSONField(default=list)
    sector_identifier_uri = models.CharField(max_length=500, default="")
    tls_subject = models.JSONField(default=dict)
    certificate_bound = models.BooleanField(default=False)
    registration_hash = models.CharField(max_length=64, default="")
    par_required = models.BooleanField(default=False)
    request_alg = models.CharField(max_length=8, default="")
    request_required = models.BooleanField(default=False)
    phishing_resistant = models.BooleanField(default=False)
    pkce_optional = models.BooleanField(default=False)
    nonce_optional = models.BooleanField(default=False)
    grants = models.JSONField(default=list)
    resources = models.JSONField(default=list)
    serves = models.JSONField(default=list)
    access_token_format = models.CharField(max_length=8, default="jwt")
    access_token_life = models.DurationField(null=True)
    refresh_life = models.DurationField(null=True)
    userinfo_alg = models.CharField(max_length=8, default="")
    introspection_alg = models.CharField(max_length=8, default="")
    shown = models.JSONField(default=dict)
    disabled_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"policy of {self.client_id}"


class RegistrationToken(models.Model):
    """An initial access token (RFC 7591 §3): hashed; registers so many clients, until then."""

    token_hash = models.CharField(primary_key=True, max_length=64)
    label = models.CharField(max_length=80)
    uses_left = models.PositiveIntegerField()
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"registration token {self.label}"


class ClientKeys(models.Model):
    """The public keys of one client as they were last fetched from its own address, for all nodes (C45).

    tries, answered: how often it was asked, and the last of them that ended; they differ while somebody is asking.
    """

    policy = models.ForeignKey(ClientPolicy, on_delete=models.CASCADE, related_name="fetched_keys")
    uri = models.CharField(max_length=500)
    jwks = models.JSONField(default=dict)
    fetched_at = models.DateTimeField(null=True)
    tried_at = models.DateTimeField(null=True)
    tries = models.PositiveBigIntegerField(default=0)
    answered = models.PositiveBigIntegerField(default=0)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["policy", "uri"], name="keys_once_per_client")]

    def __str__(self) -> str:
        return f"keys of {self.policy_id}"


class RegisteredUri(models.Model):
    """One redirect URI (or post-logout one) of a client; compared whole (C31, A1, E20)."""

    policy = models.ForeignKey(ClientPolicy, on_delete=models.CASCADE, related_name="uris")
    use = models.CharField(max_length=12)
    uri = models.CharField(max_length=500)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["policy", "use", "uri"], name="uri_once_per_client")]

    def __str__(self) -> str:
        return self.uri


class ConsentTerms(models.Model):
    """What the client was when a person allowed it something: its version, and the name that they saw (C54)."""

    consent = models.OneToOneField(UserConsent, on_delete=models.CASCADE, primary_key=True, related_name="terms")
    version = models.PositiveIntegerField()
    name = models.CharField(max_length=255)

    def __str__(self) -> str:
        return f"terms of consent {self.consent_id}"


class PushedRequest(models.Model):
    """One validated request that a client pushed (RFC 9126): loaded for 90 seconds, spent by one decision (ruling 20).

    id_hash: of the random part of its request_uri. expires_at: until when a page that loaded it in time may be answered.
    """

    id_hash = models.CharField(primary_key=True, max_length=64)
    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+")
    redirect_uri = models.CharField(max_length=500)
    ask = models.JSONField()
    created_at = models.DateTimeField()
    loads_until = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)
    consumed_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"pushed request {self.id_hash[:6]}…"


class AuthorizationRequest(models.Model):
    """One validated authorization request: the decision object. Pages carry its id, never its content (E1).

    browser: hash of the secret of the browser that began it; no other may go on with it (P23). pushed: where it came from.
    """

    id = models.CharField(primary_key=True, max_length=43)
    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+")
    browser = models.CharField(max_length=64)
    redirect_uri = models.CharField(max_length=500)
    pushed = models.ForeignKey(PushedRequest, on_delete=models.CASCADE, null=True, related_name="+")
    ask = models.JSONField()
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)
    consumed_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"authorization request {self.id[:6]}…"


class Code(models.Model):
    """One authorization code, hashed; lives a minute, serves once, and remembers what it became (FA-6)."""

    code_hash = models.CharField(primary_key=True, max_length=64)
    request = models.OneToOneField(AuthorizationRequest, on_delete=models.CASCADE, related_name="code")
    session = models.ForeignKey(LoginSession, on_delete=models.PROTECT, related_name="+")
    event = models.ForeignKey(AuthenticationEvent, on_delete=models.PROTECT, related_name="+")
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="+")
    epoch = models.PositiveIntegerField()
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)
    consumed_at = models.DateTimeField(null=True)
    family = models.ForeignKey(Credential, on_delete=models.PROTECT, null=True, related_name="+")

    def __str__(self) -> str:
        return f"code {self.code_hash[:6]}…"


class Grant(models.Model):
    """What a token family of the ledger may do: for whom, for what, with which key, and on which login.

    session: the family ends with it, unless `offline` (ruling 17). resources: what its access tokens may be for (RFC 8707);
    none: ourselves. relayed: the person signed in on one device for another one (RFC 8628). jkt: the DPoP key that its tokens are bound to; x5t: the certificate that they were bound to at first.
    fal: what the request allowed: 1 without a nonce or PKCE. claims: {"userinfo": [names], "id_token": [names]} asked for by name.
    """

    family = models.OneToOneField(Credential, on_delete=models.PROTECT, primary_key=True, related_name="grant")
    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+")
    event = models.ForeignKey(AuthenticationEvent, on_delete=models.PROTECT, related_name="+")
    session = models.ForeignKey(LoginSession, on_delete=models.PROTECT, null=True, related_name="grants")
    scope = models.CharField(max_length=500)
    resources = models.JSONField(default=list)
    acr = models.CharField(max_length=120)
    nonce = models.CharField(max_length=255, default="")
    jkt = models.CharField(max_length=43, default="")
    x5t = models.CharField(max_length=43, default="")
    offline = models.BooleanField(default=False)
    relayed = models.BooleanField(default=False)
    fal = models.PositiveSmallIntegerField(default=2)
    claims = models.JSONField(default=dict)

    def __str__(self) -> str:
        return f"grant of family {self.family_id}"


class RefreshToken(models.Model):
    """One refresh token of a family, hashed; the last one is unconsumed, and an older one kills the family."""

    token_hash = models.CharField(primary_key=True, max_length=64)
    grant = models.ForeignKey(Grant, on_delete=models.PROTECT, related_name="refresh_tokens")
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)
    consumed_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"refresh token {self.token_hash[:6]}…"


class OpaqueToken(models.Model):
    """An access token that says nothing by itself, hashed: what it is worth is read here and in the ledger at every use.

    grant: whose family it is of; it is as dead as that. audience, jkt, x5t: of this very token.
    """

    token_hash = models.CharField(primary_key=True, max_length=64)
    grant = models.ForeignKey(Grant, on_delete=models.PROTECT, related_name="+")
    scope = models.CharField(max_length=500)
    audience = models.CharField(max_length=500)
    jkt = models.CharField(max_length=43, default="")
    x5t = models.CharField(max_length=43, default="")
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"access token {self.token_hash[:6]}…"


class ServiceToken(models.Model):
    """An access token that a client got for itself: about nobody, so it is in no account's ledger; this row is its life.

    id_hash: of the opaque token, or of the JWT's `jti`. It is dead when it has ended, or its client is disabled.
    """

    id_hash = models.CharField(primary_key=True, max_length=64)
    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+")
    scope = models.CharField(max_length=500)
    audience = models.CharField(max_length=500)
    jkt = models.CharField(max_length=43, default="")
    x5t = models.CharField(max_length=43, default="")
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)
    ended_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"service token {self.id_hash[:6]}…"


class DeviceAuthorization(models.Model):
    """A device without a browser waits for a person to type its code on another one (RFC 8628; C13, A8).

    browser, network: where it was asked from, for the person to recognise. status: waiting, approved or denied.
    session, event: who approved it, signed in how. interval: seconds that the device must leave between its questions.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    device_hash = models.CharField(max_length=64, unique=True)
    user_hash = models.CharField(max_length=64, unique=True)
    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+")
    scope = models.CharField(max_length=500)
    resources = models.JSONField(default=list)
    acr_values = models.JSONField(default=list)
    browser = models.CharField(max_length=120, default="")
    network = models.CharField(max_length=45, default="")
    status = models.CharField(max_length=8, default="waiting")
    interval = models.PositiveSmallIntegerField(default=5)
    asked_at = models.DateTimeField(null=True)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, null=True, related_name="+")
    epoch = models.PositiveIntegerField(default=0)
    session = models.ForeignKey(LoginSession, on_delete=models.PROTECT, null=True, related_name="+")
    event = models.ForeignKey(AuthenticationEvent, on_delete=models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)
    decided_at = models.DateTimeField(null=True)
    consumed_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"device authorization {self.id}"


class Invitation(models.Model):
    """A link that lets an account without authenticators bind its first root; single use, 24 hours (ruling 3)."""

    token_hash = models.CharField(primary_key=True, max_length=64)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="invitations")
    epoch = models.PositiveIntegerField()
    address = models.CharField(max_length=320)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    consumed_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"invitation {self.token_hash[:6]}…"


class UndoLink(models.Model):
    """A link in a notice, used by POST: it revokes one credential or freezes the account; it never restores anything (ruling 4, BI-5)."""

    token_hash = models.CharField(primary_key=True, max_length=64)
    credential = models.ForeignKey(Credential, on_delete=models.PROTECT, related_name="+")
    action = models.CharField(max_length=8, default="revoke")
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    consumed_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"undo link {self.token_hash[:6]}…"


class Binding(models.Model):
    """One attempt to add a device: a code on the desktop, an answer from the device, a yes on the desktop (BI-1 to BI-5).

    code_hash, short_hash: the two forms of the code. short_tries: wrong guesses of the short form.
    kind: what it shall become. jkt: the key that the code belongs to from its first presentation on (C12); browser: the same,
    where the key is made later. challenge_hash: what the key must sign. answered: what it proved, as its kind keeps it.
    consumed_at: when the device answered, or the code was burnt. status: waiting, answered, bound, refused or burnt.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="bindings")
    epoch = models.PositiveIntegerField()
    session = models.ForeignKey(LoginSession, on_delete=models.PROTECT, related_name="bindings")
    event = models.ForeignKey(AuthenticationEvent, on_delete=models.PROTECT, related_name="+")
    code_hash = models.CharField(max_length=64, unique=True)
    short_hash = models.CharField(max_length=64, unique=True)
    short_tries = models.PositiveSmallIntegerField(default=0)
    status = models.CharField(max_length=8, default="waiting")
    kind = models.CharField(max_length=24, default="device_key")
    browser = models.CharField(max_length=64, default="")
    answered = models.JSONField(null=True)
    jwk = models.JSONField(null=True)
    jkt = models.CharField(max_length=43, default="")
    challenge_hash = models.CharField(max_length=64, default="")
    challenge_expires_at = models.DateTimeField(null=True)
    number = models.CharField(max_length=2, default="")
    device_name = models.CharField(max_length=80, default="")
    protection = models.CharField(max_length=16, default="")
    clients = models.JSONField(default=list)
    passphrase_hash = models.CharField(max_length=256, default="")
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)
    consumed_at = models.DateTimeField(null=True)
    decided_at = models.DateTimeField(null=True)
    credential = models.ForeignKey(Credential, on_delete=models.PROTECT, null=True, related_name="+")

    def __str__(self) -> str:
        return f"binding {self.id}"


class CertificateOrder(models.Model):
    """A certificate for another device: a code on the desktop, a request from there over EST, a yes on the desktop (BI-1 to BI-3, C14).

    code_hash, short_hash: the two forms of the code; short_tries: wrong guesses of the short one. name, passphrase_hash: set at the
    desktop. spki: the key that the code belongs to from its first presentation on (C12). answered: what was proven of its hardware. status: waiting, asked, issued, refused, burnt.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="certificate_orders")
    epoch = models.PositiveIntegerField()
    session = models.ForeignKey(LoginSession, on_delete=models.PROTECT, related_name="certificate_orders")
    code_hash = models.CharField(max_length=64, unique=True)
    short_hash = models.CharField(max_length=64, unique=True)
    short_tries = models.PositiveSmallIntegerField(default=0)
    name = models.CharField(max_length=80)
    passphrase_hash = models.CharField(max_length=256, default="")
    status = models.CharField(max_length=8, default="waiting")
    spki = models.BinaryField(null=True)
    answered = models.JSONField(null=True)
    network = models.CharField(max_length=80, default="")
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)
    asked_at = models.DateTimeField(null=True)
    decided_at = models.DateTimeField(null=True)
    credential = models.ForeignKey(Credential, on_delete=models.PROTECT, null=True, related_name="+")

    def __str__(self) -> str:
        return f"certificate order {self.id}"


class Throttle(models.Model):
    """Back-off for one known browser or one network against one account (ruling 13)."""

    key = models.CharField(primary_key=True, max_length=64)
    failures = models.PositiveSmallIntegerField(default=0)
    until = models.DateTimeField()
    seen_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"throttle {self.key[:6]}…"
