"""Systems that decide: signed decisions, whose each is one, and webhooks as Standard Webhooks sign them."""

from __future__ import annotations

import json
from base64 import b64decode
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import time_machine
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from joserfc import jwt
from joserfc.jwk import ECKey, OKPKey

from derived import clock
from derived.errors import Refused
from idp.outbound import FetchedResponse
from idp.requests import systems
from scim.models import DecisionSystem, RoleName
from tests.fixtures.requesting import ALEX, MONA, SAM, approval, ask, collect, decide, kinds, person, state, with_root
from tests.fixtures.roles import appoint
from tests.fixtures.world import ISSUER, http

if TYPE_CHECKING:
    import httpx

    from derived.models import Request
    from tests.fixtures.world import World

pytestmark = pytest.mark.database

KEY = OKPKey.generate_key("Ed25519")


@pytest.fixture
def desk(world: World, monkeypatch: pytest.MonkeyPatch) -> DecisionSystem:
    """A ticket system, whose owner is Mona; requests need its decision."""
    for name in (ALEX, MONA, SAM):
        world.push(name)
    with_root()
    monkeypatch.setattr("idp.policies.issuance.rules", lambda: approval("system"))
    return systems.add("desk", person(MONA), KEY.as_dict(private=False), "https://desk.example/hook", now=clock.now())


def _claims(row: Request, **changed: Any) -> dict[str, Any]:
    now = int(clock.now().timestamp())
    good = {
        "iss": "desk",
        "aud": ISSUER,
        "sub": str(row.id),
        "jti": f"ticket-{row.id}",
        "iat": now,
        "exp": now + 120,
        "decision": "approve",
        "terms": row.terms_hash,
    }
    return {**good, **changed}


def _sent(row: Request, *, key: Any = KEY, header: dict[str, str] | None = None, **changed: Any) -> httpx.Response:
    said = {"typ": systems.DECISION_TYP, "alg": "EdDSA", **(header or {})}
    return _post(jwt.encode(said, _claims(row, **changed), key, algorithms=[said["alg"]]))


def _post(token: str, content_type: str = "application/jwt") -> httpx.Response:
    with http() as agent:
        return agent.post("/requests/decisions", content=token, headers={"Content-Type": content_type})


def test_system_approves(desk: DecisionSystem) -> None:
    """The request is approved by the system's name, and collected; the record names the system."""
    row = ask()
    assert state(row) == "waiting"
    answer = _sent(row)
    assert (answer.status_code, answer.json()["state"]) == (200, "approved"), answer.text
    assert row.account.events.get(kind="request.approved").actor == "system:desk"
    assert collect()


def test_system_that_ended_since(desk: DecisionSystem) -> None:
    """Its approval does not count at the collection."""
    row = ask()
    assert _sent(row).status_code == 200
    DecisionSystem.objects.update(ended_at=clock.now())
    with pytest.raises(Exception, match="approver_gone"):
        collect()
    assert _sent(row).status_code == 401


def test_system_refuses_in_words(desk: DecisionSystem) -> None:
    row = ask()
    assert _sent(row, decision="refuse").status_code == 401  # no words
    assert _sent(row, decision="refuse", words="No budget for it", jti="2").json()["state"] == "refused"


def test_no_person_approves_in_place_of_a_system(desk: DecisionSystem) -> None:
    """A manager presses Approve on a request that a system decides."""
    appoint(MONA, RoleName.MANAGER)
    appoint(SAM, RoleName.MANAGER)
    row = ask()
    with pytest.raises(Refused):
        decide(row, SAM)
    assert state(row) == "waiting"


def test_replayed_old_or_unsigned_decision(desk: DecisionSystem) -> None:
    """WF-20: each is a 401, and changes nothing."""
    row = ask()
    now = int(clock.now().timestamp())
    wrong: list[dict[str, Any]] = [
        {"key": OKPKey.generate_key("Ed25519")}, {"key": ECKey.generate_key("P-256"), "header": {"alg": "ES256"}},
        {"header": {"typ": "JWT"}}, {"iat": now - 400, "exp": now - 100}, {"exp": now + 301}, {"iat": now + 120},
        {"aud": "https://other.example"}, {"iss": "other"}, {"jti": ""}, {"decision": "maybe"}, {"exp": "x"},
        {"terms": 7}, {"words": "x" * 301},
    ]  # fmt: skip
    assert [_sent(row, **one).status_code for one in wrong] == [401] * len(wrong)
    whole = {"typ": systems.DECISION_TYP, "alg": "EdDSA"}
    token = jwt.encode(whole, _claims(row), KEY, algorithms=["EdDSA"])
    unsigned = token.rpartition(".")[0] + "."
    assert [_post(one).status_code for one in (unsigned, "", "x.y.z", "x" * 8193)] == [401, 401, 401, 400]
    assert _post("x", "application/json").status_code == 400
    assert (state(row), kinds(row)) == ("waiting", ["request.asked"])
    assert [_post(token).status_code for _ in range(2)] == [200, 401]


def test_terms_that_changed(desk: DecisionSystem, world: World) -> None:
    """The token is spent even so."""
    row = ask()
    shown = row.terms_hash
    world.patch(ALEX, {"title": "Ranger"})
    assert [_sent(row, terms=shown).status_code for _ in range(2)] == [409, 401]


def test_system_of_the_requester(desk: DecisionSystem) -> None:
    """WF-8: the owner asked, or it is for the owner."""
    with_root(MONA)
    row = ask(MONA)
    assert (_sent(row).status_code, state(row)) == (409, "waiting")


def test_people_decide_where_the_rules_say_so(desk: DecisionSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("idp.policies.issuance.rules", lambda: approval("one"))
    row = ask()
    assert (_sent(row).status_code, state(row)) == (403, "waiting")


def test_webhook(desk: DecisionSystem, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ids and a link only; the signature verifies by the printed key, and each state is told once."""
    sent: list[tuple[str, bytes, dict[str, str]]] = []

    def fetch(url: str, *, content: bytes, headers: dict[str, str], **_: Any) -> FetchedResponse:
        sent.append((url, content, headers))
        return FetchedResponse(status=204, headers={}, body=b"")

    monkeypatch.setattr("idp.outbound.fetch", fetch)
    row = ask()
    world.mails()
    [(url, body, headers)] = sent
    assert url == "https://desk.example/hook"
    said = json.loads(body)
    assert (said["type"], said["data"]) == (
        "request.waiting",
        {"request": str(row.id), "terms": row.terms_hash, "link": f"{ISSUER}/console/requests/{row.id}"},
    )
    public = systems.public_key(now=clock.now()).removeprefix("whpk_")
    version, _, signature = headers["webhook-signature"].partition(",")
    content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    Ed25519PublicKey.from_public_bytes(b64decode(public)).verify(b64decode(signature), content)
    assert version == "v1a"
    assert _sent(row).status_code == 200
    with time_machine.travel(clock.now() + timedelta(seconds=5), tick=False):
        world.mails()
    assert [json.loads(one)["type"] for _, one, _ in sent] == ["request.waiting", "request.approved"]


def test_wrong_systems_are_refused(desk: DecisionSystem) -> None:
    """A private key, a URL without TLS, and a name twice."""
    owner, now = person(MONA), clock.now()
    public = KEY.as_dict(private=False)
    with pytest.raises(ValueError, match="private"):
        systems.add("other", owner, KEY.as_dict(private=True), "", now=now)
    with pytest.raises(ValueError, match="https"):
        systems.add("other", owner, public, "http://desk.example/", now=now)
    with pytest.raises(ValueError, match="already"):
        systems.add("desk", owner, public, "", now=now)
