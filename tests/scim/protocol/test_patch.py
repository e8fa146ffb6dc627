"""The PATCH engine by itself: atomic, pure, idempotent, and strict where guessing would hurt."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scim.errors import ScimError
from scim.protocol import operations, patch, values
from scim.protocol.normalise import NORMALISERS, Form, normalise
from scim.protocol.user import USER
from tests.fixtures.scim_client import CORE, ENTERPRISE, PATCH

_BEFORE = values.resource(
    {
        "schemas": [CORE, ENTERPRISE],
        "userName": "ada",
        "title": "Countess",
        "active": True,
        "name": {"givenName": "Ada", "familyName": "Lovelace"},
        "emails": [{"value": "w@x.org", "type": "work", "primary": True}, {"value": "h@x.org", "type": "home"}],
        ENTERPRISE: {"department": "Engines", "manager": {"value": "m1"}},
    },
    USER,
)


def _after(*asked: dict[str, Any]) -> dict[str, Any]:
    message: Any = {"schemas": [PATCH], "Operations": list(asked)}
    return patch.apply({"id": "me", **_BEFORE}, operations.parse(message), USER)


def _refusal(*asked: dict[str, Any]) -> str | None:
    with pytest.raises(ScimError) as refused:
        _after(*asked)
    assert refused.value.status == 400
    return refused.value.scim_type


def test_remove_with_a_value_removes_that_value_only() -> None:
    """Entra's and authentik's remove with a value never empties the attribute."""
    after = _after({"op": "remove", "path": "emails", "value": [{"value": "h@x.org"}]})
    assert [email["value"] for email in after["emails"]] == ["w@x.org"]
    assert (
        _after({"op": "remove", "path": "emails", "value": [{"value": "nobody@x.org"}]})["emails"] == _BEFORE["emails"]
    )


def test_primary_moves_to_the_new_element() -> None:
    """Setting primary through a value path takes it from the one that had it."""
    after = _after({"op": "replace", "path": 'emails[type eq "home"].primary', "value": True})
    assert [email.get("primary") for email in after["emails"]] == [False, True]
    assert _refusal({"op": "replace", "path": "emails.primary", "value": True}) == "invalidValue"


def test_known_element_becomes_primary() -> None:
    """Adding an element that is there, now as primary, makes no second one."""
    after = _after({"op": "add", "path": "emails", "value": [{"value": "h@x.org", "type": "home", "primary": True}]})
    assert [email.get("primary") for email in after["emails"]] == [False, True]


def test_add_creates_the_element_of_its_filter() -> None:
    """Only equalities describe an element; anything else has no target."""
    path = 'phoneNumbers[type eq "Mobile" and primary eq true].value'
    assert _after({"op": "add", "path": path, "value": "1"})["phoneNumbers"] == [
        {"type": "Mobile", "primary": True, "value": "1"}
    ]
    assert _refusal({"op": "add", "path": 'phoneNumbers[type ne "work"].value', "value": "1"}) == "noTarget"


@pytest.mark.parametrize(
    ("asked", "scim_type"),
    [
        ({"op": "remove", "path": "userName"}, "mutability"),
        ({"op": "remove", "path": "schemas"}, "mutability"),
        ({"op": "replace", "path": "id", "value": "x"}, "mutability"),
        ({"op": "replace", "path": "meta.created", "value": "2020-01-01T00:00:00Z"}, "mutability"),
        ({"op": "replace", "value": {"id": "other"}}, "mutability"),
        ({"op": "replace", "path": "title", "value": 5}, "invalidValue"),
        ({"op": "replace", "path": "active", "value": "maybe"}, "invalidValue"),
        ({"op": "replace", "path": "active", "value": 0}, "invalidValue"),
        ({"op": "replace", "path": "emails", "value": ["x@x.org"]}, "invalidValue"),
        ({"op": "replace", "path": "salary", "value": "1"}, "invalidPath"),
        ({"op": "replace", "path": "name.givenName.x", "value": "1"}, "invalidPath"),
        ({"op": "add", "value": {"isAdmin": True}}, "invalidSyntax"),
        ({"op": "add", "value": "title"}, "invalidValue"),
        ({"op": "replace", "path": "userName", "value": "a\u200bda"}, "invalidValue"),
        ({"op": "replace", "path": "userName", "value": "x" * 257}, "invalidValue"),
        ({"op": "replace", "path": "name", "value": {"GivenName": "A", "givenname": "B"}}, "invalidSyntax"),
    ],
)
def test_invalid_operations_are_refused(asked: dict[str, Any], scim_type: str) -> None:
    """What may not change, or does not fit, gets the error of Table 9."""
    assert _refusal(asked) == scim_type


def test_repeated_resource_changes_only_its_changes() -> None:
    """A connector that repeats schemas, its own id and read-only emptiness changes only what it changed (authentik)."""
    after = _after({"op": "replace", "value": {"schemas": [CORE], "id": "me", "groups": [], "title": "Lady"}})
    assert after == {"id": "me", **_BEFORE, "title": "Lady"}


def test_schemas_inside_an_extension_is_ignored() -> None:
    """scim2-models repeats `schemas` inside the extension's object; it is passed over."""
    after = _after({"op": "add", "path": ENTERPRISE, "value": {"schemas": [ENTERPRISE], "division": "D"}})
    assert after[ENTERPRISE] == {**_BEFORE[ENTERPRISE], "division": "D"}  # type: ignore[dict-item]


