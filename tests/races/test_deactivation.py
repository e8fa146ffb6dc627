"""HR ends a person while something is being minted for them: whoever comes first, nothing is left alive (C7, C8,
R5).
"""

from __future__ import annotations

import json
import os
import threading
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from time import sleep, time
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from device import proofs
from device.key import DeviceKey
from tests.fixtures.certificate_authority import csr, new_key
from tests.fixtures.live_server import LONG, Answer, Live, Request, form, page_form
from tests.fixtures.software_authenticator import SoftKey

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [pytest.mark.database, pytest.mark.slow]

KINDS = 7
IN_ALL = int(
    os.environ.get("RAMET_TEST_RACES", "511" if LONG else "42")
)  # tests/run --nightly: 10,000 per database (C8)
RACES = IN_ALL // KINDS  # of each kind
SEED = int(os.environ.get("RAMET_TEST_SEED", "20260815"))
PASSPHRASE = "seven mossy stones"


@dataclass(frozen=True)
class Race:
    """One mint, ready to be sent against the end of its person.

    won: whether an answer says that something was minted. dead: whether that thing is refused now.
    seconds: about how long the mint takes, so that the end strikes before, in and after it.
    """

    person: dict[str, Any]
    mint: Request
    won: Callable[[Answer], bool]
    dead: Callable[[Answer], bool]
    seconds: float


@dataclass(frozen=True)
class Ground:
    """The live Ramet and its two clients."""

    live: Live
    desk: dict[str, str]
    field: dict[str, str]

    def confirmation(self, person: dict[str, Any]) -> Race:
        """The desktop says yes to a device."""
        waiting = self.live.inside.ask("answered", login=person["login"])
        mint = page_form(f"/devices/add/{waiting['binding']}/confirm", person["session"], number=waiting["number"])

        def dead(_answer: Answer) -> bool:
            return self._token(self._assertion(waiting["jwk"], waiting["binding"])).error == "invalid_grant"

        # A person whose account has ended is sent to sign in, so a redirect alone says nothing.
        return Race(person, mint, lambda answer: answer.headers.get("location", "").startswith("/devices/"), dead, 0.02)

    def redemption(self, person: dict[str, Any]) -> Race:
        """An app exchanges a code."""

        def dead(answer: Answer) -> bool:
            tokens = answer.json()
            active = [
                self.live.introspection(self.desk, tokens[name])["active"] for name in ("access_token", "refresh_token")
            ]
            refresh = self.live.token_request(
                self.desk, grant_type="refresh_token", refresh_token=tokens["refresh_token"]
            )
            return active == [False, False] and self.live.call(refresh).error == "invalid_grant"

        return Race(
            person, self.live.redemption(self.desk, person["session"]), lambda answer: answer.status == 200, dead, 0.03
        )

    def assertion(self, person: dict[str, Any]) -> Race:
        """A phone logs in for the first time, which also makes it active."""
        bound = self.live.inside.ask("device", login=person["login"])

        def dead(answer: Answer) -> bool:
            fields = {
                "grant_type": "refresh_token",
                "refresh_token": answer.json()["refresh_token"],
                "client_id": self.field["client_id"],
            }
            refused = self._token(self._with_proof(bound["jwk"], form("/oidc/token", fields))).error
            again = self._token(self._assertion(bound["jwk"], bound["credential"])).error
            return (refused, again) == ("invalid_grant", "invalid_grant")

        return Race(
            person, self._assertion(bound["jwk"], bound["credential"]), lambda answer: answer.status == 200, dead, 0.08
        )

    def certificate(self, person: dict[str, Any]) -> Race:
        """A request is pasted: recorded, signed, and released under a second look (ruling 23)."""
        self.live.inside.ask("authority")
        fields = {
            "name": "VPN",
            "passphrase": PASSPHRASE,
            "way": "request",
            "request": csr(
                new_key(), subject=self.live.inside.ask("request_challenge", login=person["login"])
            ).decode(),
            "transport": "",
        }
        mint = page_form("/devices/certificates/add", person["session"], **fields)

        def dead(_answer: Answer) -> bool:
            found = self.live.inside.ask("certificates", account=person["account"])
            return bool(
                found["late"] == 0
                and found["recorded"] == found["listed"] == 1
                and found["released"] == found["bytes"] == 1
            )

        return Race(
            person,
            mint,
            lambda answer: answer.headers.get("location", "").startswith("/devices/certificates/"),
            dead,
            0.4,
        )

    def est_release(self, person: dict[str, Any]) -> Race:
        """The desktop says yes to a device that asked over EST: recorded, signed, released; the device fetches it."""
        self.live.inside.ask("authority")
        order = self.live.inside.ask("asked_order", login=person["login"])
        mint = page_form(
            f"/devices/certificates/orders/{order['id']}/confirm", person["session"], fingerprint=order["fingerprint"]
        )

        def dead(_answer: Answer) -> bool:
            found = self.live.inside.ask("certificates", account=person["account"])
            return bool(
                found["late"] == 0
                and found["recorded"] == found["listed"] == 1
                and found["released"] == found["bytes"] == 1
            )

        return Race(
            person,
            mint,
            lambda answer: "/devices/certificates/orders/" in answer.headers.get("location", ""),
            dead,
            0.05,
        )

    def passkey_confirmation(self, person: dict[str, Any]) -> Race:
        """The desktop says yes to a passkey that a phone has made."""
        waiting = self.live.inside.ask("answered_passkey", login=person["login"])
        mint = page_form(f"/devices/add/{waiting['binding']}/confirm", person["session"], number=waiting["number"])
        return Race(
            person,
            mint,
            lambda answer: answer.headers.get("location", "").startswith("/devices/"),
            lambda _: self._is_refused(self._passkey_sign_in(waiting, person["session"])),
            0.02,
        )

    def passkey_login(self, person: dict[str, Any]) -> Race:
        """A phone signs in with its passkey for the first time, which also makes it active."""
        made, browser = (
            self.live.inside.ask("passkey", login=person["login"]),
            self.live.inside.ask("people", count=1, enrolled=True)[0]["session"],
        )
        return Race(
            person,
            self._passkey_sign_in(made, browser),
            lambda answer: answer.status == 302,
            lambda _: self._is_refused(self._passkey_sign_in(made, person["session"])),
            0.03,
        )

    def _passkey_sign_in(self, made: dict[str, Any], session: str) -> Request:
        options = self.live.call(page_form("/login/passkey/options", session)).json()
        key = SoftKey(
            key=ec.derive_private_key(int(made["private"], 16), ec.SECP256R1()),
            raw_id=bytes.fromhex(made["raw_id"]),
            user_handle=bytes.fromhex(made["user"]),
            origin=self.live.issuer,
            count=int(time()),
        )
        return page_form("/login/passkey", session, response=json.dumps(key.get(options)))

    def _is_refused(self, request: Request) -> bool:
        return self.live.call(request).status == 400

    def _assertion(self, jwk: dict[str, str], credential: str) -> Request:
        key, client_id = DeviceKey.from_private_jwk(jwk), self.field["client_id"]
        signed = proofs.assertion(key, credential, issuer=self.live.issuer, client_id=client_id, now=datetime.now(UTC))
        fields = {
            "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
            "assertion": signed,
            "client_id": client_id,
            "passphrase": PASSPHRASE,
            "scope": "openid offline_access",
        }
        return self._with_proof(jwk, form("/oidc/token", fields))

    def _with_proof(self, jwk: dict[str, str], plain: Request) -> Request:
        url, nonce = f"{self.live.issuer}/oidc/token", self.live.nonce(self.field)
        proof = proofs.dpop(DeviceKey.from_private_jwk(jwk), "POST", url=url, now=datetime.now(UTC), nonce=nonce)
        return Request("POST", plain.path, {**plain.headers, "DPoP": proof}, plain.body)

    def _token(self, request: Request) -> Answer:
        return self.live.call(request)


