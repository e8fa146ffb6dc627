"""Who may enter a client: asked at every way in, lost by a mover at their next step, approved by somebody else
(EN-1, C16, P34).
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from derived import clock
from derived.errors import Refused
from derived.ledger import audit
from device.errors import ProtocolError
from idp.policies.issuance import groups_of
from scim.access import belonging, entitlements, requests
from scim.models import Access, AccessState, Person, Role, RoleName
from tests.fixtures.roles import appoint, own
from tests.fixtures.world import CALLBACK, ISSUER, PATCH, App, World, claims, http, userinfo

if TYPE_CHECKING:
    from scim.models import AccessRule

ALEX = "alex@example.org"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"


def _person(name: str = ALEX) -> Person:
    return Person.objects.select_related("account").get(login_name=name)


def _work_in(world: World, department: str, username: str = ALEX) -> None:
    assert world.patch(username, {ENTERPRISE: {"department": department}}).status_code == 200


def _for_it(app: App, **how: Any) -> AccessRule:
    return entitlements.add_rule(app.client_id, "attribute", "department=IT", now=clock.now(), **how)


def test_client_without_rules_admits_everybody(world: World) -> None:
    """No rule, no gate, and nothing is told."""
    person, desktop = world.enrolled()
    tokens = world.tokens(world.app(), desktop, person)
    assert not {"groups", "roles", "entitlements"} & set(userinfo(tokens["access_token"]).json())


def test_authorize_checks_rules_and_tells_entitlements(world: World) -> None:
    """A person who matches no rule gets access_denied; one who matches gets a code, and the client sees its own
    entitlements only.
    """
    person, desktop = world.enrolled()
    app = world.app()
    other = world.app(name="Other", redirect_uris=["https://other.example/cb"])
    _for_it(app, entitlement="admin")
    entitlements.add_rule(other.client_id, "everyone", entitlement="reader", now=clock.now())
    back = world.ask(app, desktop, person)
    assert (back["error"], "code" in back) == ("access_denied", False)
    _work_in(world, "it")
    tokens = world.tokens(app, desktop, person)
    assert userinfo(tokens["access_token"]).json()["entitlements"] == ["admin"]
    assert app.introspect(tokens["access_token"])["entitlements"] == ["admin"]
    assert "entitlements" not in claims(tokens["id_token"])


def test_prompt_none_and_consent_check_rules(world: World) -> None:
    """With prompt=none too; and when access is lost while the consent page is open, the approval grants nothing."""
    person, desktop = world.enrolled()
    app = world.app(consent=True)
    _for_it(app)
    assert world.ask(app, desktop, prompt="none")["error"] == "access_denied"
    _work_in(world, "IT")
    page = desktop.get(app.url(), stop_at=CALLBACK)
    form = page.form_to("/consent")
    _work_in(world, "Sales")
    answered = desktop.submit(page, form, values={"decision": "allow"}, stop_at=CALLBACK)
    assert "code=" not in str(answered.stopped_at)
    assert "access_denied" in str(answered.stopped_at)
    assert person


def test_code_redemption_checks_rules(world: World) -> None:
    """A code that was made before the move buys nothing after it, and is spent."""
    person, desktop = world.enrolled()
    app = world.app()
    _for_it(app)
    _work_in(world, "IT")
    code = world.ask(app, desktop, person)["code"]
    _work_in(world, "Sales")
    assert app.redeem(code).json()["error"] == "invalid_grant"
    _work_in(world, "IT")
    assert app.redeem(code).json()["error"] == "invalid_grant"


def test_refresh_introspection_and_userinfo_check_rules(world: World) -> None:
    """A mover's refresh token, access token and userinfo are dead at the next use (TK-1)."""
    person, desktop = world.enrolled()
    app = world.app()
    _for_it(app)
    _work_in(world, "IT")
    tokens = world.tokens(app, desktop, person)
    assert app.introspect(tokens["access_token"])["active"]
    _work_in(world, "Sales")
    assert not app.introspect(tokens["access_token"])["active"]
    assert not app.introspect(tokens["refresh_token"])["active"]
    assert userinfo(tokens["access_token"]).status_code == 401
    assert app.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"


