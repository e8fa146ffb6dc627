"""What each source is believed, how it shows who it is, and that its word about other things stays its own (ID-2,
C27, P36 to P38).
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import time_machine
from django.core.management import call_command

from derived import clock
from derived.ledger import audit
from derived.models import AccountStatus, Credential
from scim import callers as auth
from scim.models import Person, Record, Source, SourceCredential
from scim.people import disabling, matching, provision, sources
from scim.protocol import trust
from scim.protocol.schema import AttributePath
from scim.protocol.user import USER
from tests.fixtures import ledger_rows
from tests.fixtures.scim_client import ASSURANCE, ENTERPRISE, Scim, user
from tests.fixtures.scim_records import _number, _record

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.database


_OFF = {"op": "replace", "path": "active", "value": False}


def _person(record_id: str) -> Person:
    return Record.objects.select_related("person__account").get(id=record_id).person


# --- credentials ------------------------------------------------------------------------------------------------------


def test_token_rotation_overlaps(hr: Scim) -> None:
    """Old and new token work side by side until the overlap is over; neither is kept."""
    source = Source.objects.get(name="hr")
    now = clock.now()
    new = Scim(sources.rotate_source(source, overlap=timedelta(hours=1), now=now))
    assert (hr("GET", "/Users")[0], new("GET", "/Users")[0]) == (200, 200)
    with time_machine.travel(now + timedelta(minutes=61)):
        assert (hr("GET", "/Users")[0], new("GET", "/Users")[0]) == (401, 200)
    kept = json.dumps(list(SourceCredential.objects.values_list("key", flat=True)))
    assert hr.token not in kept
    assert new.token not in kept


def test_one_of_several_credentials_ends(hr: Scim) -> None:
    """A leaked token ends by itself; a disabled source has none that works, an enabled one has those it had."""
    source = Source.objects.get(name="hr")
    other = Scim(sources.rotate_source(source, overlap=timedelta(days=1), now=clock.now()))
    first = source.credentials.order_by("id")[0]
    assert sources.end_credential(source, first.id, now=clock.now())
    assert not sources.end_credential(source, first.id, now=clock.now())
    assert (hr("GET", "/Users")[0], other("GET", "/Users")[0]) == (401, 200)
    disabling.disable_source(source, now=clock.now())
    assert other("GET", "/Users")[0] == 401
    disabling.enable_source(source, now=clock.now())
    assert (hr("GET", "/Users")[0], other("GET", "/Users")[0]) == (401, 200)


def test_last_request_of_a_source_is_shown(hr: Scim) -> None:
    """When a source last spoke, and what it asked for, without anybody's id in it."""
    record_id = hr.create()
    with time_machine.travel(clock.now() + timedelta(minutes=5)):
        hr("GET", f"/Users/{record_id}")
        source = Source.objects.get(name="hr")
        assert source.last_seen_at is not None
        assert clock.now() - source.last_seen_at < timedelta(seconds=30)
    assert source.last_said == "GET Users"
    assert source.credentials.get().last_used_at is not None


