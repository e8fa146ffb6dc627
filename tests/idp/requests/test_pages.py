"""The pages of requests: asking, deciding with a passkey, collecting; on behalf; who sees which; every road waits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from derived import clock
from derived.models import Credential, OutboxRow, Request
from derived.rules.kinds import POLICIES, Kind, Label, policy_of
from derived.rules.requests import Approval
from derived.rules.rulebook import ApprovalRules, KindRules, Rulebook
from idp.models import AuthenticationEvent
from scim.models import RoleName
from tests.fixtures.certificate_authority import add
from tests.fixtures.certificate_enrolment import confirm, enroll, order
from tests.fixtures.passkey_pages import grow, register, sign_in, stranger
from tests.fixtures.requesting import ALEX, MONA, OMAR, SAM, ask, decide, person, state
from tests.fixtures.roles import appoint
from tests.fixtures.scim_client import ENTERPRISE
from tests.fixtures.software_authenticator import SoftKey
from tests.fixtures.world import ISSUER

if TYPE_CHECKING:
    from demo.browser import Browser, Page
    from tests.fixtures.world import World

pytestmark = pytest.mark.database

ONE = {Label.GENERIC.value: ApprovalRules(approval=Approval.ONE)}
RULES = Rulebook(terms={kind: KindRules(approvals=ONE) for kind in POLICIES if policy_of(kind).is_derived})


@pytest.fixture(autouse=True)
def _rules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("idp.policies.issuance.rules", lambda: RULES)


def _ask(browser: Browser, **said: str) -> Page:
    page = browser.get(f"{ISSUER}/requests/new")
    form = page.form_to("/requests/new")
    good = {"kind": "device_key", "label": "generic", "form_factor": "phone", "purpose": "Work on the road"}
    return browser.submit(page, form, values={**good, **said})


def _with_passkey(world: World, name: str) -> Browser:
    """A manager who is signed in with a passkey."""
    _, desktop = world.enrolled(name)
    key = SoftKey()
    register(desktop, key)
    browser = stranger()
    assert sign_in(browser, key).path == "/devices"
    return browser


def test_ask_approve_and_collect(world: World) -> None:
    """WF-1: a phone is refused before the approval and bound after it; the approver sees the hash that they approve."""
    _, alex = world.enrolled(ALEX)
    mona = _with_passkey(world, MONA)
    appoint(MONA, RoleName.MANAGER)
    page = _ask(alex)
    assert "Waits for a decision" not in page.words()
    assert "One approval is needed" in page.words()
    row = Request.objects.get()
    with pytest.raises(AssertionError, match="needs an approval first"):
        world.device(alex)
    assert "Alex Moss" in mona.get(f"{ISSUER}/console/requests").words()
    page = mona.get(f"{ISSUER}/console/requests/{row.id}")
    assert row.terms_hash in page.html
    assert "Work on the road" in page.html
    form = page.form_to(f"/console/requests/{row.id}")
    page = mona.submit(page, form, values={"decision": "refuse", "words": ""})
    assert (page.status, state(row)) == (400, "waiting")
    page = mona.submit(page, page.form_to(f"/console/requests/{row.id}"), values={"decision": "approve"})
    assert (page.path, state(row)) == ("/console/requests", "approved")
    assert world.mails(ALEX, "You can collect")
    assert alex.get(f"{ISSUER}/requests/{row.id}/collect").path == "/devices"
    world.device(alex)
    assert state(row) == "issued"
    assert "Collected by its holder" in alex.get(f"{ISSUER}/requests/{row.id}").words()


def test_password_alone_does_not_decide(world: World) -> None:
    """An approver signs in with something that a fake site cannot steal."""
    _, desktop = world.enrolled(MONA)
    key = SoftKey()
    register(desktop, key)
    browser = stranger()
    sign_in(browser, key)
    appoint(MONA, RoleName.MANAGER)
    for event in AuthenticationEvent.objects.all():
        AuthenticationEvent.objects.filter(id=event.id).update(phishing_resistant="pwd" not in event.amr)
    world.push(ALEX)
    row = ask(ALEX)
    assert desktop.get(f"{ISSUER}/console/requests").path == "/login"
    page = browser.get(f"{ISSUER}/console/requests/{row.id}")
    form = page.form_to(f"/console/requests/{row.id}")
    AuthenticationEvent.objects.update(phishing_resistant=False)
    page = browser.submit(page, form, values={"decision": "approve"})
    assert (page.path, state(row)) == ("/login", "waiting")


def test_ask_on_behalf(world: World) -> None:
    """WF-23: a supervisor asks for a report, who is mailed; no page of the supervisor shows a code, nor collects."""
    _, sam = world.enrolled(SAM)
    world.push(ALEX, **{ENTERPRISE: {"manager": {"value": world.ids[SAM]}}})
    page = _ask(sam, login_name=ALEX)
    row = Request.objects.get()
    assert (row.account, row.role) == (person(ALEX).account, "supervisor")
    assert page.path == f"/requests/{row.id}"
    mails = world.mails(ALEX, "asked for a credential for you")
    assert "You alone can collect it" in str(mails[-1].body)
    world.push(MONA)
    appoint(MONA, RoleName.MANAGER)
    Request.objects.filter(id=row.id).update(created_at=clock.now())
    decide(row, MONA)
    assert sam.get(f"{ISSUER}/requests/{row.id}/collect").status == 404
    assert "/collect" not in sam.get(f"{ISSUER}/requests/{row.id}").html
    assert not OutboxRow.objects.filter(receiver=f"mail:{person(SAM).account_id}", payload__has_key="code").exists()


def test_request_of_another(world: World) -> None:
    """WF-19: another person's request is a 404 for every act."""
    _, sam = world.enrolled(SAM)
    world.push(ALEX)
    row = ask(ALEX)
    for path in ("", "/collect"):
        assert sam.get(f"{ISSUER}/requests/{row.id}{path}").status == 404
    page = sam.get(f"{ISSUER}/requests")
    token = page.html.partition('name="csrfmiddlewaretoken" value="')[2].partition('"')[0]
    answer = sam._http.post(
        f"{ISSUER}/requests/{row.id}/withdraw", data={"csrfmiddlewaretoken": token}, headers={"Referer": page.url}
    )
    assert (answer.status_code, state(row)) == (404, "waiting")
    assert sam.get(f"{ISSUER}/console/requests").status == 404
    assert sam.get(f"{ISSUER}/console/requests/{row.id}").status == 404


