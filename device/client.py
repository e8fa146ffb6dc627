"""The device protocol, version 1, step by step: `docs/device-protocol.md` in code.

A port needs this file's steps, the proofs of `proofs.py`, and a key that never leaves its keystore.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

import httpx

from device import proofs, tpm
from device.errors import BindingFailed, NotEnrolled, ProtocolError, Unreachable
from device.keeping import Enrolment
from device.key import DeviceKey, Signer
from device.transport import Endpoints, Transport

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_SHORTEST_INTERVAL = 0.2


def utc_now() -> datetime:
    """The aware UTC time of this device's clock."""
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True)
class Code:
    """A binding code as the person read it: the long form alone, or the short form with the user name."""

    text: str = field(repr=False)
    username: str = ""

    def fields(self) -> dict[str, str]:
        """The request's members that carry it."""
        return {"code": self.text, **({"username": self.username} if self.username else {})}


@dataclass(frozen=True, kw_only=True)
class Answered:
    """The answer to a binding: show `number` and `device_name`, and wait."""

    binding_id: str
    number: str
    device_name: str
    expires_in: timedelta
    interval: timedelta


@dataclass(frozen=True, kw_only=True)
class Tokens:
    """A token response (RFC 6749 §5.1); the access token is bound to the device's key (`token_type` DPoP)."""

    access_token: str = field(repr=False)
    token_type: str
    expires_in: timedelta
    scope: str = ""
    id_token: str | None = field(default=None, repr=False)
    refresh_token: str | None = field(default=None, repr=False)

    @classmethod
    def from_response(cls, body: dict[str, Any]) -> Self:
        """Read the token endpoint's JSON.

        Raises: Unreachable if it is not a DPoP-bound token response.
        """
        if str(body.get("token_type", "")).lower() != "dpop" or not body.get("access_token"):
            message = "the token response is not bound to this device's key"  # never use an unbound token
            raise Unreachable(message)
        return cls(
            access_token=str(body["access_token"]),
            token_type=str(body["token_type"]),
            expires_in=timedelta(seconds=int(body.get("expires_in", 0))),
            scope=str(body.get("scope", "")),
            id_token=body.get("id_token"),
            refresh_token=body.get("refresh_token"),
        )


