"""Requests with a hundred at the same moment: one collection, and one of two decisions (RQ-1, I3)."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from tests.fixtures.live_server import Live, page_form
from tests.fixtures.races import MANY

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.database, pytest.mark.slow]

_RULES = '[certificate.generic]\napproval = "one"\n'
_FORM = {"name": "Laptop", "way": "file", "passphrase": "seven mossy stones", "transport": "a long transport phrase"}


@pytest.fixture
def asking(live: Live) -> Iterator[Live]:
    """The live Ramet with an authority, where certificates take one approval."""
    live.inside.ask("authority")
    live.inside.ask("approvals", rules=_RULES)
    yield live
    live.inside.ask("approvals", rules="")


def _asked(live: Live) -> tuple[dict[str, Any], dict[str, Any], dict[str, str]]:
    """Somebody who asked, a manager, and the request."""
    subject, manager = live.people(2)
    live.inside.ask("managing", account=manager["account"])
    return subject, manager, live.inside.ask("asked", account=subject["account"])


def test_hundred_collections_give_one_credential(asking: Live) -> None:
    """WF-15: one certificate for an approval, however often it is collected at the same time."""
    subject, manager, row = _asked(asking)
    assert asking.inside.ask("approved", request=row["id"], by=manager["account"]) == "approved"
    form = page_form("/devices/certificates/add", subject["session"], **_FORM)
    answers = asking.together([form] * MANY)
    counted = Counter(answer.status for answer in answers)
    assert counted[200] == 1, counted
    assert counted.keys() <= {200, 403, 429}, counted
    found = asking.inside.ask("standing", request=row["id"])
    assert (found["state"], found["derived"]) == ("active", 1)
    assert found["moves"].count("request.collected") == 1


def test_approval_races_withdrawal(asking: Live) -> None:
    """WF-16: fifty approvals and fifty withdrawals; the chain has one of them."""
    subject, manager, row = _asked(asking)
    strong = asking.inside.ask("sign_in", account=manager["account"], factors=["passkey", "user_verification"])
    approve = page_form(f"/console/requests/{row['id']}", strong["session"], decision="approve", terms=row["terms"])
    withdraw = page_form(f"/requests/{row['id']}/withdraw", subject["session"])
    answers = asking.together([approve, withdraw] * (MANY // 2))
    assert all(0 < answer.status < 500 for answer in answers), Counter(answer.status for answer in answers)
    found = asking.inside.ask("standing", request=row["id"])
    assert found["state"] == "withdrawn"  # an approved request may still be withdrawn
    assert found["moves"].count("request.withdrawn") == 1
    assert found["moves"].count("request.approved") <= 1
    assert found["moves"].index("request.withdrawn") == len(found["moves"]) - 1