def test_device_assertion_checks_rules(world: World) -> None:
    """A device's own way in asks too."""
    _, desktop = world.enrolled()
    app = world.phone_app()
    phone = world.device(desktop)
    phone.login(app.client_id, passphrase="seven mossy stones")
    _for_it(app)
    with pytest.raises(ProtocolError):
        phone.login(app.client_id, passphrase="seven mossy stones")
    _work_in(world, "IT")
    phone.login(app.client_id, passphrase="seven mossy stones")


def _group(world: World, name: str, *members: str) -> str:
    body = {
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"],
        "displayName": name,
        "members": [{"value": one} for one in members],
    }
    return str(world.scim("POST", "/Groups", body).json()["id"])


@pytest.mark.database
def test_nested_groups_count(world: World) -> None:
    """A member of a group, or of a group within it, enters; who leaves it does not; the client is told the group's
    name.
    """
    world.push()
    inner = _group(world, "Inner", world.ids[ALEX])
    outer = _group(world, "Outer", inner)
    app = world.app()
    entitlements.add_rule(app.client_id, "group", outer, now=clock.now())
    assert entitlements.may_enter(_person(), app.client_id, now=clock.now())
    assert entitlements.claims_for(_person(), app.client_id, now=clock.now()) == {"groups": ["Outer"]}
    body = {"schemas": [PATCH], "Operations": [{"op": "remove", "path": f'members[value eq "{world.ids[ALEX]}"]'}]}
    assert world.scim("PATCH", f"/Groups/{inner}", body).status_code in {200, 204}
    assert not entitlements.may_enter(_person(), app.client_id, now=clock.now())
    assert entitlements.claims_for(_person(), app.client_id, now=clock.now()) == {}


def _into(world: World, outer: str, inner: str) -> None:
    body = {"schemas": [PATCH], "Operations": [{"op": "add", "path": "members", "value": [{"value": inner}]}]}
    assert world.scim("PATCH", f"/Groups/{outer}", body).status_code in {200, 204}


_DEEP = 40


def test_deep_and_circular_groups(world: World) -> None:
    """Nested groups count at any depth; a circle ends by itself; one statement; the rulebook counts them too."""
    world.push()
    chain = [_group(world, "G0", world.ids[ALEX])]
    for number in range(1, _DEEP):
        chain.append(_group(world, f"G{number}", chain[-1]))
    person = _person()
    with CaptureQueriesContext(connection) as asked:
        found = belonging.groups_of(person)
    assert (found, len(asked)) == (frozenset(chain), 1)
    assert groups_of(person) >= {f"G{number}" for number in range(_DEEP)} | {chain[3], "hr/G3"}
    _into(world, chain[0], chain[2])  # G0 in G1 in G2 in G0
    assert belonging.groups_of(person) == frozenset(chain)
    assert world.scim("DELETE", f"/Groups/{chain[1]}").status_code == 204
    assert belonging.groups_of(person) == {chain[0]}
    world.deactivate()
    assert world.scim("DELETE", f"/Users/{world.ids[ALEX]}").status_code == 204
    assert belonging.groups_of(person) == frozenset()


def test_pushed_role_counts_only_from_a_trusted_source(world: World) -> None:
    """`roles` of a source that the operator did not name for it is data (ruling 10, P38)."""
    world.push(roles=[{"value": "admin"}])
    app = world.app()
    entitlements.add_rule(app.client_id, "role", "admin", now=clock.now())
    assert not entitlements.may_enter(_person(), app.client_id, now=clock.now())
    call_command("source", "trust", "hr", "--add", "roles", "--json")
    assert entitlements.may_enter(_person(), app.client_id, now=clock.now())
    assert entitlements.claims_for(_person(), app.client_id, now=clock.now()) == {"roles": ["admin"]}


