"""Trust agreements: required ones gate every grant, people read them, and their cases are answered (63C-4 §4.3)."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import time_machine
from django.core.management import CommandError, call_command
from joserfc import jwt

from derived import clock
from derived.models import Event
from idp.agreements import redress
from idp.checks.agreements import agreements_are_in_force, site_file_is_usable
from idp.enrol.devices.agreement_pages import masked
from idp.keys import keyring
from idp.models import ClientPolicy, RedressCase
from idp.policies import site
from scim.access import entitlements
from scim.models import Person, RoleName
from tests.fixtures.agreements import filled
from tests.fixtures.roles import appoint
from tests.fixtures.world import ISSUER, answer, userinfo

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from demo.browser import Browser, Page
    from tests.fixtures.world import App, World

pytestmark = pytest.mark.database
NOON = "2026-12-01T12:00:00Z"
SCOPES = "openid email offline_access"


@pytest.fixture(autouse=True)
def _no_site_file_stays() -> Iterator[None]:
    """The folder is shared by all tests of a process."""
    yield
    site.path().unlink(missing_ok=True)


def run(*words: str) -> Any:
    """A verb of `agreement`, with its JSON."""
    out = io.StringIO()
    call_command("agreement", *words, "--json", stdout=out)
    return json.loads(out.getvalue())


def require(value: str = "required") -> None:
    """Set `agreements` in site.toml."""
    site.path().write_text(f'agreements = "{value}"\n')


def agree(app: App, tmp_path: Path, **changed: str) -> dict[str, Any]:
    """Record an agreement with an app of the scopes openid, email and offline_access."""
    ClientPolicy.objects.filter(client__client_id=app.client_id).update(scopes=SCOPES)
    file = tmp_path / "agreement.toml"
    file.write_text(filled(**changed))
    made: dict[str, Any] = run("record", app.client_id, "--file", str(file))
    return made


def test_required_agreement_is_missing(world: World, tmp_path: Path) -> None:
    """AG-1: the code is refused, with the person signed in or not; nothing that was given before goes on."""
    with time_machine.travel(NOON, tick=False) as now:
        _, desktop = world.enrolled()
        app = world.app()
        tokens = world.tokens(app, desktop, scope=SCOPES)
        require()
        for browser in (desktop, world.signed_in(world.enrolled("sam@example.org")[0])):
            refused = answer(browser.get(app.url(scope=SCOPES), stop_at=app.redirect_uri))
            assert refused["error"] == "unauthorized_client"
            assert "agreement" in refused["error_description"]
        assert answer(desktop.get(app.url(prompt="none"), stop_at=app.redirect_uri))["error"] == "unauthorized_client"
        assert "agreement" in app.refresh(tokens["refresh_token"]).json()["error_description"]
        assert userinfo(tokens["access_token"]).status_code == 401
        agree(app, tmp_path)
        tokens = app.refresh(tokens["refresh_token"]).json()
        assert userinfo(tokens["access_token"]).status_code == 200
        assert "code" in answer(desktop.get(app.url(scope=SCOPES), stop_at=app.redirect_uri))
        now.shift(timedelta(days=365))
        assert run("list")[0]["why_not"].startswith("the review")


def test_agreement_that_does_not_cover_a_claim(world: World, tmp_path: Path) -> None:
    """A scope that the client got after the agreement: refused until the agreement names its claims."""
    _, desktop = world.enrolled()
    app = world.app()
    require()
    agree(app, tmp_path)
    ClientPolicy.objects.update(scopes=f"{SCOPES} phone")
    assert answer(desktop.get(app.url(), stop_at=app.redirect_uri))["error"] == "unauthorized_client"
    assert "phone_number" in run("list")[0]["why_not"]


def test_unusable_site_file_changes_nothing(world: World) -> None:
    """The settings of before stay; a process that never read any takes the strict ones."""
    _, desktop = world.enrolled()
    app = world.app()
    require("optional")
    assert "code" in answer(desktop.get(app.url(), stop_at=app.redirect_uri))
    require("perhaps")
    assert "code" in answer(desktop.get(app.url(), stop_at=app.redirect_uri))


def test_agreement_is_recorded_and_exported(world: World, tmp_path: Path) -> None:
    """Versions count on; the export is a JWS of this issuer; an end is an end."""
    app = world.app()
    assert agree(app, tmp_path)["version"] == 1
    assert agree(app, tmp_path, retention='"a year"')["version"] == 2
    assert run("show", app.client_id)["retention"] == "a year"
    read = jwt.decode(run("export", app.client_id), keyring().published(), algorithms=["ES256"])
    assert read.header["typ"] == "ramet-agreement+jwt"
    assert (read.claims["client_id"], read.claims["version"]) == (app.client_id, 2)
    assert read.claims["terms"]["retention"] == "a year"
    assert run("end", app.client_id) == "ended"
    for verb in ("show", "export", "end"):
        with pytest.raises(CommandError, match="no agreement"):
            run(verb, app.client_id)
    assert Event.objects.filter(kind="operator.changed").exists(), "in the operator's chain"


@pytest.mark.parametrize("day", ["2020-01-01", "2029-01-01"])
def test_review_is_within_a_year(world: World, tmp_path: Path, day: str) -> None:
    """No agreement is recorded that is overdue from the start, or never reviewed."""
    with pytest.raises(CommandError, match="review_on"):
        agree(world.app(), tmp_path, review_on=day)


def test_app_page_shows_purposes_and_masked_values(world: World, tmp_path: Path) -> None:
    """AG-2: what it gets, what for, the terms; also an app that never asks; no value in clear."""
    _, desktop = world.enrolled()
    app = world.app()
    agree(app, tmp_path, purpose='"to send you tickets"', retention='"30 days after a trip"')
    number = ClientPolicy.objects.get(client__client_id=app.client_id).pk
    page = desktop.get(f"{ISSUER}/apps/{number}")
    assert page.status == 200
    for shown in ("to send you tickets", "30 days after a trip", "a…@example.org", "How long it keeps it"):
        assert shown in page.html
    assert "alex@example.org" not in page.html.partition("<main")[2]
    assert desktop.get(f"{ISSUER}/apps/{10**30}").status == 404
    assert desktop.get(f"{ISSUER}/apps/999").status == 404


def test_app_that_a_person_may_not_enter_is_not_shown(world: World) -> None:
    """A page of an application that is none of theirs would tell who uses what."""
    _, desktop = world.enrolled()
    app = world.app()
    sam, _ = world.enrolled("sam@example.org")
    row = Person.objects.get(login_name="sam@example.org")
    entitlements.add_rule(app.client_id, "person", str(row.id), now=row.updated_at)
    number = ClientPolicy.objects.get(client__client_id=app.client_id).pk
    assert desktop.get(f"{ISSUER}/apps/{number}").status == 404
    assert world.signed_in(sam).get(f"{ISSUER}/apps/{number}").status == 200


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, ""), ("", ""), (True, "yes"), ("alex@example.org", "a…@example.org"), ("Al", "Al…"),
     ("Alexandra Winter", "Al…er"), ({"country": "Norway", "locality": ""}, "No…"), ("+4712345678", "+4…78")],
)  # fmt: skip
def test_values_are_masked(value: object, shown: str) -> None:
    """The ends of a value, enough for its owner to know it."""
    assert masked(value) == shown


def test_ended_answer_is_asked_again(world: World, tmp_path: Path) -> None:
    """AG-3: a remembered yes that the person ended, or that more details made void, is asked again."""
    _, desktop = world.enrolled()
    app = world.app(consent=True)
    agree(app, tmp_path)

    def allow() -> None:
        page = desktop.get(app.url(scope=SCOPES), stop_at=app.redirect_uri)
        desktop.submit(page, page.form_with("decision"), values={"decision": "allow"}, stop_at=app.redirect_uri)

    allow()
    assert "code" in answer(desktop.get(app.url(scope=SCOPES), stop_at=app.redirect_uri)), "remembered"
    desktop.submit(page := desktop.get(f"{ISSUER}/apps"), page.form_to("/withdraw"))
    allow()  # fails if it is not asked
    assert "code" in answer(desktop.get(app.url(scope=SCOPES), stop_at=app.redirect_uri)), "remembered"
    agree(app, tmp_path, purpose='"to sell it on"')
    allow()


@pytest.fixture
def managers(world: World) -> tuple[Browser, Browser]:
    """Two identity managers, signed in."""
    names = ("mona@example.org", "omar@example.org")
    desktops = [world.enrolled(name)[1] for name in names]
    for name in names:
        appoint(name, RoleName.MANAGER)
    return desktops[0], desktops[1]


def object_to(desktop: Browser, words: str, *, to: str = "") -> str:
    """Open a case; the notice or the error."""
    page = desktop.get(f"{ISSUER}/redress")
    about = next((value for value in page.html.split('value="') if value.startswith(to)), "").partition('"')[0]
    return desktop.submit(page, page.form_to("/redress"), values={"about": about if to else "", "words": words}).words()


def forge(manager: Browser, address: str, words: str) -> Page:
    """Post an answer without the form that the page does not offer."""
    page = manager.get(f"{ISSUER}/redress")
    return manager.submit(page, replace(page.form_to("/redress"), action=address), values={"answer": words})


def test_accused_manager_does_not_answer(world: World, managers: tuple[Browser, Browser]) -> None:
    """AG-4: the manager whose act a case is about does not answer it; another one does, once; both are recorded."""
    alex, desktop = world.enrolled()
    page = managers[0].get(f"{ISSUER}/console/people/{Person.objects.get(login_name=alex.username).id}")
    form = next(one for one in page.forms() if "sign-out" in one.buttons.get("act", []))
    managers[0].submit(page, form, values={"act": "sign-out", "because": "A test of the alarm"})
    desktop = world.signed_in(alex)
    assert "Case" in object_to(desktop, "I was signed out for no reason.", to="act:")
    case = RedressCase.objects.get()
    assert case.due_at - case.opened_at == timedelta(days=30)
    assert world.mails("mona@example.org", "objects")
    assert world.mails("omar@example.org", "objects")
    address = f"{ISSUER}/console/redress/{case.pk}"
    assert "Another manager answers it" in managers[0].get(address).words()
    assert forge(managers[0], address, "It was right.").status == 409
    assert RedressCase.objects.get().answered_at is None
    page = managers[1].get(address)
    assert (
        "is answered" in managers[1].submit(page, page.form_to(address), values={"answer": "It was an error."}).words()
    )
    page = desktop.get(f"{ISSUER}/redress")
    assert "It was an error." in page.html
    assert world.mails(alex.username, "is answered")
    kinds = list(Event.objects.filter(kind__startswith="redress.").order_by("id").values_list("kind", flat=True))
    assert kinds == ["redress.opened", "redress.answered"]
    assert forge(managers[1], address, "And once more.").status == 409


def test_manager_does_not_answer_their_own_case(world: World, managers: tuple[Browser, Browser]) -> None:
    """Whoever objects does not decide."""
    assert "Case" in object_to(managers[0], "My name is spelled wrong.")
    address = f"{ISSUER}/console/redress/{RedressCase.objects.get().pk}"
    assert forge(managers[0], address, "I agree with myself.").status == 409


def test_cases_have_a_bound(world: World) -> None:
    """Five open cases at most; too few words are refused, and kept in the form."""
    _, desktop = world.enrolled()
    assert "We kept what you typed" in object_to(desktop, "no")
    for _ in range(redress.MOST_OPEN):
        object_to(desktop, "Something is wrong.")
    assert "five open cases" in object_to(desktop, "Something is wrong.")
    assert RedressCase.objects.count() == redress.MOST_OPEN


def test_check_names_what_is_missing(world: World, tmp_path: Path) -> None:
    """A client without an agreement, a late answer, and a line of the file that cannot be used."""
    app = world.app()
    assert agreements_are_in_force() == [], "a trial without agreements is not warned"
    require()
    assert [one.id for one in agreements_are_in_force()] == ["ramet.W081"]
    agree(app, tmp_path)
    person, _ = world.enrolled()
    with time_machine.travel(NOON):
        redress.open_case(Person.objects.get(login_name=person.username), "Something is wrong.", now=clock.now())
    with time_machine.travel("2027-01-02T12:00:00Z"):
        assert [one.id for one in agreements_are_in_force()] == ["ramet.W082"]
    for fault in ("agreements = 1", "agreement = 'required'", "agreements ="):
        site.path().write_text(fault)
        assert [one.id for one in site_file_is_usable()] == ["ramet.E080"]
