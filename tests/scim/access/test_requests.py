"""Asking for access, deciding on it, and losing it again: the pages, and every way in (EN-1, C1, C16, P34)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import time_machine
from django.core.management import call_command

from derived import clock
from derived.errors import Refused
from derived.ledger import audit
from device.errors import ProtocolError
from scim.access import entitlements, requests
from scim.models import Access, AccessState, Person
from tests.fixtures.device_grant import answered, begun, polled, television, typed
from tests.fixtures.roles import disown, own
from tests.fixtures.world import CALLBACK, ISSUER, App, World, userinfo

if TYPE_CHECKING:
    from collections.abc import Callable

    from demo.browser import Browser, Page
    from scim.models import AccessRule

ALEX, MONA, OLGA = "alex@example.org", "mona@example.org", "olga@example.org"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"


def _person(name: str = ALEX) -> Person:
    return Person.objects.select_related("account").get(login_name=name)


def _work_in(world: World, department: str, username: str = ALEX) -> None:
    assert world.patch(username, {ENTERPRISE: {"department": department}}).status_code == 200


def _offered(app: App, **how: Any) -> AccessRule:
    words = {"entitlement": "auditor", "words": "Books trips for others.", "most_days": 30, **how}
    return entitlements.add_rule(app.client_id, "attribute", "department=IT", by_request=True, now=clock.now(), **words)


def _granted(person: Person, rule: AccessRule, *, days: int | None = None) -> Access:
    wish = requests.request_access(
        person, rule, purpose="the yearly audit", now=clock.now(), actor=requests.actor_of(person)
    )
    requests.approve(wish, by=None, days=days, now=clock.now(), actor="operator")
    return wish


def _ask(desktop: Browser, rule: AccessRule, purpose: str) -> Page:
    page = desktop.get(f"{ISSUER}/access")
    return desktop.submit(page, page.form_to(f"/access/ask/{rule.id}"), values={"purpose": purpose})


def _owner(world: World, app: App, name: str = OLGA, **how: str) -> Browser:
    _, desktop = world.enrolled(name)
    own(_person(name), app.client_id, **how)
    return desktop


# --- the pages
# ------------------------------------------------------------------------------------------------------------


def test_request_is_made_and_decided_on_pages(world: World) -> None:
    """Visible only to persons whom the rule covers; requested with a reason; decided by the client's owner beside
    the rule's result; notified by mail; expires in time.
    """
    person, desktop = world.enrolled()
    app = world.app()
    rule = _offered(app)
    assert "nothing that you could ask for" in desktop.get(f"{ISSUER}/access").html
    _work_in(world, "IT")
    page = desktop.get(f"{ISSUER}/access")
    assert {"Travel desk", "Books trips for others.", "department is IT"} <= {
        one for one in ("Travel desk", "Books trips for others.", "department is IT") if one in page.html
    }
    assert world.ask(app, desktop)["error"] == "access_denied"
    page = _ask(desktop, rule, "   ")
    assert (page.status, 'role="alert"' in page.html) == (400, True)
    olga = _owner(world, app)
    page = _ask(desktop, rule, "the yearly audit")
    assert (page.path, "Waits" in page.html) == ("/access", True)
    assert world.ask(app, desktop)["error"] == "access_denied"

    page = olga.get(f"{ISSUER}/access/review")
    assert all(
        one in page.html
        for one in ("the yearly audit", "people whose department is IT", "department IT, as hr says", "Holds")
    )
    wish = Access.objects.get()
    page = olga.submit(page, page.form_to(f"/access/review/{wish.id}"), values={"decision": "approve", "days": "7"})
    assert (page.path, "No request waits" in page.html) == ("/access/review", True)
    assert "code" in world.ask(app, desktop)
    assert "Until" in desktop.get(f"{ISSUER}/access").html
    assert world.mails(ALEX, "You may enter Travel desk")
    wish.refresh_from_db()
    assert (wish.decided_by, wish.expires_at) == (f"manager:{_person(OLGA).id}", wish.decided_at + timedelta(days=7))
    with time_machine.travel(clock.now() + timedelta(days=7, seconds=5)):
        assert world.ask(app, world.signed_in(person))["error"] == "access_denied"  # before anybody has tidied up
        assert requests.end_all_disallowed(now=clock.now(), actor="worker") == 1
        assert world.mails(ALEX, "has ended")
    events = _person().account.events.filter(kind__startswith="access.").order_by("seq")
    assert [one.kind for one in events] == ["access.requested", "access.assigned", "access.removed"]
    assert (events[1].body["until"][:10], events[2].body["because"]) == (
        str(wish.expires_at.date()),
        "its time is over",
    )
    assert audit.verify(_person().account) is None


@pytest.mark.database
def test_refusal_needs_a_reason_and_requests_can_be_withdrawn(world: World) -> None:
    """A refusal without a reason is rejected; the person reads the reason, and may ask again; a pending request can
    be withdrawn, and an assignment given up.
    """
    _, desktop = world.enrolled()
    app = world.app()
    rule = _offered(app)
    _work_in(world, "IT")
    olga = _owner(world, app)
    _ask(desktop, rule, "curiosity")
    wish = Access.objects.get()
    page = olga.get(f"{ISSUER}/access/review")
    refusing = page.forms()[-1]
    page = olga.submit(page, refusing, values={"decision": "refuse", "reason": " "})
    assert (page.status, 'role="alert"' in page.html) == (400, True)
    assert Access.objects.get().state == AccessState.REQUESTED
    olga.submit(page, refusing, values={"decision": "refuse", "reason": "The audit is <over>."})
    assert "The audit is &lt;over&gt;." in desktop.get(f"{ISSUER}/access").html
    assert any("The audit is <over>." in str(one.body) for one in world.mails(ALEX, "was refused"))
    _ask(desktop, rule, "now for real")
    page = desktop.get(f"{ISSUER}/access")
    second = Access.objects.exclude(id=wish.id).get()
    desktop.submit(page, page.form_to(f"/access/{second.id}/withdraw"))
    second.refresh_from_db()
    assert (second.state, requests.waiting_for(now=clock.now()).count()) == (AccessState.REMOVED, 0)
    held = _granted(_person(), rule)
    page = desktop.get(f"{ISSUER}/access")
    desktop.submit(page, page.form_to(f"/access/{held.id}/withdraw"))
    assert not entitlements.may_enter(_person(), app.client_id, now=clock.now())


@pytest.mark.database
def test_only_appointed_owners_decide(world: World) -> None:
    """Nobody signed in, nobody appointed, another client's owner, another entitlement's, their own, a dismissed and
    a returned one; only the freshly signed in.
    """
    _, desktop = world.enrolled()
    app, other = world.app(), world.app(name="Other", redirect_uris=["https://other.example/cb"])
    rule = _offered(app)
    _work_in(world, "IT")
    _ask(desktop, rule, "work")
    wish = Access.objects.get()
    assert desktop.get(f"{ISSUER}/access/review").status == 404
    olga = _owner(world, other)
    page = olga.get(f"{ISSUER}/access/review")
    assert (page.status, "No request waits" in page.html) == (200, True)
    own(_person(OLGA), app.client_id, entitlement="clerk")
    assert "No request waits" in olga.get(f"{ISSUER}/access/review").html
    with pytest.raises(Refused, match="illegal_move"):
        requests.approve(wish, by=_person(OLGA), now=clock.now(), actor="x")
    own(_person(OLGA), app.client_id, entitlement="auditor")
    page = olga.get(f"{ISSUER}/access/review")
    form = page.form_to(f"/access/review/{wish.id}")
    with time_machine.travel(clock.now() + timedelta(minutes=25)):
        assert olga.submit(page, form, values={"decision": "approve", "days": "7"}).path == "/login"
    for days in ("0", "31", "-1", "x", "7.5", ""):
        assert olga.submit(page, form, values={"decision": "approve", "days": days}).status == 409
    assert Access.objects.get().state == AccessState.REQUESTED
    own(_person(), app.client_id)
    page_of_alex = desktop.get(f"{ISSUER}/access/review")
    assert "somebody else decides" in page_of_alex.html
    form.action = f"/access/review/{wish.id}"
    assert desktop.submit(page_of_alex, form, values={"decision": "approve", "days": "7"}).status in {403, 409}
    disown(_person(OLGA), app.client_id, entitlement="auditor")
    assert olga.submit(page, form, values={"decision": "approve", "days": "7"}).status == 404
    own(_person(OLGA), app.client_id)
    world.deactivate(OLGA)
    world.reactivate(OLGA)
    assert not entitlements.owned_by(_person(OLGA), now=clock.now())
    assert Access.objects.get().state == AccessState.REQUESTED


def test_other_persons_requests_cannot_be_withdrawn(world: World) -> None:
    """C27: another person's number looks like none."""
    _, desktop = world.enrolled()
    app = world.app()
    rule = _offered(app)
    _work_in(world, "IT")
    _ask(desktop, rule, "work")
    _, mona = world.enrolled(MONA)
    _work_in(world, "IT", MONA)
    page = mona.get(f"{ISSUER}/access")
    form = page.form_to(f"/access/ask/{rule.id}")
    form.action = f"/access/{Access.objects.get().id}/withdraw"
    assert mona.submit(page, form).status == 404
    form.action = "/access/ask/999999"
    assert mona.submit(page, form, values={"purpose": "x"}).status == 404