def test_request_review_approval_assignment_removal(world: World) -> None:
    """EN-1 end to end: requested under a rule, approved by another person, assigned, lost with a move, and not
    regained.
    """
    world.push()
    world.push("mona@example.org")
    app = world.app()
    rule = _for_it(app, by_request=True, entitlement="operator")
    alex, mona = _person(), _person("mona@example.org")
    assert requests.requestable_rules(alex) == []
    with pytest.raises(Refused, match="not_entitled"):
        requests.request_access(alex, rule, purpose="to restart it", now=clock.now(), actor=requests.actor_of(alex))
    _work_in(world, "IT")
    assert [one.id for one in requests.requestable_rules(_person())] == [rule.id]
    for purpose in ("", "   "):
        with pytest.raises(Refused):
            requests.request_access(alex, rule, purpose=purpose, now=clock.now(), actor=requests.actor_of(alex))
    access = requests.request_access(
        alex, rule, purpose="to restart it", now=clock.now(), actor=requests.actor_of(alex)
    )
    with pytest.raises(Refused):
        requests.request_access(alex, rule, purpose="again", now=clock.now(), actor=requests.actor_of(alex))
    assert not entitlements.may_enter(_person(), app.client_id, now=clock.now())
    with pytest.raises(Refused, match="illegal_move"):
        requests.approve(access, by=alex, now=clock.now(), actor=requests.actor_of(alex))
    with pytest.raises(Refused, match="illegal_move"):
        requests.approve(access, by=mona, now=clock.now(), actor=requests.actor_of(mona))
    own(mona, app.client_id)
    with pytest.raises(Refused, match="illegal_move"):  # appointed after the request (WF-7)
        requests.approve(access, by=mona, now=clock.now(), actor=requests.actor_of(mona))
    Role.objects.update(since=access.requested_at - timedelta(days=1))
    with time_machine.travel(access.requested_at + timedelta(days=8), tick=False), pytest.raises(Refused) as late:
        requests.approve(access, by=mona, now=clock.now(), actor=requests.actor_of(mona))  # WF-14, without a worker
    assert late.value.reason.value == "request_expired"
    assert Access.objects.get(id=access.id).reason == "nobody decided on it in time"
    access = requests.request_access(
        alex, rule, purpose="to restart it", now=clock.now(), actor=requests.actor_of(alex)
    )
    requests.approve(access, by=mona, now=clock.now(), actor=requests.actor_of(mona))
    assert entitlements.claims_for(_person(), app.client_id, now=clock.now()) == {"entitlements": ["operator"]}
    _work_in(world, "Sales")
    assert Access.objects.get(id=access.id).state == AccessState.REMOVED
    _work_in(world, "IT")
    assert not entitlements.may_enter(_person(), app.client_id, now=clock.now())
    kinds = list(
        _person().account.events.filter(kind__startswith="access.").order_by("seq").values_list("kind", flat=True)
    )
    expired = ["access.requested", "access.removed"]
    assert kinds == [*expired, "access.requested", "access.assigned", "access.removed"]
    assert audit.verify(_person().account) is None


def test_requester_does_not_approve(world: World) -> None:
    """Approver, requester: two people, also where the one who gets it is a third."""
    world.push()
    world.push("mona@example.org")
    rule = entitlements.add_rule("any", "everyone", by_request=True, now=clock.now())
    mona = _person("mona@example.org")
    access = requests.request_access(
        _person(), rule, purpose="for Alex", now=clock.now(), actor=requests.actor_of(mona)
    )
    appoint("mona@example.org", RoleName.MANAGER)
    with pytest.raises(Refused, match="illegal_move"):
        requests.approve(access, by=mona, now=clock.now(), actor=requests.actor_of(mona))


def test_rule_is_checked_again_at_approval(world: World) -> None:
    """Between the asking and the yes the person moved: nothing is assigned."""
    world.push()
    rule = _for_it(world.app(), by_request=True)
    _work_in(world, "IT")
    access = requests.request_access(_person(), rule, purpose="x", now=clock.now(), actor="operator")
    Person.objects.filter(id=access.person_id).update(profile={})
    with pytest.raises(Refused, match="not_entitled"):
        requests.approve(access, by=None, now=clock.now(), actor="operator:x")


def test_assignment_does_not_come_back_with_a_rehire(world: World) -> None:
    """A rehire asks anew (C30)."""
    world.push()
    rule = entitlements.add_rule("any", "everyone", by_request=True, now=clock.now())
    access = requests.request_access(_person(), rule, purpose="x", now=clock.now(), actor="operator")
    requests.approve(access, by=None, now=clock.now(), actor="operator:x")
    assert entitlements.may_enter(_person(), "any", now=clock.now())
    world.deactivate()
    world.reactivate()
    assert not entitlements.may_enter(_person(), "any", now=clock.now())


