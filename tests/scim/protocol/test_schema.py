"""The parts of RFC 7643 that a User does not use, and the filter over them."""

from __future__ import annotations

from typing import Any

import pytest

from scim.errors import ScimError
from scim.protocol.filter import parse_filter
from scim.protocol.schema import Attribute, ResourceType, Schema, Type
from scim.protocol.tree import matches
from scim.protocol.values import coerce, fold, resource

_URN = "urn:example:Thing"
_THING = ResourceType(
    name="Thing",
    endpoint="/Things",
    description="A thing.",
    core=Schema(
        urn=_URN,
        name="Thing",
        description="A thing.",
        attributes=(
            Attribute(name="count", type=Type.INTEGER),
            Attribute(name="weight", type=Type.DECIMAL),
            Attribute(name="made", type=Type.DATETIME),
            Attribute(name="tags", multi_valued=True),
        ),
    ),
)
_ONE: Any = {"count": 5, "weight": 2.5, "made": "2026-01-01T00:00:00Z", "tags": ["Red", "green"]}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("count eq 5", True),
        ("count gt 4", True),
        ("count le 4", False),
        ("weight lt 2.6", True),
        ("weight ge 2.5", True),
        ("count ne 6", True),
        ("count eq null", False),
        ("count ne null", True),
        ('tags eq "red"', True),
        ('tags ne "red"', True),
        ('tags sw "gr"', True),
        ('made ge "2026-01-01T00:00:00+00:00"', True),
        ('made lt "2025-12-31T23:00:00-01:00"', False),
        ("count eq 5.0", True),
        ("count gt -1e3", True),
    ],
)
def test_numbers_dates_and_plain_lists(text: str, expected: bool) -> None:  # noqa: FBT001 - the expectation
    """Numbers and instants have an order; a list of plain values matches by any of them."""
    assert matches(parse_filter(text, _THING), _ONE) is expected


@pytest.mark.parametrize("text", ['count eq "5"', "count co 5", "count gt true", "count gt null", "tags eq 5"])
def test_literal_of_another_type_is_refused(text: str) -> None:
    """A literal of another type is refused."""
    with pytest.raises(ScimError, match=r"."):
        parse_filter(text, _THING)


def test_numbers_are_coerced_strictly() -> None:
    """A whole float is an integer; a boolean or a string is no number."""
    count, weight = _THING.core.attributes[:2]
    assert coerce(count, 5.0, where="count") == 5
    assert coerce(weight, 5.5, where="weight") == 5.5
    for wrong in (True, "5", 5.5):
        with pytest.raises(ScimError):
            coerce(count, wrong, where="count")


def test_values_are_made_canonical() -> None:
    """Names as in the schema, text in NFC, nothing twice, nothing empty."""
    found = resource({"SCHEMAS": [_URN.upper()], "TAGS": ["e\u0301", "\u00e9", ""], "count": None}, _THING)
    assert found == {"schemas": [_URN], "tags": ["\u00e9"]}
    assert fold("STRA\u00dfE") == fold("strasse")
    assert fold("\uff21") == "a"
