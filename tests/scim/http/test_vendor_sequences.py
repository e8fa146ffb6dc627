"""Entra's and Okta's documented sequences: users, groups, assign, unassign, rename, disable, restore, delete.

The requests are those of the vendors' public references (named in each file), with their preset, and with every other
vendor's too; every answer is what the reference expects, but for a return, which waits for a manager (ruling 11).
"""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.core import mail

from derived import clock
from idp.signals import worker
from idp.signals.mail import pause_of
from scim.models import Record
from scim.people import refusals, returns
from scim.protocol.normalise import VENDORS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.fixtures.scim_client import Scim

pytestmark = pytest.mark.database

SEQUENCES = Path("tests/data/scim_sequences")
IN_BURSTS = {"Your invitation to Ramet", "The details of your account have changed"}
# Okta's requests are RFC 7644's own, as most senders' are; Entra's take the presets with Entra's rewritings.
REPLAYED = [(SEQUENCES / "okta.json", vendor) for vendor in VENDORS if vendor != "entra"] + [
    (SEQUENCES / "entra.json", vendor) for vendor in ("entra", "workday", "hr")
]


def _filled(value: Any, ids: dict[str, str]) -> Any:
    """The value with the ids of the resources that were made."""
    if isinstance(value, str):
        for name, one in ids.items():
            value = value.replace(f"{{{name}}}", one)
        return value
    if isinstance(value, list):
        return [_filled(one, ids) for one in value]
    return {key: _filled(one, ids) for key, one in value.items()} if isinstance(value, dict) else value


def _is_within(expected: Any, found: Any) -> bool:
    """Every expected attribute is there; objects of lists as far as they are described."""
    if isinstance(expected, dict):
        return isinstance(found, dict) and all(_is_within(one, found.get(key)) for key, one in expected.items())
    if isinstance(expected, list):
        return len(expected) == len(found) and all(map(_is_within, expected, found))
    return bool(expected == found)


@pytest.mark.parametrize(("path", "preset"), REPLAYED, ids=[f"{path.stem} as {vendor}" for path, vendor in REPLAYED])
def test_documented_sequence(connect: Callable[..., Scim], path: Path, preset: str) -> None:
    """Each step in its turn, over HTTP; an answered ending has ended the account."""
    _replay(connect, path, preset)
    assert refusals.alarms().count() == 0


@pytest.mark.parametrize("sender", ["entra", "okta"])
def test_a_sequence_sends_a_person_one_mail_for_a_cause(connect: Callable[..., Scim], sender: str) -> None:
    """The worker runs between the requests, as it does: each address gets a subject once, after the last of them."""
    pause = pause_of(timedelta(seconds=10))
    with worker.Deliveries(pause=pause) as deliveries:

        def deliver(*, later: timedelta = timedelta()) -> None:
            while deliveries.step(now=clock.now() + later):
                deliveries.collect(wait_seconds=None)

        _replay(connect, SEQUENCES / f"{sender}.json", sender, after_each=deliver)
        early = [one.subject for one in mail.outbox]
        deliver(later=pause.quiet)
    assert not IN_BURSTS & set(early)
    sent = Counter((one.to[0], one.subject) for one in mail.outbox if one.subject in IN_BURSTS)
    assert "The details of your account have changed" in {subject for _, subject in sent}
    assert set(sent.values()) == {1}, sent


def _replay(
    connect: Callable[..., Scim], path: Path, preset: str, *, after_each: Callable[[], None] = lambda: None
) -> None:
    sequence = json.loads(path.read_text())
    scim, ids, made = connect(path.stem, normalisers=(preset,)), dict[str, str](), set[str]()
    assert len(sequence["steps"]) > 20
    for step in sequence["steps"]:
        title = f"{path.stem}: {step['title']}"
        if "readmit" in step:
            returns.readmit(Record.objects.get(id=ids[step["readmit"]]).person, now=clock.now(), actor="operator")
        status, body = scim(step["method"], _filled(step["path"], ids), _filled(step.get("send"), ids))
        after_each()
        assert status == step["status"], (title, body)
        assert scim.last is not None
        assert status == 204 or scim.last["Content-Type"] == "application/scim+json", title
        assert _is_within(_filled(step.get("body", {}), ids), body if body is not None else {}), (title, body)
        assert not set(step.get("absent", [])) & set(body or {}), title
        if "keep" in step:
            ids[step["keep"]] = body["id"]
            made |= {step["keep"]} if step["path"] == "/Users" else set()
        if "members" in step:
            assert {one["value"] for one in body["members"]} == set(_filled(step["members"], ids)), title
        if "ended" in step:
            records = Record.objects.select_related("person__account")
            ended = {name for name in made if not records.get(id=ids[name]).person.account.is_active}
            assert ended == set(step["ended"]), title
