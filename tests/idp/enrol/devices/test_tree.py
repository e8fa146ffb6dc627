"""My devices as a tree: what grew from what, and what apps hold by each; endable by its person, dead with its device
(DK-4, IV-7, IV-11, ID-10).
"""

from __future__ import annotations

from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest

from demo.browser import Browser
from derived.models import Credential, Event
from device.errors import ProtocolError
from tests.fixtures.world import ISSUER, http

if TYPE_CHECKING:
    from tests.fixtures.world import World

pytestmark = pytest.mark.django_db
PASSPHRASE = "seven mossy stones"


class Outline(HTMLParser):
    """The nodes of the drawn tree, with how deep their lists are nested: what a screen reader says."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.depth, self.open, self.nodes = 0, False, list[list[object]]()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = (dict(attrs).get("class") or "").split()
        if tag == "ul" and (self.depth or "tree" in names):
            self.depth += 1
        if tag == "span" and "node" in names:
            self.nodes.append([self.depth, ""])
            self.open = True
        if tag == "small":
            self.open = False

    def handle_endtag(self, tag: str) -> None:
        if tag == "ul" and self.depth:
            self.depth -= 1
        if tag == "span":
            self.open = False

    def handle_data(self, data: str) -> None:
        if self.open:
            self.nodes[-1][1] = f"{self.nodes[-1][1]}{data}".strip()


def outline(browser: Browser) -> list[list[object]]:
    return Outline(browser.get(f"{ISSUER}/devices").html).nodes


def test_families_are_listed_under_their_device_and_end_with_it(world: World) -> None:
    """Root, device, family: three nested lists; after the sign-out button the refresh token is refused; after
    removal, all are.
    """
    _, desktop = world.enrolled()
    app, other = world.phone_app(), world.app()
    device = world.device(desktop)
    tokens = device.login(app.client_id, passphrase=PASSPHRASE, scope="openid offline_access")
    world.tokens(other, desktop)
    assert outline(desktop) == [
        [1, "Password and authenticator app"], [2, "Alex's phone"], [3, "Field app"], [2, "Travel desk"],
    ]  # fmt: skip
    page = desktop.get(f"{ISSUER}/devices")
    assert "Works on this device only" in page.html
    family = Credential.objects.get(kind="token_family", parent__kind="device_key")
    page = desktop.submit(page, page.form_to(f"/devices/apps/{family.id}/end"))
    assert "Field app was signed out" in page.words()
    assert [2, "Alex's phone"] in outline(desktop)
    assert not [node for node in outline(desktop) if node[1] == "Field app"]
    with pytest.raises(ProtocolError) as refused:
        device.refresh(app.client_id, str(tokens.refresh_token))
    assert refused.value.error == "invalid_grant"
    again = device.login(app.client_id, passphrase=PASSPHRASE, scope="openid offline_access")
    page = desktop.get(f"{ISSUER}/devices")
    row = Credential.objects.get(kind="device_key")
    page = desktop.get(f"{ISSUER}/devices/{row.id}/remove")
    desktop.submit(page, page.form_to("/remove"))
    assert [node[1] for node in outline(desktop)] == ["Password and authenticator app", "Travel desk"]
    with pytest.raises(ProtocolError):
        device.refresh(app.client_id, str(again.refresh_token))


def test_other_persons_credentials_cannot_be_ended(world: World) -> None:
    """C61: 404 for another person's family and for an unknown credential; a login page without a session."""
    _, desktop = world.enrolled()
    _, stranger = world.enrolled("bo@example.org")
    world.tokens(world.app(), desktop)
    family, root = Credential.objects.get(kind="token_family"), Credential.objects.filter(kind="password_totp").first()
    assert root is not None
    for browser, what, status in ((stranger, family.id, 404), (desktop, root.id, 404), (desktop, family.id, 302)):
        token = browser.get(f"{ISSUER}/devices").forms()[0].fields["csrfmiddlewaretoken"]
        headers = {"Referer": f"{ISSUER}/devices", "Origin": ISSUER}
        answer = browser._http.post(
            f"{ISSUER}/devices/apps/{what}/end", data={"csrfmiddlewaretoken": token}, headers=headers
        )
        assert answer.status_code == status
        assert browser._http.get(f"{ISSUER}/devices/apps/{what}/end").status_code == 405
    family.refresh_from_db()
    assert family.state == "revoked"
    assert outline(Browser(http())) == []