def test_request_whose_rule_no_longer_matches_cannot_be_approved(world: World) -> None:
    """Between asking and deciding the person moved, and nobody has tidied up: the page says so, and there is nothing
    to approve with.
    """
    _, desktop = world.enrolled()
    app = world.app()
    _work_in(world, "IT")
    _ask(desktop, _offered(app), "work")
    Person.objects.filter(id=_person().id).update(profile={ENTERPRISE: {"department": "Sales"}})
    page = _owner(world, app).get(f"{ISSUER}/access/review")
    assert ("Does not hold" in page.html, "department Sales" in page.html, 'value="approve"' in page.html) == (
        True,
        True,
        False,
    )


# --- what takes it away
# ---------------------------------------------------------------------------------------------------


def _moves(world: World, _access: Access) -> None:
    _work_in(world, "Sales")


def _comes_back(world: World, _access: Access) -> None:
    _work_in(world, "Sales")
    _work_in(world, "IT")


def _rule_ends(_world: World, access: Access) -> None:
    requests.end_rule(access.rule, now=clock.now())
    entitlements.add_rule(access.rule.client_key, "attribute", "department=IT", by_request=True, now=clock.now())


def _expires(_world: World, access: Access) -> None:
    Access.objects.filter(id=access.id).update(expires_at=clock.now())


