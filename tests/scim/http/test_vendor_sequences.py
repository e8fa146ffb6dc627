"""Entra's and Okta's documented sequences: users, groups, assign, unassign, rename, disable, restore, delete.

The requests are those of the vendors' public references (named in each file), with their preset, and with every other
vendor's too; every answer is what the reference expects, but for a return, which waits for a manager (ruling 11).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from derived import clock
from scim.models import Record
from scim.people import refusals, returns
from scim.protocol.normalise import VENDORS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.fixtures.scim_client import Scim

pytestmark = pytest.mark.database

SEQUENCES = Path("tests/data/scim_sequences")
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
    sequence = json.loads(path.read_text())
    scim, ids, made = connect(path.stem, normalisers=(preset,)), dict[str, str](), set[str]()
    assert len(sequence["steps"]) > 20
    for step in sequence["steps"]:
        title = f"{path.stem}: {step['title']}"
        if "readmit" in step:
            returns.readmit(Record.objects.get(id=ids[step["readmit"]]).person, now=clock.now(), actor="operator")
        status, body = scim(step["method"], _filled(step["path"], ids), _filled(step.get("send"), ids))
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
    assert refusals.alarms().count() == 0
