"""What may be used once is used once, with a hundred at the same moment (I3, C25, C26, R4)."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from hashlib import sha256
from secrets import token_urlsafe
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest

from demo.authenticator import totp
from demo.server import free_port
from device import proofs
from device.key import DeviceKey
from tests.fixtures.live_server import (
    CALLBACK,
    LONG,
    Answer,
    Live,
    Request,
    cookies,
    credentials,
    document,
    form,
    page_form,
    together,
)
from tests.fixtures.races import MANY, is_refusal_page, single_winner

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.database, pytest.mark.slow]

ROUNDS = 3 if LONG else 1
STEP = 30


def is_ok(answer: Answer) -> bool:
    """A token response, or another success with a body."""
    return answer.status == 200


def is_invalid_grant(answer: Answer) -> bool:
    """The refusal of RFC 6749 §5.2."""
    return answer.status == 400 and answer.error == "invalid_grant" and answer.headers["cache-control"] == "no-store"


@pytest.fixture
def relying_party(live: Live) -> dict[str, str]:
    """A confidential client."""
    return live.client()


@pytest.fixture
def spa(live: Live) -> dict[str, str]:
    """A public client, whose refresh tokens rotate."""
    return live.client(name="Race app", public=True)


@pytest.fixture(autouse=True, params=range(ROUNDS))
def _nothing_to_complain_about(live: Live) -> Iterator[None]:
    before = len(live.complaints())
    yield
    assert live.complaints()[before:] == []


def test_authorization_code_is_single_use_and_replay_ends_its_tokens(live: Live, relying_party: dict[str, str]) -> None:
    """One of 100 redemptions gets tokens, and the replays end even those (C25, C26, RFC 9700 §4.5)."""
    person = live.people(1)[0]
    request = live.redemption(relying_party, person["session"])
    winner = single_winner(live.together([request] * MANY), is_ok, losers=is_invalid_grant).json()
    assert live.introspection(relying_party, winner["access_token"]) == {"active": False}
    assert live.introspection(relying_party, winner["refresh_token"]) == {"active": False}
    again = live.call(
        live.token_request(relying_party, grant_type="refresh_token", refresh_token=winner["refresh_token"])
    )
    assert is_invalid_grant(again), again
    found = live.inside.ask("ledger", account=person["account"])
    assert (found["living"], found["ended"]) == (["password_totp"], ["token_family"])


def test_refresh_token_rotates_once_and_replay_ends_the_family(live: Live, spa: dict[str, str]) -> None:
    """One of 100 refreshes of a public client wins, and then the successor is dead too (C26, RFC 9700 §4.14)."""
    person = live.people(1)[0]
    first = live.call(live.redemption(spa, person["session"]))
    assert first.status == 200, first.text
    request = live.token_request(spa, grant_type="refresh_token", refresh_token=first.json()["refresh_token"])
    winner = single_winner(live.together([request] * MANY), is_ok, losers=is_invalid_grant).json()
    successor = live.token_request(spa, grant_type="refresh_token", refresh_token=winner["refresh_token"])
    assert is_invalid_grant(live.call(successor))
    userinfo = Request("GET", "/oidc/userinfo", {"Authorization": f"Bearer {winner['access_token']}"})
    assert live.call(userinfo).status == 401
    found = live.inside.ask("ledger", account=person["account"])
    assert (found["living"], found["ended"]) == (["password_totp"], ["token_family"])


def test_binding_code_is_answered_once(live: Live) -> None:
    """One of 100 answers by the pinned key, each with a proof of its own, is pending; the code is spent (BI-3, C12)."""
    person = live.people(1)[0]
    code = live.inside.ask("binding_code", login=person["login"])
    key = DeviceKey.generate()
    asked = live.call(document("POST", "/enrol/v1/challenges", {"code": code, "jwk": key.public_jwk}))
    assert asked.status == 201, asked.text

    def answered() -> Request:
        proof = proofs.binding(key, asked.json()["challenge"], issuer=live.issuer, now=datetime.now(UTC))
        body = {"code": code, "proof": proof, "device_name": "Race phone", "passphrase": "seven mossy stones"}
        return document("POST", "/enrol/v1/bindings", body)

    answers = live.together([answered() for _ in range(MANY)])
    single_winner(
        answers,
        lambda answer: answer.status == 202,
        losers=lambda answer: answer.status == 400 and answer.error in {"invalid_grant", "invalid_request"},
    )
    assert live.inside.ask("ledger", account=person["account"])["living"] == ["password_totp"]


def test_binding_is_approved_once(live: Live) -> None:
    """Of 100 approvals, all lead back to the page or are refused, and one credential stands in the ledger (C14)."""
    person = live.people(1)[0]
    waiting = live.inside.ask("answered", login=person["login"])
    request = page_form(f"/devices/add/{waiting['binding']}/confirm", person["session"], number=waiting["number"])
    answers = live.together([request] * MANY)
    single_winner(answers, lambda answer: answer.status == 302, losers=is_refusal_page)
    assert live.inside.ask("ledger", account=person["account"])["living"] == ["device_key", "password_totp"]


def test_totp_step_is_single_use(live: Live) -> None:
    """A hundred browsers that know the password show the same code: one is signed in (AU-5, C56)."""
    person = live.people(1)[0]
    browsers = live.inside.ask("half_logins", root=person["root"], count=MANY)
    now = int(datetime.now(UTC).timestamp())
    code = totp(person["totp_secret"], step=(now + 5) // STEP)  # a step that will still be tolerated after the wait
    answers = live.together([page_form("/login/totp", browser, totp=code) for browser in browsers])
    single_winner(answers, lambda answer: answer.status == 302, losers=lambda answer: answer.status == 400)
    assert live.inside.ask("ledger", account=person["account"])["sessions"] == 2  # the first one is of the preparation


def test_temporary_pass_is_single_use(live: Live) -> None:
    """A hundred strangers with the same pass: one is signed in; the others are refused or put off."""
    person = live.people(1)[0]
    given = live.inside.ask("temporary_pass", account=person["account"])
    browsers = live.inside.ask("strangers", count=MANY)
    answers = live.together([page_form("/login/pass", browser, **given) for browser in browsers])
    single_winner(answers, lambda one: one.status == 302, losers=lambda one: one.status in {400, 429})
    assert live.inside.ask("ledger", account=person["account"])["sessions"] == 2


def test_mailed_codes_sign_in_once(live: Live) -> None:
    """The same form with both codes, a hundred times: one session, whichever answers lead to it."""
    person = live.people(1)[0]
    given = live.inside.ask("mailed_codes_of", account=person["account"])
    session = given.pop("session")
    answers = live.together([page_form("/login/mailed/codes", session, password="", saved="", **given)] * MANY)
    assert any(one.status == 302 and one.headers["location"] == "/devices" for one in answers)
    assert live.inside.ask("ledger", account=person["account"])["sessions"] == 2


def test_consent_yields_one_code(live: Live) -> None:
    """The same form sent 100 times: one code, and its family lives (ruling 20); the others lead where the first led."""
    client = live.client(name="Consent desk", consent=True)
    person = live.people(1)[0]
    answer, verifier = live.authorization(client, person["session"])
    assert answer.status == 200, answer.status
    action = "/oidc/authorize/" + answer.text.split('action="/oidc/authorize/', 1)[1].split('"', 1)[0]
    answers = live.together([page_form(action, person["session"], decision="allow")] * MANY)
    winners = [one for one in answers if one.status == 303 and one.headers["location"].startswith(CALLBACK)]
    others = [one for one in answers if one not in winners]
    assert len({one.headers["location"] for one in winners}) == 1
    assert all(one.status == 302 and one.headers["location"] == action.removesuffix("/consent") for one in others)
    winner = winners[0]
    redeemed = live.call(
        live.token_request(
            client,
            grant_type="authorization_code",
            code=winner.location["code"],
            redirect_uri=CALLBACK,
            code_verifier=verifier,
        )
    )
    assert is_ok(redeemed), redeemed.text


def test_continuing_a_request_yields_one_code(live: Live, relying_party: dict[str, str]) -> None:
    """A login that comes back 100 times to the request that waited for it gets one code (ruling 20)."""
    person = live.people(1)[0]
    browser = live.inside.ask("half_logins", root=person["root"], count=1)[0]
    waiting, _ = live.authorization(relying_party, browser)
    assert waiting.headers["location"].startswith("/login"), waiting.headers
    page = live.call(Request("GET", waiting.headers["location"], cookies(browser)))
    flow = page.text.split('action="/oidc/authorize/', 1)[1].split("/", 1)[0]
    live.inside.ask("sign_in", account=person["account"], browser=browser)
    answers = live.together([Request("GET", f"/oidc/authorize/{flow}", cookies(browser))] * MANY)
    winners = [one for one in answers if one.status == 303]
    assert len({one.headers["location"] for one in winners}) == 1
    assert all(is_refusal_page(one) for one in answers if one not in winners)


def test_pushed_request_yields_one_code(live: Live, relying_party: dict[str, str]) -> None:
    """A request_uri that 100 tabs load at once is spent by one decision (ruling 20, C35)."""
    person = live.people(1)[0]
    challenge = urlsafe_b64encode(sha256(b"v" * 43).digest()).rstrip(b"=").decode()
    asked = {
        "response_type": "code",
        "redirect_uri": CALLBACK,
        "scope": "openid",
        "nonce": "n",
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    pushed = live.call(
        form(
            "/oidc/par",
            {**asked, "client_id": relying_party["client_id"], "client_secret": relying_party["client_secret"]},
        )
    )
    assert pushed.status == 201, pushed.text
    query = urlencode({"client_id": relying_party["client_id"], "request_uri": pushed.json()["request_uri"]})
    request = Request("GET", f"/oidc/authorize?{query}", cookies(person["session"]))
    winner = single_winner(live.together([request] * MANY), lambda answer: answer.status == 303, losers=is_refusal_page)
    redeemed = live.call(
        live.token_request(
            relying_party,
            grant_type="authorization_code",
            code=winner.location["code"],
            redirect_uri=CALLBACK,
            code_verifier="v" * 43,
        )
    )
    assert is_ok(redeemed), redeemed.text


def test_invitation_binds_one_root(live: Live) -> None:
    """A hundred browsers accept one invitation, each with a password and a seed of its own: one root (ruling 3)."""
    person = live.people(1, enrolled=False)[0]
    made = live.inside.ask("invitations", account=person["account"], count=MANY)
    step = int(datetime.now(UTC).timestamp() + 5) // STEP
    requests = [
        page_form(f"/invitation/{made['token']}/totp", one["session"], totp=totp(one["totp_secret"], step=step))
        for one in made["browsers"]
    ]
    winner = single_winner(live.together(requests), is_ok, losers=is_refusal_page)
    assert "recovery" in winner.text.lower()
    found = live.inside.ask("ledger", account=person["account"])
    assert (found["living"], found["sessions"]) == (["password_totp"], 1)


def test_recovery_code_connects_one_new_app(live: Live) -> None:
    """A hundred browsers with one saved code, each with a seed of its own: one new root, and the old one has ended
    (RC-1, RC-3).
    """
    person = live.people(1)[0]
    browsers = live.inside.ask("recoveries", root=person["root"], count=MANY)
    step = int(datetime.now(UTC).timestamp() + 5) // STEP
    requests = [
        page_form("/login/recover/totp", one["session"], totp=totp(one["totp_secret"], step=step)) for one in browsers
    ]
    # Who comes after the winner is either told no, or sent to sign in, because the password was that of the root that
    # ended.
    single_winner(
        live.together(requests),
        is_ok,
        losers=lambda answer: is_refusal_page(answer) or answer.headers.get("location") == "/login",
    )
    found = live.inside.ask("ledger", account=person["account"])
    assert (found["living"], found["ended"]) == (["password_totp"], ["password_totp"])


def test_device_assertion_is_single_use(live: Live) -> None:
    """One assertion with 100 fresh DPoP proofs: one token response, whatever passphrase comes with it (ruling 2,
    C19).
    """
    client = live.client(
        name="Field app", redirect_uris=[], public=True, application_type="native", device_assertion=True
    )
    person = live.people(1)[0]
    bound = live.inside.ask("device", login=person["login"])
    key, now = DeviceKey.from_private_jwk(bound["jwk"]), datetime.now(UTC)
    assertion = proofs.assertion(key, bound["credential"], issuer=live.issuer, client_id=client["client_id"], now=now)
    fields = {
        "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "assertion": assertion,
        "scope": "openid",
        "passphrase": "seven mossy stones",
    }
    plain = live.token_request(client, **fields)
    url, nonce = f"{live.issuer}/oidc/token", live.nonce(client)
    requests = [
        Request(
            "POST",
            plain.path,
            {**plain.headers, "DPoP": proofs.dpop(key, "POST", url=url, now=now, nonce=nonce)},
            plain.body,
        )
        for _ in range(MANY)
    ]
    single_winner(live.together(requests), is_ok, losers=is_invalid_grant)


def test_dpop_proof_is_single_use(live: Live, relying_party: dict[str, str]) -> None:
    """A hundred requests with one proof: one is processed, and its refresh token refused; the others fail by the
    proof (C19, I3).
    """
    key = DeviceKey.generate()
    proof = proofs.dpop(key, "POST", url=f"{live.issuer}/oidc/token", now=datetime.now(UTC))
    plain = live.token_request(relying_party, grant_type="refresh_token", refresh_token=token_urlsafe(32))
    request = Request("POST", plain.path, {**plain.headers, "DPoP": proof}, plain.body)
    answers = live.together([request] * MANY)
    single_winner(
        answers, is_invalid_grant, losers=lambda answer: (answer.status, answer.error) == (400, "invalid_dpop_proof")
    )


def test_dpop_proof_is_single_use_across_two_servers(live: Live, spa: dict[str, str]) -> None:
    """Two servers on one database agree on the nonce, and on which of 100 was first with a proof (C19, P49)."""
    port = free_port()
    live.ramet.start("second", "serve", "--port", str(port))
    live.ramet.wait_for(f"http://127.0.0.1:{port}/livez", name="second")
    key = DeviceKey.generate()
    proof = proofs.dpop(key, "POST", url=f"{live.issuer}/oidc/token", now=datetime.now(UTC), nonce=live.nonce(spa))
    plain = live.token_request(spa, grant_type="refresh_token", refresh_token=token_urlsafe(32))
    request = Request("POST", plain.path, {**plain.headers, "DPoP": proof}, plain.body)
    with ThreadPoolExecutor(2) as pool:
        halves = [pool.submit(together, one, [request] * (MANY // 2)) for one in (live.port, port)]
        answers = [answer for half in halves for answer in half.result()]
    single_winner(
        answers, is_invalid_grant, losers=lambda answer: (answer.status, answer.error) == (400, "invalid_dpop_proof")
    )


def test_device_code_is_single_use(live: Live) -> None:
    """A hundred polls with one approved device code: one token response (A8, RFC 8628)."""
    grant = "urn:ietf:params:oauth:grant-type:device_code"
    client = live.client(name="Wall screen", grants=[grant])
    person = live.people(1)[0]
    asked = live.call(form("/oidc/device_authorization", {"scope": "openid", **credentials(client)})).json()
    typed = live.call(page_form("/device", person["session"], code=asked["user_code"]))
    assert "Wall screen" in typed.text
    answers = live.together([page_form("/device/approval", person["session"], decision="allow")] * 20)
    assert sum("<h1>Allowed" in answer.text for answer in answers) == 1
    request = live.token_request(client, grant_type=grant, device_code=asked["device_code"])
    single_winner(live.together([request] * MANY), is_ok, losers=is_invalid_grant)


def test_unknown_code_is_refused_like_a_spent_one(live: Live, relying_party: dict[str, str]) -> None:
    """The response does not reveal whether a code ever existed: the same status and error (A13)."""
    request = live.token_request(
        relying_party,
        grant_type="authorization_code",
        code=token_urlsafe(32),
        redirect_uri=CALLBACK,
        code_verifier=token_urlsafe(32),
    )
    assert is_invalid_grant(live.call(request))