def _has_no_time(_world: World, access: Access) -> None:
    Access.objects.filter(id=access.id).update(expires_at=None)


def _is_taken(_world: World, access: Access) -> None:
    requests.remove(access, now=clock.now(), actor="operator")


@pytest.mark.database
@pytest.mark.parametrize(
    "change",
    [_moves, _comes_back, _rule_ends, _expires, _has_no_time, _is_taken],
    ids=lambda one: one.__name__.strip("_"),
)
def test_ends_of_an_assignment(world: World, change: Callable[[World, Access], None]) -> None:
    """A move (also one back), the end of the rule, the end of its time, a hand; what has no time has none."""
    world.push()
    app = world.app()
    _work_in(world, "IT")
    held = _granted(_person(), _offered(app))
    assert entitlements.claims_for(_person(), app.client_id, now=clock.now()) == {"entitlements": ["auditor"]}
    change(world, held)
    assert not entitlements.may_enter(_person(), app.client_id, now=clock.now())
    assert entitlements.claims_for(_person(), app.client_id, now=clock.now()) == {}


@pytest.mark.database
@pytest.mark.parametrize("change", [_moves, _expires], ids=lambda one: one.__name__.strip("_"))
def test_every_endpoint_checks_the_assignment(world: World, change: Callable[[World, Access], None]) -> None:
    """C1, C16: authorize by GET and by POST, pushed, resumed at consent, a code, refresh, userinfo, introspection, a
    device code, an assertion.
    """
    person, desktop = world.enrolled()
    app = world.app()
    asking, field, screen = world.app(name="Asking", consent=True), world.phone_app(), television(world)
    _work_in(world, "IT")
    held = [_granted(_person(), _offered(one)) for one in (app, asking, field, screen)]
    tokens = world.tokens(app, desktop, scope="openid offline_access")
    code = world.ask(app, desktop)["code"]
    consent = desktop.get(asking.url(), stop_at=CALLBACK)
    pushed = app.post(
        "/oidc/par", {name: value for name, value in app.parameters().items() if name != "client_id"}
    ).json()["request_uri"]
    shown = begun(screen)
    approval = typed(desktop, shown["user_code"])
    answered_before = begun(screen)
    answered(desktop, answered_before["user_code"])
    phone = world.device(desktop)
    phone.login(field.client_id, passphrase="seven mossy stones")
    assert "code" in world.ask(app, desktop)
    for one in held:
        change(world, one)
    assert world.ask(app, desktop)["error"] == "access_denied"
    posted = desktop._http.post(f"{ISSUER}/oidc/authorize", data=app.parameters())
    assert "error=access_denied" in posted.headers["Location"]
    by_par = desktop.get(f"{ISSUER}/oidc/authorize?client_id={app.client_id}&request_uri={pushed}", stop_at=CALLBACK)
    assert "access_denied" in str(by_par.stopped_at)
    assert "code=" not in str(
        desktop.submit(consent, consent.form_to("/consent"), values={"decision": "allow"}, stop_at=CALLBACK).stopped_at
    )
    assert app.redeem(code).json()["error"] == "invalid_grant"
    assert app.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"
    assert userinfo(tokens["access_token"]).status_code == 401
    assert not app.introspect(tokens["access_token"])["active"]
    desktop.submit(approval, approval.form_to("/device/approval"), values={"decision": "allow"})
    assert [polled(screen, one).json().get("access_token") for one in (shown, answered_before)] == [None, None]
    with pytest.raises(ProtocolError):
        phone.login(field.client_id, passphrase="seven mossy stones")
    assert person