def test_assignment_ends_when_its_group_is_left(world: World) -> None:
    """An assignment whose group was left is ended by the worker, and coming back to the group does not revive it."""
    world.push()
    group = _group(world, "G", world.ids[ALEX])
    rule = entitlements.add_rule("any", "group", group, by_request=True, now=clock.now())
    access = requests.request_access(_person(), rule, purpose="x", now=clock.now(), actor="operator")
    requests.approve(access, by=None, now=clock.now(), actor="operator:x")
    path, member = f"/Groups/{group}", {"value": world.ids[ALEX]}
    out = {"schemas": [PATCH], "Operations": [{"op": "remove", "path": "members"}]}
    assert world.scim("PATCH", path, out).status_code in {200, 204}
    assert requests.end_all_disallowed(now=clock.now(), actor="worker") == 1
    back = {"schemas": [PATCH], "Operations": [{"op": "add", "path": "members", "value": [member]}]}
    assert world.scim("PATCH", path, back).status_code in {200, 204}
    assert not entitlements.may_enter(_person(), "any", now=clock.now())


@pytest.mark.parametrize(
    ("kind", "subject"),
    [
        ("attribute", "department"),
        ("attribute", "salary=1"),
        ("group", "x"),
        ("person", ""),
        ("role", ""),
        ("nobody", ""),
    ],
)
@pytest.mark.django_db
def test_bad_rules_are_refused(kind: str, subject: str) -> None:
    """A rule about what does not exist is refused when it is made."""
    with pytest.raises(ValueError, match=r"."):
        entitlements.add_rule("c", kind, subject, now=clock.now())


@pytest.mark.database
def test_access_commands(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """Operators do all of it at a terminal; whoever asked does not decide, by name or without one (RL-4)."""

    def run(*words: str) -> Any:
        call_command("access", *words, "--json")
        return json.loads(capsys.readouterr().out)

    world.push()
    app = world.app()
    number = str(run("rule", app.client_id, "everyone", "--entitlement", "e", "--by-request")["number"])
    assert run("may", app.client_id, ALEX) == {"may_enter": False}
    asked = str(run("ask", number, ALEX, "--purpose", "work")["number"])
    assert [one["purpose"] for one in run("waiting")] == ["work"]
    with pytest.raises(CommandError, match="Whoever asked"):
        run("approve", asked)
    world.push("omar@example.org")
    run("approve", asked, "--as", "omar@example.org")
    assert run("may", app.client_id, ALEX) == {"may_enter": True, "entitlements": ["e"]}
    run("remove", asked)
    asked = str(run("ask", number, ALEX, "--purpose", "work", "--as", "omar@example.org")["number"])
    for name, words in (("omar@example.org", "Whoever asked"), (ALEX, "Whoever asked"), ("nobody", "no active person")):
        with pytest.raises(CommandError, match=words):
            run("approve", asked, "--as", name)
    run("refuse", asked, "--reason", "not now")
    assert run("list") == []
    run("end-rule", number)
    assert (run("rules"), run("may", app.client_id, ALEX)) == ([], {"may_enter": True})


# --- a source that speaks with its client's own token -----------------------------------------------------------------


def test_source_authenticates_with_its_clients_token(world: World) -> None:
    """An access token of client credentials opens SCIM for the one source that admitted the client, with the scope
    `scim` only.
    """
    from scim.people import sources

    app = world.app(redirect_uris=[], grants=["client_credentials"], scopes=["scim", "introspect"])
    tokens = {
        scope: app.post("/oidc/token", {"grant_type": "client_credentials", "scope": scope}).json()["access_token"]
        for scope in ("scim", "introspect")
    }

    def listed(token: str) -> int:
        with http() as agent:
            return agent.get(f"{ISSUER}/scim/v2/Users", headers={"Authorization": f"Bearer {token}"}).status_code

    assert listed(tokens["scim"]) == 401
    sources.admit_client(world.source, app.client_id, now=clock.now())
    assert (listed(tokens["scim"]), listed(tokens["introspect"])) == (200, 401)
    person, desktop = world.enrolled()
    of_person = world.tokens(world.app(name="Web"), desktop, person)["access_token"]
    assert listed(of_person) == 401
    call_command("client", "disable", app.client_id)
    assert listed(tokens["scim"]) == 401
