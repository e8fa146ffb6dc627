"""A hundred guesses at the same moment are a hundred guesses, however they are spelled (P53, C57, TH-1, TH-3)."""

from __future__ import annotations

import time
from collections import Counter
from itertools import accumulate, count, cycle, islice, takewhile
from typing import TYPE_CHECKING

import pytest

from tests.fixtures.live_server import Live, page_form
from tests.fixtures.races import MANY

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.database, pytest.mark.slow]


@pytest.fixture(autouse=True)
def _nothing_to_complain_about(live: Live) -> Iterator[None]:
    before = len(live.complaints())
    yield
    assert live.complaints()[before:] == []


def test_parallel_password_guesses_all_count(live: Live) -> None:
    """P53, C57: from one network, five are checked (and one that opens each wait); all spellings of a name are one
    account.
    """
    person = live.people(1)[0]
    name = person["username"]
    spellings = [name, name.upper(), name.title(), f" {name} ", name.replace("r", "\uff52", 1)]
    browsers = live.inside.ask("half_logins", root=person["root"], count=MANY)
    began = time.monotonic()
    answers = live.together(
        [
            page_form("/login", browser, username=spelled, password="a wrong guess")
            for browser, spelled in zip(browsers, islice(cycle(spellings), MANY), strict=True)
        ]
    )
    counted = Counter(answer.status for answer in answers)
    waits = takewhile(
        lambda end: end < time.monotonic() - began, accumulate(2**n for n in count(1))
    )  # 2 s, 4 s, 8 s: over on a slow machine
    looked_at = live.inside.ask("failures", root=person["root"])
    assert set(counted) == {400, 429}, counted
    assert counted[400] >= looked_at > 0
    assert looked_at <= 6 + sum(1 for _ in waits)


def test_parallel_code_guesses_end_at_a_hundred(live: Live) -> None:
    """TH-1, TH-3: from a hundred networks at once, with ninety-five counted before: five are checked, one event is
    recorded.
    """
    person = live.people(1)[0]
    live.inside.ask("exhaust", root=person["root"], failures=95)
    browsers = live.inside.ask("half_logins", root=person["root"], count=MANY)
    answers = live.together([page_form("/login/totp", browser, totp="000000") for browser in browsers])
    assert Counter(answer.status for answer in answers) == {400: MANY}
    assert live.inside.ask("failures", root=person["root"]) == 100
    assert live.inside.ask("events", account=person["account"], kind="credential.disabled") == 1