def test_leaver_loses_all_assignments(world: World) -> None:
    """C30: with the account everything; nothing waits for a person who is gone."""
    world.push()
    app = world.app()
    rule = _offered(app)
    _work_in(world, "IT")
    _granted(_person(), rule)
    second = _offered(app, entitlement="second")
    requests.request_access(_person(), second, purpose="x", now=clock.now(), actor="operator")
    world.deactivate()
    assert requests.waiting_for(now=clock.now()).count() == 0
    assert not entitlements.may_enter(_person(), app.client_id, now=clock.now())
    world.reactivate()
    assert not entitlements.may_enter(_person(), app.client_id, now=clock.now())
    assert not world.mails(ALEX, "Your access")


def test_tidying_locks_only_accounts_that_lose_something(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker looks at everybody every few minutes; who keeps what they have is only read."""
    world.push()
    app = world.app()
    _work_in(world, "IT")
    _granted(_person(), _offered(app))
    monkeypatch.setattr(requests, "under_lock", lambda *_: pytest.fail("locked"))
    assert requests.end_all_disallowed(now=clock.now(), actor="worker") == 0


@pytest.mark.database
def test_owner_commands(world: World) -> None:
    """own, owners, disown; a client that is none."""
    world.push(OLGA)
    app = world.app()
    call_command("access", "own", app.client_id, OLGA)
    assert entitlements.owned_by(_person(OLGA), now=clock.now()) == [(app.client_id, "")]
    call_command("access", "disown", app.client_id, OLGA)
    assert entitlements.owned_by(_person(OLGA), now=clock.now()) == []