@pytest.fixture
def ground(live: Live) -> Ground:
    """Its clients are of this test alone."""
    field = live.client(
        name="Field app", redirect_uris=[], public=True, application_type="native", device_assertion=True
    )
    return Ground(live, live.client(), field)


def _struck(live: Live, race: Race, *, head_start: float) -> tuple[Answer, Answer]:
    """Both at once; head_start: how many seconds the mint goes first (or, negative, the end)."""
    answers: dict[str, Answer] = {}
    barrier = threading.Barrier(2)

    def go(name: str, request: Request, wait: float) -> None:
        barrier.wait(timeout=30)
        sleep(max(wait, 0.0))
        answers[name] = live.call(request)

    rivals = [
        threading.Thread(target=go, args=("mint", race.mint, -head_start)),
        threading.Thread(target=go, args=("end", live.deactivation(race.person), head_start)),
    ]
    for rival in rivals:
        rival.start()
    for rival in rivals:
        rival.join(timeout=90)
    return answers["mint"], answers["end"]


@pytest.mark.parametrize(
    "kind",
    [
        Ground.confirmation,
        Ground.redemption,
        Ground.assertion,
        Ground.certificate,
        Ground.est_release,
        Ground.passkey_confirmation,
        Ground.passkey_login,
    ],
)
def test_deactivation_during_issuance_leaves_nothing_living(
    ground: Ground, kind: Callable[[Ground, dict[str, Any]], Race]
) -> None:
    """After both have answered: no living row in the ledger, the issued artefact is refused, and the person is
    notified once (I2, I4).
    """
    random, seen, live = Random(SEED), Counter[str](), ground.live
    before, lead = len(live.complaints()), 0.0
    for number in range(RACES):
        race = kind(ground, live.people(1)[0])
        mint, end = _struck(live, race, head_start=lead + random.uniform(-0.5, 0.5) * race.seconds)
        # Whoever won gives the other a little more start next time, so that they meet on any machine.
        lead += race.seconds / (-2 if race.won(mint) else 2)
        found = live.inside.ask("ledger", account=race.person["account"])
        where = (SEED, number, race.mint.path, mint.status, mint.error, found)
        assert end.status == 200, (where, end.text)
        assert mint.status < 500, where
        assert (found["status"], found["living"], found["ending_mails"]) == ("terminated", [], 1), where
        if race.won(mint):
            assert race.dead(mint), where
        if kind in {Ground.certificate, Ground.est_release}:
            certificates = live.inside.ask("certificates", account=race.person["account"])
            assert (certificates["late"], certificates["released"]) == (0, int(race.won(mint))), (where, certificates)
        seen["minted first" if race.won(mint) else "ended first"] += 1
    # the figure to quote
    print(f"deactivation against {kind.__name__}: {RACES} races, {dict(seen)}, 0 left alive")  # noqa: T201
    assert len(seen) == 2 or not LONG, f"only one order was seen, so nothing was raced: {seen}"
    assert live.complaints()[before:] == []