@pytest.fixture
def recognised(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """What floors above would recognise in the next request: in its header, and in its connection."""
    found: dict[str, list[str]] = {"header": [], "connection": []}
    monkeypatch.setattr(auth, "_of_headers", [lambda _request, _now: found["header"]])
    monkeypatch.setattr(auth, "_of_connections", [lambda _request, _now: found["connection"]])
    return found


def test_client_or_certificate_authenticates_a_source(hr: Scim, recognised: dict[str, list[str]]) -> None:
    """What the house recognises opens the door of the one source that admitted it, until that ends (P37)."""
    source = Source.objects.get(name="hr")
    nobody = Scim("x")
    recognised["header"] = [auth.key_of_client("c-1")]
    assert nobody("GET", "/Users")[0] == 401
    row = sources.admit_client(source, "c-1", now=clock.now())
    assert nobody("GET", "/Users")[0] == 200
    assert nobody("GET", "/Users", Authorization="")[0] == 401
    sources.end_credential(source, row.id, now=clock.now())
    assert nobody("GET", "/Users")[0] == 401
    recognised["connection"] = [auth.key_of_certificate("ab" * 32)]
    sources.admit_certificate(source, ":".join(["AB"] * 32), now=clock.now())
    assert nobody("GET", "/Users")[0] == 401  # a header that leads nowhere is a no
    assert nobody("GET", "/Users", Authorization="")[0] == 200
    other, _ = provision.register_source("other", now=clock.now())
    for admit in (
        lambda: sources.admit_client(other, "c-1", now=clock.now()),
        lambda: sources.admit_certificate(other, "zz", now=clock.now()),
    ):
        with pytest.raises(ValueError, match=r"."):
            admit()


def test_each_source_has_its_own_rate(connect: Callable[..., Scim]) -> None:
    """Above its own rate a source waits, and no other source with it (C75)."""
    hr, other = connect("hr"), connect("other")
    Source.objects.filter(name="hr").update(most_per_minute=3)
    assert [hr("GET", "/Users")[0] for _ in range(5)] == [200, 200, 200, 429, 429]
    assert hr.last is not None
    assert hr.last["Retry-After"] == "60"
    assert other("GET", "/Users")[0] == 200
    with time_machine.travel(clock.now() + timedelta(seconds=61)):
        assert hr("GET", "/Users")[0] == 200


# --- trust ------------------------------------------------------------------------------------------------------------


def test_presets_name_existing_attributes() -> None:
    """Every preset names attributes of the schemas; by default nobody is believed about assurance, roles or
    entitlements.
    """
    for names in trust.PRESETS.values():
        assert names <= trust.KNOWN
    assert not {"roles", "entitlements", trust.IAL, trust.STATUS, trust.ELIGIBLE} & trust.PRESETS["everything"]
    assert trust.ACTIVE not in trust.PRESETS["security"]
    assert trust.full_names(["TITLE", "employeenumber", f"{ASSURANCE}:ial"]) == {
        "title",
        trust.EMPLOYEE_NUMBER,
        trust.IAL,
    }
    with pytest.raises(ValueError, match="salary"):
        trust.full_names(["salary"])


def test_untrusted_attributes_never_reach_a_profile(connect: Callable[..., Scim]) -> None:
    """A source reads what it wrote, and the person has only what it is believed; the record says what was not (C27,
    P38).
    """
    scim = connect("badge", trusted_for=["userName", "active", "title"])
    pushed = {
        "roles": [{"value": "admin"}],
        "nickName": "Al",
        ASSURANCE: {"ial": 3, "status": "active", "eligible": True},
    }
    record_id = scim.create("al", title="Guard", **pushed)
    seen = scim("GET", f"/Users/{record_id}")[1]
    assert (seen["nickName"], seen[ASSURANCE]["ial"], seen["roles"]) == ("Al", 3, [{"value": "admin"}])
    person = _person(record_id)
    assert set(person.profile) == {"userName", "title"}
    assert (person.account.ial, person.addresses()) == (0, [])
    event = person.account.events.get(kind="person.not_believed")
    assert {"nickName", "roles", trust.IAL, "emails"} <= set(event.body["attributes"])
    assert audit.verify(person.account) is None


def _value(located: AttributePath) -> Any:
    attribute = located.attribute
    assert attribute is not None
    if attribute.type.value == "complex":
        names = ["value"] if attribute.sub("value") else ["locality"] if attribute.multi_valued else ["familyName"]
        inner = dict.fromkeys(names, "eA==")
        return [inner] if attribute.multi_valued else inner
    return {"boolean": False, "integer": 3, "dateTime": "2026-01-01T00:00:00Z"}.get(attribute.type.value, "x")


def test_only_trusted_attributes_reach_a_person(connect: Callable[..., Scim]) -> None:
    """Every attribute of every schema, pushed by a source that is trusted for the user name alone: nothing arrives
    (C27).
    """
    scim = connect("mute", trusted_for=["userName", "active"], vouched_ial=0)
    body: dict[str, Any] = user("mu")
    for schema in (USER.core, *USER.extensions):
        extension = None if schema is USER.core else schema.urn
        home = body if extension is None else body.setdefault(extension, {})
        for attribute in schema.attributes:
            if not attribute.read_only and attribute.name not in {"userName", "password", "active"}:
                home[attribute.name] = _value(AttributePath(extension, attribute))
    status, found = scim("POST", "/Users", body)
    assert status == 201, found
    person = _person(found["id"])
    assert set(person.profile) == {"userName"}
    assert (person.account.ial, person.account.eligible, person.addresses()) == (0, True, [])


def test_untrusted_source_cannot_change_active(connect: Callable[..., Scim]) -> None:
    """`active` from a source that is not trusted for it neither ends nor opens an account (ID-2)."""
    scim = connect("security", trusted_for=trust.PRESETS["security"])
    person = _person(scim.create("x"))
    assert (person.active, person.account.status, person.login_name) == (False, AccountStatus.TERMINATED, None)
    hr = connect("hr", trusted_for=trust.PRESETS["hr"])
    assert _person(hr.create("y")).active


def test_withdrawn_trust_applies_at_once(connect: Callable[..., Scim]) -> None:
    """When the operator takes an attribute from a source, the people of that source lose it at once."""
    person = _person(connect("hr").create("a", title="Boss"))
    assert person.profile["title"] == "Boss"
    call_command("source", "trust", "hr", "--remove", "title", "--json")
    person.refresh_from_db()
    assert "title" not in person.profile


# --- the assurance extension ------------------------------------------------------------------------------------------


@pytest.fixture
def hr_source(connect: Callable[..., Scim]) -> Scim:
    """A source that is believed about everything, assurance too, up to IAL2."""
    return connect("hr-source", trusted_for=trust.PRESETS["everything"] | trust.PRESETS["security"], vouched_ial=2)


def _say(scim: Scim, record_id: str, **said: Any) -> None:
    assert scim.patch(record_id, {"op": "add", "value": {ASSURANCE: said}})[0] == 200


def test_ial_per_person_is_capped_by_the_source(hr_source: Scim) -> None:
    """What a source says of one person counts up to what it may; a decrease lowers what was minted (AS-1)."""
    record_id = hr_source.create("a", **{ASSURANCE: {"ial": 3}})
    person = _person(record_id)
    assert person.account.ial == 2
    credential = ledger_rows.recorded(person.account, ial=2)
    _say(hr_source, record_id, ial=1)
    credential.refresh_from_db()
    assert (_person(record_id).account.ial, credential.ial) == (1, 1)
    _say(hr_source, record_id, ial=2)
    credential.refresh_from_db()
    assert (_person(record_id).account.ial, credential.ial) == (2, 1)
    assert audit.verify(_person(record_id).account) is None


def test_status_suspends_until_its_source_clears_it(hr_source: Scim) -> None:
    """Only our extension's status suspends; the source that said so clears it, and what a manager stopped stays
    (ruling 11).
    """
    from derived.changes import suspend
    from derived.ledger.locking import under_lock

    record_id = hr_source.create("a")
    _say(hr_source, record_id, status="suspended")
    assert _person(record_id).account.status == AccountStatus.SUSPENDED
    _say(hr_source, record_id, status="active")
    assert _person(record_id).account.status == AccountStatus.ACTIVE
    under_lock(
        _person(record_id).account_id, lambda account: suspend.suspend(account, now=clock.now(), actor="manager:x")
    )
    _say(hr_source, record_id, status="suspended")
    _say(hr_source, record_id, status="active")
    assert _person(record_id).account.status == AccountStatus.SUSPENDED


def test_suspension_cleared_while_ended(hr_source: Scim) -> None:
    """Who was suspended, ended, cleared and comes back is active; who was not cleared is suspended again."""
    record_id = hr_source.create("a")
    for status, expected in (("active", AccountStatus.ACTIVE), ("suspended", AccountStatus.SUSPENDED)):
        _say(hr_source, record_id, status="suspended")
        hr_source.patch(record_id, _OFF)
        _say(hr_source, record_id, status=status)
        hr_source.patch(record_id, {**_OFF, "value": True}, If_Match=hr_source.tag(record_id))
        assert _person(record_id).account.status == expected


def test_ial_lowered_while_ended_stays_lowered(hr_source: Scim) -> None:
    """A level that was taken back while the person was away is not there when they return."""
    record_id = hr_source.create("a")
    hr_source.patch(record_id, _OFF)
    _say(hr_source, record_id, ial=1)
    hr_source.patch(record_id, {**_OFF, "value": True}, If_Match=hr_source.tag(record_id))
    assert _person(record_id).account.ial == 1


def test_ineligible_ends_derived_credentials(hr_source: Scim) -> None:
    """`eligible: false` ends derived credentials, leaves roots, and nothing is minted meanwhile (EL-4, IV-1)."""
    from derived.errors import Refused
    from derived.ledger.rows import Draft, create_row
    from derived.rules.assurance import AAL
    from derived.rules.kinds import Kind
    from derived.rules.lifecycle import State

    record_id = hr_source.create("a")
    account = _person(record_id).account
    root = ledger_rows.recorded(account)
    grown = ledger_rows.recorded(account, kind="device_key", root=root, parent=root)
    _say(hr_source, record_id, eligible=False)
    states = [Credential.objects.get(id=one.id).state for one in (root, grown)]
    assert states == ["active", "revoked"]
    account.refresh_from_db()
    with pytest.raises(Refused, match="not_eligible"):
        create_row(
            account,
            Draft(
                kind=Kind.DEVICE_KEY,
                reaches=AAL.AAL2,
                state=State.PENDING,
                name="x",
                evidence={},
                now=clock.now(),
                parent=root,
            ),
        )
    _say(hr_source, record_id, eligible=True)
    assert _person(record_id).account.eligible
    assert Credential.objects.get(id=grown.id).state == "revoked"


def test_bad_date_is_refused(hr: Scim) -> None:
    """A dateTime is a date and a time."""
    for bad in ("yesterday", "2026-01-01"):
        assert hr("POST", "/Users", user("a", **{ASSURANCE: {"proofedAt": bad}}))[1]["scimType"] == "invalidValue"
    assert (
        hr(
            "POST",
            "/Users",
            user("a", **{ASSURANCE: {"proofedAt": "2026-01-01T00:00:00Z"}, ENTERPRISE: {"division": "x"}}),
        )[0]
        == 201
    )


# --- the operator's verbs ---------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_source_commands(capsys: pytest.CaptureFixture[str]) -> None:
    """add, show, rotate, admit, end, disable, enable: what they print leads on."""

    def run(*words: str) -> Any:
        call_command("source", *words, "--json")
        return json.loads(capsys.readouterr().out)

    made = run("add", "badge", "--preset", "security", "--precedence", "5", "--vouches-ial", "2", "--expires-in", "90")
    assert Scim(made["token"])("GET", "/Users")[0] == 200
    shown = run("show", "badge")
    assert (shown["preset"], shown["precedence"], shown["vouches_ial"]) == ("security", 5, 2)
    token = run("rotate", "badge", "--overlap", "1h")["token"]
    assert Scim(made["token"])("GET", "/Users")[0] == Scim(token)("GET", "/Users")[0] == 200
    run("admit", "badge", "--client-id", "c-9")
    shown = run("show", "badge")
    assert [one["kind"] for one in shown["credentials"]] == ["token", "token", "client"]
    run("end", "badge", str(shown["credentials"][0]["number"]))
    assert Scim(made["token"])("GET", "/Users")[0] == 401
    assert run("disable", "badge")["done"] is False
    assert Scim(token)("GET", "/Users")[0] == 200
    assert run("disable", "badge", "--yes")["done"] is True
    assert Scim(token)("GET", "/Users")[0] == 401
    run("enable", "badge")
    assert Scim(token)("GET", "/Users")[0] == 200
    assert token not in json.dumps(run("show", "badge"), default=str)


_KEYED = {*trust.EVERY, trust.EMPLOYEE_NUMBER}


def test_source_may_vouch_for_less(connect: Callable[..., Scim]) -> None:
    """AS-1: what a source says of one person's proofing is never raised to what it could have said."""
    hr = connect("hr", vouched_ial=2)
    one, none = hr.create("ada", **{ASSURANCE: {"ial": 1}}), hr.create("bob", **{ASSURANCE: {"ial": 0}})
    assert [
        _record(each).person.account.ial
        for each in (one, none, hr.create("cyd"), hr.create("dee", **{ASSURANCE: {"ial": 3}}))
    ] == [1, 0, 2, 2]


def test_deleted_record_vouches_for_nothing(connect: Callable[..., Scim]) -> None:
    """A tombstone says no; it does not say the most that its source may."""
    hr = connect("hr", vouched_ial=3, trusted_for=_KEYED | {trust.IAL})
    directory = connect("directory", trusted_for=_KEYED)
    matching.add_rule("employeeNumber", now=clock.now())
    ada = hr.create("ada", **{ASSURANCE: {"ial": 1}}, **_number("1"))
    directory.create("al", **_number("1"))
    assert hr("DELETE", f"/Users/{ada}")[0] == 204
    assert _record(ada).person.account.ial <= 1