def test_family_of_an_ended_session_is_not_listed(world: World) -> None:
    """Ruling 17: the family ended with its session."""
    person, desktop = world.enrolled()
    world.tokens(world.app(), desktop)
    other = world.signed_in(person)
    assert len(outline(other)) == 2
    page = desktop.get(f"{ISSUER}/devices")
    session = next(form for form in page.forms() if "/sessions/" in form.action and form.action.endswith("/end"))
    assert session
    other.submit(other.get(f"{ISSUER}/devices"), other.get(f"{ISSUER}/devices").form_to("/sessions/end-others"))
    assert len(outline(other)) == 1


def test_device_of_a_lost_root_is_still_listed(world: World) -> None:
    """Trap 1: the root has ended, the device lives, and the tree shows both."""
    from derived import clock
    from derived.changes import revoke
    from derived.errors import Reason
    from derived.ledger.locking import under_lock

    _, desktop = world.enrolled()
    app, device = world.phone_app(), world.device(desktop)
    device.login(app.client_id, passphrase=PASSPHRASE)
    from idp.enrol.devices.tree import tree
    from idp.models import LoginSession

    root = Credential.objects.get(kind="password_totp")
    under_lock(
        root.account_id,
        lambda account: revoke.credential(
            root, account=account, because=Reason.REPORTED_BY_PERSON, now=clock.now(), actor="t"
        ),
    )
    found = tree(LoginSession.objects.select_related("account").latest("created_at"), now=clock.now())
    assert [(one["state_label"], [child["name"] for child in one["grown"]]) for one in found] == [
        ("ended; what depends on it still works", ["Alex's phone"])
    ]


def test_groups_decide_what_is_issued(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rulebook's groups are those that the sources push."""
    from derived import clock
    from derived.rules.kinds import Kind
    from derived.rules.rulebook import KindRules, Rulebook
    from idp.policies.issuance import groups_of
    from scim.models import Group, Membership, Person

    _, desktop = world.enrolled()
    person = Person.objects.get(login_name="alex@example.org")
    monkeypatch.setattr(
        "idp.policies.issuance.rules",
        lambda: Rulebook(terms={Kind.DEVICE_KEY: KindRules(groups=frozenset({"Field staff"}))}),
    )
    with pytest.raises(AssertionError, match="does not issue this"):
        world.device(desktop)
    record = person.records.get()
    group = Group.objects.create(
        source=record.source,
        display_name="Field staff",
        display_name_fold="field staff",
        created_at=clock.now(),
        updated_at=clock.now(),
    )
    Membership.objects.create(group=group, record=record, added_at=clock.now())
    assert "Field staff" in groups_of(person)
    world.device(desktop)
    Group.objects.filter(id=group.id).update(deleted_at=clock.now())
    assert groups_of(person) == frozenset()


@pytest.mark.database
def test_renaming_a_device_is_an_event(world: World) -> None:
    """RE-1: what changes the ledger is an Event, and the name is personal, so it stands beside the chain."""
    _, desktop = world.enrolled()
    world.device(desktop)
    page = desktop.get(f"{ISSUER}/devices")
    desktop.submit(page, page.form_to("/rename"), values={"name": "Work phone"})
    row = Credential.objects.get(kind="device_key")
    assert row.name == "Work phone"
    event = Event.objects.get(kind="credential.renamed", credential=row)
    assert event.details.get().value == "Work phone"
    assert "Work phone" not in str(event.body)


def test_markup_in_a_device_name_is_printed_as_text(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """C77, C78: a person names their device, and the tree must print it."""
    from django.core.management import call_command

    person, desktop = world.enrolled()
    world.device(desktop, name="[/bold] [link=https://evil.example]phone")
    call_command("credential", "tree", person.username)
    assert "[link=https://evil.example]phone" in capsys.readouterr().out
