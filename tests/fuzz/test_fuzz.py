"""Mutated requests over every route and method: no 5xx, nothing unhandled, nobody sent to where they should not be
(R11).
"""

from __future__ import annotations

import logging
import os
import time
from collections import Counter
from random import Random
from typing import TYPE_CHECKING

import pytest
from django.urls import Resolver404, get_resolver, resolve

from idp.login import hop
from idp.signals import files
from tests.environment import KIND
from tests.fixtures.card_reader import SECRET, opened
from tests.fixtures.certificate_authority import begin
from tests.fixtures.live_server import LONG
from tests.fuzz.drafts import DRAFTS
from tests.fuzz.mutation import mutated
from tests.fuzz.oracle import faults
from tests.fuzz.valid_state import ValidState
from tests.fuzz.wire import Draft, deliver

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.database, pytest.mark.slow, pytest.mark.django_db]

# On each database, with seeds of its own. `make test` asks each route once or twice, `make test-long` the rest: 20,000.
REQUESTS = int(os.environ.get("RAMET_TEST_FUZZ", "10000" if LONG else "300"))
SEED = int(os.environ.get("RAMET_TEST_SEED", "20260815")) + (KIND == "postgresql")
RENEW_EVERY = 250
SLOWEST = 5.0


class Complaints(logging.Handler):
    """What was logged as an error: in this house that is a fault, because every refusal has its own answer."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it, with its traceback; what Django calls suspicious was answered with a 400 and is no fault."""
        if record.name.startswith("django.security.") or "Service Unavailable: /login/upstream/" in record.getMessage():
            return
        trace = logging.Formatter().formatException(record.exc_info) if record.exc_info and record.exc_info[0] else ""
        self.said.append(f"{record.name}: {record.getMessage()}\n{trace}")


@pytest.fixture
def complaints() -> Iterator[Complaints]:
    """Listens to every logger."""
    listening = Complaints()
    logging.getLogger().addHandler(listening)
    yield listening
    logging.getLogger().removeHandler(listening)


def _route(draft: Draft) -> str:
    try:
        return resolve(draft.path).view_name
    except (Resolver404, UnicodeError):
        return ""


def _routes() -> set[str]:
    """Every name in the URLconf."""
    names: set[str] = set()
    for name in get_resolver().reverse_dict:
        names |= {name} if isinstance(name, str) else set()
    for space, (_, inner) in get_resolver().namespace_dict.items():
        names |= {f"{space}:{name}" for name in inner.reverse_dict if isinstance(name, str)}
    return names


@pytest.fixture
def cards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A certificate host, whose proxy calls from anywhere, and an authority of the house's own."""
    monkeypatch.setattr(files, "folder", lambda: tmp_path / "published" / "pki")
    begin(tmp_path)
    with opened(tmp_path, monkeypatch):
        monkeypatch.setattr(
            hop,
            "is_from_proxy",
            lambda request: hop._parts(request.META).get("secret") == SECRET and hop.is_certificate_host(request),
        )
        yield


def _drafts(valid_state: ValidState, random: Random, reached: set[str]) -> Iterator[Draft]:
    """REQUESTS of them, mutated, but for the first of its route; then, as they are, those of the routes that luck
    has left out.
    """
    order = list(DRAFTS)
    for number in range(REQUESTS):
        if number % RENEW_EVERY == RENEW_EVERY - 1:
            valid_state.renew()
        turn = number % len(DRAFTS)
        order = random.sample(DRAFTS, len(DRAFTS)) if turn == 0 else order
        draft = order[turn](valid_state)
        yield mutated(draft, random) if _route(draft) in reached else draft
    for make in DRAFTS * 20:
        if reached >= _routes():
            return
        if _route(draft := make(valid_state)) not in reached:
            yield draft


@pytest.mark.usefixtures("cards")
def test_mutated_requests_get_protocol_errors(complaints: Complaints) -> None:
    """Every answer is an error in the protocol's own form, or a success; the seed is printed, so that a fault can be
    reproduced.
    """
    random = Random(SEED)
    valid_state, statuses, reached, slowest = ValidState(random), Counter[int](), set[str](), (0.0, "")
    for number, draft in enumerate(_drafts(valid_state, random, reached)):
        complaints.said.clear()
        began = time.monotonic()
        answer = deliver(draft, address=f"10.{random.randrange(256)}.{random.randrange(256)}.7")
        took = time.monotonic() - began
        wrong = faults(draft, answer, secrets=valid_state.secrets) + complaints.said
        assert not wrong, (
            f"seed {SEED}, request {number}: {wrong}\n{str(draft)[:3000]}\n{answer.status} "
            f"{answer.headers} {answer.body[:500]!r}"
        )
        assert took < SLOWEST, f"seed {SEED}, request {number} took {took:.1f} s: {str(draft)[:3000]}"
        statuses[answer.status] += 1
        reached.add(_route(draft))
        slowest = max(slowest, (took, f"{draft.method} {draft.path[:60]}"))
    print(  # noqa: T201
        f"fuzz: seed {SEED}, {REQUESTS} requests, {dict(sorted(statuses.items()))}, slowest "
        f"{slowest[0]:.2f} s ({slowest[1]})"
    )
    assert _routes() - reached == set(), "routes that no request reached"
    assert statuses.keys() >= {200, 302, 400, 401, 404, 405}, "so uniform a fuzz proves little"
