"""A challenge serves once, with a hundred completions at the same moment (I3, C59)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.fixtures.live_server import Live, Request, cookies, page_form
from tests.fixtures.races import MANY, is_refusal_page, single_winner
from tests.fixtures.software_authenticator import SoftKey

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fixtures.live_server import Answer

pytestmark = [pytest.mark.database, pytest.mark.slow]


@pytest.fixture(autouse=True)
def _nothing_to_complain_about(live: Live) -> Iterator[None]:
    before = len(live.complaints())
    yield
    assert live.complaints()[before:] == []


def options(live: Live, path: str, session: str) -> dict[str, Any]:
    answer = live.call(page_form(path, session))
    assert answer.status == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def anonymous(live: Live) -> str:
    """The cookie of a browser that nobody knows."""
    answer = live.call(page_form("/login/passkey/options", ""))
    return answer.headers["set-cookie"].split("ramet_session=")[1].split(";")[0]


def registered(live: Live, person: dict[str, Any], **changed: Any) -> SoftKey:
    """A key of this person."""
    key = SoftKey(origin=live.issuer, **changed)
    made = key.create(options(live, "/devices/roots/passkey/options", person["session"]))
    answer = live.call(
        page_form("/devices/roots/passkey/add", person["session"], response=json.dumps(made), name="Key")
    )
    assert answer.status == 302, answer.text
    return key


def is_signed_in(answer: Answer) -> bool:
    return answer.status == 302


def loses(answer: Answer) -> bool:
    """Words, or a form of a browser whose cookie has just changed."""
    return is_refusal_page(answer) or answer.status == 403


def test_registration_binds_one_key(live: Live) -> None:
    """The same answer 100 times: one row of the ledger."""
    person = live.people(1)[0]
    made = SoftKey(origin=live.issuer).create(options(live, "/devices/roots/passkey/options", person["session"]))
    request = page_form("/devices/roots/passkey/add", person["session"], response=json.dumps(made))
    single_winner(live.together([request] * MANY), is_signed_in, losers=is_refusal_page)
    assert live.inside.ask("ledger", account=person["account"])["living"] == ["passkey", "password_totp"]


def test_challenge_binds_one_of_many_keys(live: Live) -> None:
    """A hundred different keys answer one challenge: one is bound."""
    person = live.people(1)[0]
    asked = options(live, "/devices/roots/passkey/options", person["session"])
    answers = [SoftKey(origin=live.issuer).create(asked) for _ in range(MANY)]
    requests = [page_form("/devices/roots/passkey/add", person["session"], response=json.dumps(one)) for one in answers]
    single_winner(live.together(requests), is_signed_in, losers=is_refusal_page)
    assert live.inside.ask("ledger", account=person["account"])["living"] == ["passkey", "password_totp"]


@pytest.mark.parametrize("counts", [True, False])
def test_challenge_signs_in_once(live: Live, counts: bool) -> None:  # noqa: FBT001 - a parameter
    """One answer of a key 100 times, with a counter and without one."""
    person = live.people(1)[0]
    key = registered(live, person, counts=counts)
    browser = anonymous(live)
    given = key.get(options(live, "/login/passkey/options", browser))
    request = page_form("/login/passkey", browser, response=json.dumps(given))
    single_winner(live.together([request] * MANY), is_signed_in, losers=loses)
    assert live.inside.ask("ledger", account=person["account"])["sessions"] == 2  # the first one is of the preparation


def test_challenge_after_a_password_signs_in_once(live: Live) -> None:
    """The second step, from one browser that showed the password."""
    person = live.people(1)[0]
    key = registered(live, person, counts=False)
    browser = live.inside.ask("half_logins", root=person["root"], count=1)[0]
    given = key.get(options(live, "/login/second/passkey/options", browser))
    request = page_form("/login/second/passkey", browser, response=json.dumps(given))
    answers = live.together([request] * MANY)
    winners = [one for one in answers if one.status == 302 and one.headers["location"] == "/devices"]
    assert len(winners) == 1
    assert {one.status for one in answers} <= {302, 400, 403, 429}
    assert live.inside.ask("ledger", account=person["account"])["sessions"] == 2


def test_parallel_assertions_move_the_counter_forward_only(live: Live) -> None:
    """A hundred challenges of one key, answered with rising counters at once: whatever their order, none is let in
    behind another.
    """
    person = live.people(1)[0]
    key = registered(live, person)
    requests = []
    for _ in range(20):
        browser = anonymous(live)
        given = key.get(options(live, "/login/passkey/options", browser))
        requests.append(page_form("/login/passkey", browser, response=json.dumps(given)))
    answers = live.together(requests)
    assert {one.status for one in answers} <= {302, 400}
    won = [number for number, one in enumerate(answers) if one.status == 302]
    assert won
    page = live.call(Request("GET", "/devices", cookies(person["session"])))
    assert page.status == 200
    assert live.inside.ask("ledger", account=person["account"])["sessions"] == 1 + len(won)
