"""Signing keys by purpose: created once, stored wrapped, rotated with an overlap so that no verifier fails (C73).

A key is published before its first signature and after its last: pending → active → retiring → retired, or revoked.
Any number of processes may start together; the unique constraint on the active key picks one. Private halves are
unwrapped once per process and kept in memory, never in a shared cache.
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import IntegrityError, transaction
from django.db.models import Exists, Subquery
from joserfc import jws
from joserfc.jwk import ECKey, Key, KeySet, OKPKey, RSAKey
from joserfc.util import urlsafe_b64encode

from derived.errors import Reason, Unavailable
from derived.ledger.prepared_sql import statement_cursor, table_of
from derived.models import SigningKey

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from django.db.models import Expression, OuterRef

    from derived.wrapping import Wrapper

JWKS_MAX_AGE = timedelta(minutes=5)
SKEW = timedelta(seconds=60)
PUBLISHED_BEFORE_USE = JWKS_MAX_AGE + SKEW
LONGEST_SIGNATURE_LIFE = timedelta(hours=1)  # ID tokens; access tokens and logout tokens expire earlier
PUBLISHED_AFTER_USE = LONGEST_SIGNATURE_LIFE + SKEW
PUBLISHED = ("pending", "active", "retiring")


class KeyPurpose(StrEnum):
    """The purposes of signing keys; a key of one purpose never signs for another (P67)."""

    TOKENS = "tokens"
    CHECKPOINT = "checkpoint"
    WEBHOOKS = "webhooks"


def in_use(alg: str | OuterRef) -> Subquery:
    """A subquery for the kid of the key that signs tokens now, to be joined into another SELECT."""
    return Subquery(
        SigningKey.objects.filter(purpose=KeyPurpose.TOKENS.value, alg=alg, state="active").values("kid")[:1]
    )


def is_published(kid: str | Expression) -> Exists:
    """A subquery for whether tokens signed by this key are still accepted, to be joined into another SELECT."""
    return Exists(SigningKey.objects.filter(kid=kid, purpose=KeyPurpose.TOKENS.value, state__in=PUBLISHED))


@lru_cache(maxsize=64)
def _prepared(alg: str, kid: str, typ: str) -> tuple[bytes, Any]:
    """The encoded header of signatures by a key for a `typ`, and joserfc's algorithm."""
    header = json.dumps({"alg": alg, "kid": kid, "typ": typ}, separators=(",", ":")).encode()
    return urlsafe_b64encode(header), jws.JWSRegistry(algorithms=[alg]).get_alg(alg)


@dataclass(frozen=True)
class TokenSigner:
    """An unwrapped private key with its kid and algorithm."""

    _key: Key
    kid: str
    alg: str

    def sign(self, claims: dict[str, object], *, typ: str) -> str:
        """A compact JWS over the claims (RFC 7515 §7.1), by a header and an algorithm that were prepared once."""
        return self.sign_bytes(json.dumps(claims, separators=(",", ":")).encode(), typ=typ)

    def sign_bytes(self, content: bytes, *, typ: str) -> str:
        """A compact JWS over any bytes."""
        header, algorithm = _prepared(self.alg, self.kid, typ)
        algorithm.check_key(self._key)
        signed = header + b"." + urlsafe_b64encode(content)
        return (signed + b"." + urlsafe_b64encode(algorithm.sign(signed, self._key))).decode()