class DeviceClient:
    """One device, talking to one provider.

    enrolment: what `keeping.load` read, or None on a new device.
    http: an httpx client, to bring other trust roots or time limits.
    clock, sleep: the device's time; given in tests.
    """

    def __init__(
        self,
        enrolment: Enrolment | None = None,
        *,
        http: httpx.Client | None = None,
        clock: Callable[[], datetime] = utc_now,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._enrolment = enrolment
        self._clock = clock
        self._sleep = sleep
        self._transport = Transport(http or httpx.Client(timeout=20), clock=clock)
        self._endpoints: dict[str, Endpoints] = {}

    @property
    def enrolment(self) -> Enrolment:
        """The key and where it is bound.

        Raises: NotEnrolled.
        """
        if self._enrolment is None or not self._enrolment.is_bound:
            message = "this device is not enrolled"
            raise NotEnrolled(message)
        return self._enrolment

    # --- enrolment: steps 1 to 3 --------------------------------------------------------------------------------------

    def enroll(  # noqa: PLR0913 - what the protocol needs from the person
        self,
        issuer: str,
        code: Code,
        *,
        device_name: str,
        passphrase: str,
        on_number: Callable[[Answered], None],
        clients: Sequence[str] | None = None,
        key: Signer | None = None,
    ) -> Enrolment:
        """Make a key and bind it: steps 1, 2 and 3.

        on_number: shows the number and the device's name to the person, who compares both with the desktop.
        clients: the client_ids to ask for; None for all that are offered.
        key: a fresh one that was made elsewhere, as in a TPM; None to make one here.

        Raises: BindingFailed, ProtocolError, UntrustedIssuer, Unreachable.
        """
        key = key or DeviceKey.generate()  # always a fresh one: a key that was ever bound is refused
        challenge, offered = self.ask_challenge(issuer, code, key=key)
        wanted = [client for client in offered if clients is None or client in clients]
        answered = self.bind(issuer, code, key=key, challenge=challenge, device_name=device_name,
                             passphrase=passphrase, clients=wanted)  # fmt: skip
        on_number(answered)
        credential_id = self.wait_for_desktop(issuer, answered, key=key)
        self._enrolment = Enrolment(
            key=key,
            issuer=self._at(issuer).issuer,
            device_name=answered.device_name,
            credential_id=credential_id,
            clients=tuple(wanted),
        )
        return self._enrolment

    def ask_challenge(self, issuer: str, code: Code, *, key: Signer) -> tuple[str, list[str]]:
        """Step 1: get a challenge, and pin the key to the code; return the challenge and the client_ids on offer.

        Raises: ProtocolError, UntrustedIssuer, Unreachable.
        """
        answer = self._transport.post_json(self._at(issuer).challenge, {**code.fields(), "jwk": key.public_jwk})
        try:
            return str(answer["challenge"]), [str(client["client_id"]) for client in answer["clients"]]
        except (KeyError, TypeError) as error:
            message = "the answer to the challenge request does not have the protocol's form"
            raise Unreachable(message) from error

    def bind(  # noqa: PLR0913 - the members of the request
        self,
        issuer: str,
        code: Code,
        *,
        key: Signer,
        challenge: str,
        device_name: str,
        passphrase: str,
        clients: Sequence[str],
        attestation: Mapping[str, Any] | None = None,
    ) -> Answered:
        """Step 2: answer the challenge with a proof, and set the device's name and passphrase.

        attestation: the hardware's statement about the key; None for the TPM's, where the key is in one.

        Raises: ProtocolError, UntrustedIssuer, Unreachable.
        """
        endpoints = self._at(issuer)
        proof = proofs.binding(key, challenge, issuer=endpoints.issuer, now=self._clock())
        body: dict[str, Any] = {
            "proof": proof,
            "device_name": device_name,
            "passphrase": passphrase,
            "clients": list(clients),
        }
        said = tpm.attestation_of(key, challenge) if attestation is None else attestation
        if said is not None:
            body["attestation"] = said
        return _answered(self._transport.post_json(endpoints.binding, {**code.fields(), **body}))

    def wait_for_desktop(self, issuer: str, answered: Answered, *, key: Signer) -> str:
        """Step 3: poll until the desktop has decided; return the credential_id.

        Raises: BindingFailed, ProtocolError, UntrustedIssuer, Unreachable.
        """
        until = self._clock() + answered.expires_in
        pause = answered.interval.total_seconds()
        while self._clock() < until:
            self._sleep(max(pause, _SHORTEST_INTERVAL))
            try:
                status = self.binding_status(issuer, answered.binding_id, key=key)
            except Unreachable:  # a phone may lose its network; the code's lifetime is the limit
                continue
            except ProtocolError as error:
                if not error.is_passing:
                    raise
                pause = error.retry_after or pause
                continue
            if status["status"] == "bound":
                return str(status["credential_id"])
            if status["status"] != "pending":
                raise BindingFailed(str(status["status"]))
        raise BindingFailed("expired")

    def binding_status(self, issuer: str, binding_id: str, *, key: Signer) -> dict[str, Any]:
        """Step 3, once: the state of the binding.

        Raises: ProtocolError, UntrustedIssuer, Unreachable.
        """
        endpoints = self._at(issuer)
        proof = proofs.binding_status(key, binding_id, issuer=endpoints.issuer, now=self._clock())
        answer = self._transport.post_json(f"{endpoints.binding.rstrip('/')}/{binding_id}", {"proof": proof})
        if "status" not in answer or (answer["status"] == "bound" and not answer.get("credential_id")):
            message = "the binding's status does not have the protocol's form"
            raise Unreachable(message)
        return answer

    # --- use: step 4 --------------------------------------------------------------------------------------------------

    def login(
        self, client_id: str, *, passphrase: str | None, scope: str = "openid", acr_values: str | None = None
    ) -> Tokens:
        """Step 4: tokens for an app, by an assertion that the device key signs.

        passphrase: with it two factors are proven (AAL2); without it one (AAL1), and `auth_time` does not move.
        acr_values: the requested classes; an unreachable one is refused.

        Raises: NotEnrolled, ProtocolError (`invalid_grant` is the end of this credential), Unreachable.
        """
        mine = self.enrolment
        extra = {"passphrase": passphrase, "acr_values": acr_values}

        def form() -> dict[str, str]:
            signed = proofs.assertion(
                mine.key, mine.credential_id, issuer=mine.issuer, client_id=client_id, now=self._clock()
            )
            fields = {"grant_type": GRANT, "client_id": client_id, "assertion": signed, "scope": scope}
            return fields | {name: value for name, value in extra.items() if value is not None}

        return Tokens.from_response(self._transport.post_form(self._at(mine.issuer).token, mine.key, form=form))

    def refresh(self, client_id: str, refresh_token: str) -> Tokens:
        """New tokens for a refresh token (RFC 6749 §6), which is bound to the key and single-use.

        Raises: NotEnrolled, ProtocolError, Unreachable.
        """
        mine = self.enrolment
        fields = {"grant_type": "refresh_token", "client_id": client_id, "refresh_token": refresh_token}
        url = self._at(mine.issuer).token
        return Tokens.from_response(self._transport.post_form(url, mine.key, form=lambda: fields))

    def userinfo(self, access_token: str) -> dict[str, Any]:
        """The claims about the person (OIDC Core §5.3), with a DPoP proof over the access token.

        Raises: NotEnrolled, ProtocolError, Unreachable.
        """
        mine = self.enrolment
        return self._transport.get(self._at(mine.issuer).userinfo, mine.key, access_token=access_token)

    def _at(self, issuer: str) -> Endpoints:
        if issuer not in self._endpoints:
            self._endpoints[issuer] = self._transport.discover(issuer)
        return self._endpoints[issuer]


def _answered(body: dict[str, Any]) -> Answered:
    try:
        return Answered(
            binding_id=str(body["binding_id"]),
            number=str(body["number"]),
            device_name=str(body["device_name"]),
            expires_in=timedelta(seconds=float(body["expires_in"])),
            interval=timedelta(seconds=float(body["interval"])),
        )
    except (KeyError, TypeError, ValueError) as error:
        message = "the answer to the binding does not have the protocol's form"
        raise Unreachable(message) from error