def test_wrong_fields_are_named(world: World) -> None:
    """What was typed stays, and the field is named."""
    _, alex = world.enrolled(ALEX)
    page = _ask(alex, purpose="x", ticket="INC-7")
    assert (page.status, Request.objects.count()) == (400, 0)
    assert "#ask-purpose" in page.html
    assert "INC-7" in page.html
    assert _ask(alex, until="yesterday").status == 400
    assert _ask(alex).path.startswith("/requests/")
    assert "open request" in _ask(alex).words()


@pytest.mark.parametrize("road", ["file", "EST", "passkey"])
def test_every_road_waits(world: World, authority: object, road: str) -> None:
    """WF-1: certificates as a file and over EST, and a passkey of this browser; the device's code is above."""
    _, alex = world.enrolled(ALEX)
    match road:
        case "file":
            page = add(alex, way="file", transport="a long transport phrase")
        case "EST":
            page, code, _ = order(alex)
            assert enroll(code, ec.generate_private_key(ec.SECP256R1())).status_code == 202
            page = confirm(alex, page)
        case _:
            page = grow(alex, SoftKey())
    assert "needs an approval first" in page.words()
    assert not Credential.objects.filter(kind__in=[Kind.CERTIFICATE, Kind.DERIVED_PASSKEY]).exists()


def test_import_by_page(world: World) -> None:
    """A manager tries a file out, imports it, pauses and goes on; another one approves the list."""
    world.push(ALEX)
    mona, omar = _with_passkey(world, MONA), _with_passkey(world, OMAR)
    for name in (MONA, OMAR):
        appoint(name, RoleName.MANAGER)
    content = f"login_name,kind,form_factor,purpose\n{ALEX},device_key,phone,Work on the road\nx,y,z,w\n"
    files = {"file": ("phones.csv", content.encode(), "text/csv")}
    page = mona.get(f"{ISSUER}/console/batches")
    page = mona.submit(page, page.form_to("/console/batches"), values={"act": "try", "source": ""}, files=files)
    assert "would become requests: 1" in page.words()
    assert "Row 2: login_name" in page.html
    assert not Request.objects.exists()
    page = mona.submit(page, page.form_to("/console/batches"), values={"act": "import", "source": ""}, files=files)
    page = mona.submit(page, page.form_to(page.path), values={"act": "pause"})
    assert "paused" in page.words()
    mona.submit(page, page.form_to(page.path), values={"act": "resume"})
    world.mails()
    page = omar.get(page.url)
    assert "Approve all 1" in page.html
    page = omar.submit(page, page.form_to(page.path), values={"act": "approve"})
    assert "Approved: 1" in page.words()
    assert Request.objects.get().state == "approved"
    wrong = {"file": ("x.csv", b"x", "text/csv")}
    page = mona.get(f"{ISSUER}/console/batches")
    assert mona.submit(page, page.form_to("/console/batches"), values={"act": "try"}, files=wrong).status == 400
