"""Sources: who they are, that none touches another's people, and that names are not stolen (C27, P36, P37, ID-3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.core.management import call_command

from derived import clock
from scim.models import Person, Record, Source
from scim.people import provision, sources
from tests.fixtures.scim_client import Scim, user
from tests.fixtures.scim_records import _number

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.database

_OFF = {"op": "replace", "path": "active", "value": False}


def _everything(scim: Scim, record_id: str, **headers: str) -> list[int]:
    """The status of every method on a record."""
    return [
        scim("GET", f"/Users/{record_id}", **headers)[0],
        scim("PUT", f"/Users/{record_id}", user("stolen"), **headers)[0],
        scim.patch(record_id, _OFF, **headers)[0],
        scim("DELETE", f"/Users/{record_id}", **headers)[0],
    ]


def test_other_sources_records_are_404(connect: Callable[..., Scim]) -> None:
    """Three sources, every method: what is not one's own is 404 and unchanged (C27)."""
    sources = [connect(name) for name in ("hr", "badge", "contractors")]
    records = [scim.create(f"p{i}") for i, scim in enumerate(sources)]
    for i, scim in enumerate(sources):
        assert scim.names() == [f"p{i}"]
        for record_id in records:
            if record_id != records[i]:
                assert _everything(scim, record_id) == [404] * 4
                assert scim.names(f'?filter=id+eq+"{record_id}"') == []
    assert set(Record.objects.values_list("version", "active")) == {(1, True)}


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Bearer wrong", "Basic aHI6aHI=", "Bearer " + "x" * 5000, "bearer \x7f\u00e9"]
)
def test_missing_or_wrong_token_is_401(hr: Scim, header: str) -> None:
    """No token, a wrong one or another scheme is 401 with a challenge, on every method."""
    record_id = hr.create()
    assert _everything(hr, record_id, Authorization=header) == [401] * 4
    assert hr("GET", "/Users", Authorization=header)[0] == 401
    assert hr("POST", "/Users", user("new"), Authorization=header)[0] == 401
    assert hr.last is not None
    assert hr.last["WWW-Authenticate"].startswith("Bearer")
    assert Person.objects.get().active


def test_rotation_and_disabling(hr: Scim) -> None:
    """A new token ends the old one at once; a disabled source has none."""
    source = Source.objects.get(name="hr")
    new = Scim(provision.rotate_source(source, now=clock.now()))
    assert (hr("GET", "/Users")[0], new("GET", "/Users")[0]) == (401, 200)
    assert new.token not in str(source.__dict__)
    provision.disable_source(source, now=clock.now())
    assert new("GET", "/Users")[0] == 401


@pytest.mark.parametrize(
    ("name", "how"),
    [("HR!", {}), ("", {}), ("hr", {"vouched_ial": 4}), ("hr", {"normalisers": ("nope",)}), ("taken", {})],
)
@pytest.mark.django_db
def test_bad_source_is_refused(name: str, how: dict[str, int]) -> None:
    """A name that is no slug or is in use, a level that does not exist, a normaliser that nobody wrote."""
    provision.register_source("taken", now=clock.now())
    with pytest.raises(ValueError, match=r"."):
        provision.register_source(name, now=clock.now(), **how)  # type: ignore[arg-type]


def test_external_id_is_scoped_to_its_source(connect: Callable[..., Scim]) -> None:
    """HR's 123 and Security's 123 are two records (ID-3); within one source it is unique, and exact in case."""
    hr, security = connect("hr"), connect("security")
    hr.create("a", externalId="X-1")
    security.create("b", externalId="X-1")
    hr.create("c", externalId="x-1")
    assert hr("POST", "/Users", user("d", externalId="X-1"))[1]["scimType"] == "uniqueness"
    assert hr.names('?filter=externalId+eq+"X-1"') == ["a"]


