"""Many sources, one profile: precedence, provenance, and the most restrictive `active`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from scim.protocol.aggregate import SourceStatement, addresses, display_name, invitation_address, merge, updated_at

_NOW = datetime(2026, 11, 23, tzinfo=UTC)
_URN = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"


def _said(source: str, precedence: int, *, active: bool = True, days: int = 0, **resource: Any) -> SourceStatement:
    return SourceStatement(
        source=source, precedence=precedence, active=active, resource=resource, at=_NOW + timedelta(days=days)
    )


def test_highest_source_supplies_an_attribute() -> None:
    """The highest source that says anything about an attribute says all of it, and is named (ID-1, ID-2)."""
    found = merge(
        [
            _said("badge", 30, title="Guest", nickName="Al", emails=[{"value": "b@x"}]),
            _said("hr", 10, title="Boss", id="1", externalId="7", schemas=["x"]),
            _said("it", 20, title="User", emails=[{"value": "i@x"}], **{_URN: {"department": "IT"}}),
        ]
    )
    assert found.attributes == {
        "title": "Boss",
        "nickName": "Al",
        "emails": [{"value": "i@x"}],
        _URN: {"department": "IT"},
    }
    assert {name: origin["source"] for name, origin in found.provenance.items()} == {
        "title": "hr",
        "nickName": "badge",
        "emails": "it",
        f"{_URN}:department": "it",
    }


def test_one_active_false_is_enough() -> None:
    """Any source's `active:false` deactivates, whatever its rank; nobody saying anything is no."""
    assert merge([_said("hr", 1), _said("it", 2)]).active
    assert not merge([_said("hr", 1), _said("it", 2, active=False)]).active
    assert not merge([]).active


def test_since_changes_with_the_value() -> None:
    """`since` moves with the value and not with the push; the profile's time is the newest (ID-7)."""
    first = merge([_said("hr", 1, title="A", nickName="N")])
    second = merge([_said("hr", 1, title="B", nickName="N", days=1)], first)
    assert second.provenance["nickName"] == first.provenance["nickName"]
    assert second.provenance["title"]["since"] == (_NOW + timedelta(days=1)).isoformat() == updated_at(second)
    assert updated_at(merge([])) is None


def test_address_order() -> None:
    """Notices go to every address once, the primary first; an invitation to the primary, a work one before others."""
    emails = [{"value": "a@x", "type": "home"}, {"value": "b@x", "type": "work"}, {"value": "a@x"}]
    assert addresses({"emails": [*emails, {"value": "c@x", "primary": True}]}) == ["c@x", "a@x", "b@x"]
    assert invitation_address({"emails": [*emails, {"value": "c@x", "primary": True}]}) == "c@x"
    assert invitation_address({"emails": emails}) == "b@x"
    assert invitation_address({}) is None


def test_display_name() -> None:
    """The display name, else the formatted one, else its parts."""
    name = {"givenName": "Ada", "familyName": "Lovelace"}
    assert display_name({"displayName": "Countess", "name": name}) == "Countess"
    assert display_name({"name": {**name, "formatted": "A. Lovelace"}}) == "A. Lovelace"
    assert display_name({"name": name}) == "Ada Lovelace"
    assert display_name({}) == ""