class Keyring:
    """The signing keys, as seen by this process.

    wrapper: unwraps private keys. One instance per process; thread-safe.
    """

    def __init__(self, wrapper: Wrapper) -> None:
        self._wrapper = wrapper
        self._private: dict[str, Key] = {}
        # keyed by thumbprint, so never stale; the state is read at each use
        self._public: dict[tuple[str, str], Key] = {}
        self._mutex = threading.Lock()

    def ensure(self, purpose: KeyPurpose, alg: str, *, now: datetime) -> SigningKey:
        """The active key of a purpose; on first use created, by exactly one of the callers."""
        found = self._active(purpose, alg, now=now)
        if found is not None:
            return found
        try:
            with transaction.atomic():
                return self._make(purpose, alg, state="active", active_from=now, now=now)
        except IntegrityError:
            winner = self._active(purpose, alg, now=now)
            if winner is None:
                raise Unavailable(Reason.KEY_UNAVAILABLE) from None
            return winner

    def rotate(self, purpose: KeyPurpose, alg: str, *, now: datetime) -> SigningKey:
        """Publish a new key, which becomes active once every verifier that honours cache headers has fetched it."""
        self.ensure(purpose, alg, now=now)
        with transaction.atomic():
            pending = SigningKey.objects.filter(purpose=purpose, alg=alg, state="pending").first()
            return pending or self._make(purpose, alg, state="pending", active_from=now + PUBLISHED_BEFORE_USE, now=now)

    def advance(self, *, now: datetime) -> None:
        """Activate pending keys that are due, and retire keys whose last signature has expired.

        The worker calls this; so does signing.
        """
        for due in SigningKey.objects.filter(state="pending", active_from__lte=now):
            with transaction.atomic():
                rows = SigningKey.objects.filter(purpose=due.purpose, alg=due.alg)
                held = rows.filter(state__in=["active", "pending"]).order_by("kid").select_for_update()
                if not any(row.kid == due.kid and row.state == "pending" for row in held):
                    continue  # another process was first, and this key is active now
                rows.filter(state="active").update(state="retiring", retired_at=now + PUBLISHED_AFTER_USE)
                rows.filter(kid=due.kid, state="pending").update(state="active")
        SigningKey.objects.filter(state="retiring", retired_at__lte=now).update(state="retired")

    def revoke(self, kid: str, *, now: datetime) -> SigningKey:
        """Remove a key from use and from the JWKS at once, and create another (emergency).

        Raises: SigningKey.DoesNotExist.
        """
        with transaction.atomic():
            key = SigningKey.objects.select_for_update().get(kid=kid)
            SigningKey.objects.filter(kid=kid).update(state="revoked", retired_at=now)
        return self.ensure(KeyPurpose(key.purpose), key.alg, now=now)

    def signer(self, alg: str, *, now: datetime, kid: str = "") -> TokenSigner:
        """The signer of tokens for this algorithm; call it before claiming anything, so a missing key refuses first.

        kid: the key in use, if a statement of this request has read it (`in_use`): only a key that is new to this
        process is then read from the database.
        Raises: Unavailable(KEY_UNAVAILABLE).
        """
        with self._mutex:
            held = self._private.get(kid)
        if held is None:
            key = self.ensure(KeyPurpose.TOKENS, alg, now=now)
            kid, held = key.kid, self._unwrapped(key)
        return TokenSigner(held, kid, alg)

    def sign(
        self, claims: dict[str, object], *, typ: str, alg: str, now: datetime, purpose: KeyPurpose = KeyPurpose.TOKENS
    ) -> str:
        """A compact JWS over claims, by the active key of the purpose. Call it outside the account lock.

        Raises: Unavailable(KEY_UNAVAILABLE) if the key cannot be unwrapped.
        """
        key = self.ensure(purpose, alg, now=now)
        return TokenSigner(self._unwrapped(key), key.kid, alg).sign(claims, typ=typ)

    def sign_bytes(self, content: bytes, *, typ: str, alg: str, now: datetime, purpose: KeyPurpose) -> str:
        """A compact JWS over bytes, as `sign`; a file is signed with it, and its payload is left out (RFC 7515 F).

        Raises: Unavailable(KEY_UNAVAILABLE).
        """
        key = self.ensure(purpose, alg, now=now)
        return TokenSigner(self._unwrapped(key), key.kid, alg).sign_bytes(content, typ=typ)

    def byte_signer(self, purpose: KeyPurpose, *, now: datetime) -> Callable[[bytes], bytes]:
        """A function that signs bytes by the active Ed25519 key of a purpose (RFC 8032).

        Raises: Unavailable(KEY_UNAVAILABLE) if the key cannot be unwrapped.
        """
        key = self._unwrapped(self.ensure(purpose, "EdDSA", now=now))
        signer = key.private_key if isinstance(key, OKPKey) else None
        if not isinstance(signer, Ed25519PrivateKey):
            raise Unavailable(Reason.KEY_UNAVAILABLE)
        return signer.sign

    def published(self, purpose: KeyPurpose = KeyPurpose.TOKENS) -> KeySet:
        """The public keys that verifiers may need: pending, active and retiring."""
        rows = SigningKey.objects.filter(purpose=purpose, state__in=PUBLISHED).order_by("created_at", "kid")
        return KeySet([self._public_half(row) for row in rows])

    def of_checkpoints(self) -> KeySet:
        """The public keys of checkpoints in any state, revoked or not: a checkpoint is verified years later.

        Each is imported under its thumbprint, so that a row whose key was exchanged verifies nothing.
        """
        rows = SigningKey.objects.filter(purpose=KeyPurpose.CHECKPOINT).order_by("created_at", "kid")
        keys = [(row.kid, self._public_half(row)) for row in rows]
        return KeySet([key for kid, key in keys if key.thumbprint() == kid])

    def published_kids(self) -> tuple[str, ...]:
        """The kids of the keys that `published` returns for tokens."""
        text = (
            f"SELECT kid FROM {table_of(SigningKey)}"  # noqa: S608 - a name of the model
            " WHERE purpose = %s AND state IN (%s, %s, %s) ORDER BY created_at, kid"
        )
        with statement_cursor() as cursor:
            cursor.execute(text, [KeyPurpose.TOKENS.value, *PUBLISHED])
            return tuple(row[0] for row in cursor.fetchall())

    def public(self, kid: str) -> Key | None:
        """The public half of a key in any state; to accept its signature, also check `is_published`."""
        with self._mutex:
            held = self._public.get((KeyPurpose.TOKENS, kid))
        if held is None:
            row = SigningKey.objects.filter(kid=kid, purpose=KeyPurpose.TOKENS).first()
            return None if row is None else self._public_half(row)
        return held

    def is_published(self, kid: str) -> bool:
        """True if tokens signed by this key are still accepted."""
        return SigningKey.objects.filter(kid=kid, purpose=KeyPurpose.TOKENS, state__in=PUBLISHED).exists()

    def is_revoked(self, kid: str) -> bool:
        """True if an operator revoked this key, and so distrusts its signatures; age alone retires it."""
        return SigningKey.objects.filter(kid=kid, purpose=KeyPurpose.TOKENS, state="revoked").exists()

    def _public_half(self, row: SigningKey) -> Key:
        with self._mutex:
            name = (row.purpose, row.kid)
            if name not in self._public:
                self._public[name] = _import(row.public_jwk)
            return self._public[name]

    def _active(self, purpose: KeyPurpose, alg: str, *, now: datetime) -> SigningKey | None:
        rows = list(SigningKey.objects.filter(purpose=purpose, alg=alg, state__in=["active", "pending"]))
        if any(row.state == "pending" and row.active_from <= now for row in rows):
            self.advance(now=now)
            return SigningKey.objects.filter(purpose=purpose, alg=alg, state="active").first()
        return next((row for row in rows if row.state == "active"), None)

    def _make(self, purpose: KeyPurpose, alg: str, *, state: str, active_from: datetime, now: datetime) -> SigningKey:
        key = _generate(alg)
        kid = key.thumbprint()
        private = json.dumps(key.as_dict(private=True)).encode()
        return SigningKey.objects.create(
            kid=kid,
            purpose=purpose,
            alg=alg,
            state=state,
            created_at=now,
            active_from=active_from,
            public_jwk={**key.as_dict(private=False), "kid": kid, "use": "sig", "alg": alg},
            wrapped=self._wrapper.wrap(private, purpose="signing-key", owner=kid),
        )

    def _unwrapped(self, row: SigningKey) -> Key:
        with self._mutex:
            if row.kid not in self._private:
                raw = self._wrapper.unwrap(bytes(row.wrapped), purpose="signing-key", owner=row.kid)
                self._private[row.kid] = _import(json.loads(raw))
            return self._private[row.kid]


def _generate(alg: str) -> Key:
    match alg:
        case "ES256":
            return ECKey.generate_key("P-256")
        case "EdDSA":
            return OKPKey.generate_key("Ed25519")
        case "RS256" | "PS256":
            return RSAKey.generate_key(3072)
        case _:
            raise Unavailable(Reason.KEY_UNAVAILABLE)


def _import(jwk: dict[str, str | list[str]]) -> Key:
    kinds: dict[str, type[ECKey | OKPKey | RSAKey]] = {"EC": ECKey, "OKP": OKPKey, "RSA": RSAKey}
    return kinds[str(jwk["kty"])].import_key(jwk)