def test_login_name_belongs_to_the_first_record(connect: Callable[..., Scim]) -> None:
    """A second source that pushes a login name of another's person is told so, and writes nothing (P36, ruling 27).

    It may push once the name is free, or with a namespace of its own.
    """
    hr, other = connect("hr"), connect("other")
    first = Record.objects.get(id=hr.create("ada")).person
    status, found = other("POST", "/Users", user("ADA", externalId="1"))
    assert (status, found["scimType"]) == (409, "uniqueness")
    assert "namespace" in found["detail"]
    assert not Record.objects.filter(source__name="other").exists()
    sources.set_namespace(Source.objects.get(name="other"), "partner")
    second = Record.objects.get(id=other.create("ADA", externalId="1")).person
    assert (first.login_name, second.login_name, second.login_name_taken) == ("ada", "partner/ADA", False)
    assert first.account_id != second.account_id
    sources.set_namespace(Source.objects.get(name="other"), "")
    bob = other.create("bob")
    assert other.patch(bob, {"op": "replace", "path": "userName", "value": "ada"})[0] == 409
    hr("DELETE", f"/Users/{Record.objects.get(person=first).id}")
    other("DELETE", f"/Users/{Record.objects.get(person=second).id}")
    assert other.patch(bob, {"op": "replace", "path": "userName", "value": "ada"})[0] == 200
    assert Record.objects.get(id=bob).person.login_name == "ada"


def test_pushed_ids_choose_nothing(hr: Scim) -> None:
    """`id` and `externalId` that look like ids or names of others choose nothing (P36)."""
    first = hr.create("ada")
    second = hr.create("eve", id=first, externalId=first)
    assert second != first
    assert hr("PUT", f"/Users/{second}", user("eve", id=first))[0] == 400
    assert hr("GET", f"/Users/{first.upper()}")[0] == 404


@pytest.mark.parametrize(
    "name",
    [
        "emailVerified",
        "aal",
        "ial",
        "is_staff",
        "isSuperuser",
        "sub",
        "groups.admin",
        "_connector",
        "__class__",
        "pk__in",
    ],
)
def test_authority_attributes_are_refused(hr: Scim, name: str) -> None:
    """Attributes that sound like authority or like our columns are unknown: 400 (P38, P39)."""
    assert hr("POST", "/Users", user("eve", **{name: True}))[1]["scimType"] == "invalidSyntax"
    record_id = hr.create()
    assert hr.patch(record_id, {"op": "add", "value": {name: True}})[0] == 400
    assert hr("GET", f"/Users?filter={name}+eq+true")[1]["scimType"] == "invalidFilter"


def test_roles_are_data(hr: Scim) -> None:
    """`roles` and `entitlements` are kept as the source's data and lift nothing (ruling 10)."""
    record_id = hr.create(roles=[{"value": "admin", "primary": True}])
    assert hr("GET", f"/Users/{record_id}")[1]["roles"] == [{"value": "admin", "primary": True}]
    assert Record.objects.get(id=record_id).person.account.ial == 0


@pytest.mark.parametrize(
    "filler", ["\u034f", "\u3164", "\ufe0f", "\uffa0", "\u2800", "\U000e0101", "\u180b", "\u200d", "\u2066"]
)
def test_invisible_characters_in_names_are_refused(hr: Scim, filler: str) -> None:
    """C76: an identifier with invisible characters is refused, whatever their Unicode category; a matching key is an
    identifier too.
    """
    for body in (user(f"ada{filler}"), user("ada", externalId=f"1{filler}"), user("ada", **_number(f"7{filler}"))):
        status, found = hr("POST", "/Users", body)
        assert (status, found["scimType"]) == (400, "invalidValue")


@pytest.mark.parametrize("name", ["[/x]", "[red]ada", "a:smile:"])
def test_markup_in_names_is_printed_as_text(hr: Scim, capsys: pytest.CaptureFixture[str], name: str) -> None:
    """C78: a source's name breaks no list of the operator's, and is shown as it is."""
    hr.create(name)
    call_command("person", "list")
    assert name in capsys.readouterr().out