def test_password_is_dropped() -> None:
    """A password changes nothing and is kept nowhere (ruling 10)."""
    assert _after({"op": "replace", "path": "password", "value": "s3cret"}) == {"id": "me", **_BEFORE}


def test_sub_attribute_cleared_in_a_complex_value() -> None:
    """Null and the empty string clear a sub-attribute; a complex value with nothing left is unassigned."""
    assert (
        "manager" not in _after({"op": "replace", "path": f"{ENTERPRISE}:manager", "value": {"value": ""}})[ENTERPRISE]
    )
    assert _after({"op": "replace", "path": "name", "value": {"familyName": None}})["name"] == {"givenName": "Ada"}


def test_extension_cleared_and_refused() -> None:
    """Null takes a whole extension away; anything else that is no object is refused, and so are too many values."""
    assert _after({"op": "replace", "path": ENTERPRISE, "value": None})["schemas"] == [CORE]
    assert _refusal({"op": "replace", "path": ENTERPRISE, "value": "x"}) == "invalidValue"
    assert (
        _refusal({"op": "add", "path": "emails", "value": [{"value": f"a{i}@x"} for i in range(999)]}) == "invalidValue"
    )


def test_element_is_replaced_merged_or_removed() -> None:
    """Through a value path, replace gives the whole element, add merges into it, null takes it away."""
    path = 'emails[type eq "home"]'
    assert _after({"op": "replace", "path": path, "value": [{"value": "n@x.org"}]})["emails"][1] == {"value": "n@x.org"}
    assert _after({"op": "add", "path": path, "value": {"display": "D"}})["emails"][1] == {
        "value": "h@x.org",
        "type": "home",
        "display": "D",
    }
    assert len(_after({"op": "replace", "path": path, "value": None})["emails"]) == 1
    assert _after({"op": "add", "path": path, "value": None})["emails"] == _BEFORE["emails"]
    assert _refusal({"op": "replace", "path": path, "value": "x"}) == "invalidValue"


def test_failure_changes_nothing() -> None:
    """When the last operation fails, the resource that was given is as it was (ID-4)."""
    before = copy.deepcopy(_BEFORE)
    _refusal({"op": "replace", "path": "title", "value": "X"}, {"op": "remove"})
    assert before == _BEFORE


@pytest.mark.parametrize(
    ("names", "asked", "path", "expected"),
    [
        (["dotted_keys"], {"op": "Replace", "value": {"name.givenName": "A"}}, ("name", "givenName"), "A"),
        (
            ["bare_manager"],
            {"op": "Add", "path": f"{ENTERPRISE}:manager", "value": "m2"},
            (ENTERPRISE, "manager"),
            {"value": "m2"},
        ),
        (
            ["bare_manager"],
            {"op": "Add", "value": {ENTERPRISE: {"manager": [{"value": "m2"}]}}},
            (ENTERPRISE, "manager"),
            {"value": "m2"},
        ),
        (
            ["create_on_replace"],
            {"op": "Replace", "path": 'emails[type eq "other"].value', "value": "o@x.org"},
            ("emails", 2),
            {"type": "other", "value": "o@x.org"},
        ),
    ],
)
def test_normalisers(names: list[str], asked: dict[str, Any], path: tuple[Any, Any], expected: Any) -> None:
    """Each vendor's shape is refused without its normaliser and understood with it."""
    message: Any = {"schemas": [PATCH], "Operations": [asked]}
    with pytest.raises(ScimError):
        patch.apply(_BEFORE, operations.parse(message), USER)
    after: Any = patch.apply(_BEFORE, operations.parse(normalise(message, names, Form.PATCH)), USER)
    assert after[path[0]][path[1]] == expected


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["value", "type", "primary", "givenName", "x", "userName", "emails"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)
_PATHS = st.none() | st.sampled_from(
    [
        "title",
        "emails",
        "name",
        "name.givenName",
        'emails[type eq "work"]',
        'emails[type eq "home"].value',
        "emails.type",
        "active",
        "userName",
        ENTERPRISE,
        f"{ENTERPRISE}:manager",
        f"{ENTERPRISE}:manager.value",
        "schemas",
        "id",
        "password",
        "[",
    ]
)
_OPERATIONS = st.fixed_dictionaries(
    {"op": st.sampled_from(["add", "replace", "remove", "Add", "move"]), "path": _PATHS, "value": _VALUES}
)


@given(st.lists(_OPERATIONS, min_size=1, max_size=4), st.booleans())
def test_any_message_yields_a_valid_resource_or_a_scim_error(asked: list[Any], vendor: bool) -> None:  # noqa: FBT001
    """Whatever the operations, the result is canonical and whole, or a 400; the input is never touched."""
    before = copy.deepcopy(_BEFORE)
    message: Any = normalise({"schemas": [PATCH], "Operations": asked}, NORMALISERS if vendor else (), Form.PATCH)
    try:
        after = patch.apply(_BEFORE, operations.parse(message), USER)
    except ScimError as error:
        assert error.status == 400
    else:
        assert values.resource(after, USER) == after
        assert "password" not in after
    assert before == _BEFORE


@given(st.lists(_OPERATIONS.filter(lambda one: one["op"] in {"replace", "remove"}), min_size=1, max_size=1))
def test_replace_and_remove_are_idempotent(asked: list[Any]) -> None:
    """Sending one replace or remove twice gives what sending it once gives."""
    message: Any = operations.parse({"schemas": [PATCH], "Operations": asked})
    try:
        once = patch.apply(_BEFORE, message, USER)
        twice = patch.apply(once, message, USER)
    except ScimError:
        return
    assert once == twice
