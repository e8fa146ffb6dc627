"""The chapter of a manager's day: a supervisor asks for a new starter, a manager approves, the starter collects.

Everybody here signs in with a passkey: people who decide for others need a sign-in that cannot be phished.
"""

from __future__ import annotations

import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx

from demo.browser import Browser, UnexpectedPage
from demo.hr import ENTERPRISE, user
from demo.passkey import Passkey
from demo.person import needed

if TYPE_CHECKING:
    from demo.browser import Page
    from demo.context import Context

_RULES = """
[derived_passkey.generic]
approval = "one"
approvers = ["manager"]
"""
_SECONDS = 60


@dataclass
class Colleague:
    """A person with a passkey in a browser of their own. scim_id: as HR knows them."""

    username: str
    name: str
    issuer: str
    http: httpx.Client = field(repr=False)
    scim_id: str = ""
    key: Passkey = field(init=False, repr=False)
    browser: Browser = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.key, self.browser = Passkey(self.issuer), Browser(self.http)

    @property
    def email(self) -> str:
        """The address of their mail."""
        return f"{self.username}@example.org"

    def accept(self, link: str) -> Page:
        """Set a passkey up through an invitation, and sign in with it.

        Raises: UnexpectedPage.
        """
        page = self.browser.get(f"{link}/passkey")
        made = self.key.create(self._options(page, f"{link.removeprefix(self.issuer)}/passkey/options"))
        page = self.browser.submit(
            page, needed(page, "response", "name"), values={"response": made, "name": "My phone"}
        )
        return self._answer(page)

    def _answer(self, page: Page) -> Page:
        answer = self.key.get(self._options(page, "/login/passkey/options"))
        return self.browser.submit(page, needed(page, "response"), values={"response": answer})

    def add_passkey(self, key: Passkey) -> Page:
        """Derive a passkey in this browser."""
        page = self.browser.get(f"{self.issuer}/devices/passkey/add")
        made = key.create(self._options(page, "/devices/passkey/options"))
        return self.browser.submit(
            page, needed(page, "response", "name"), values={"response": made, "name": "My tablet"}
        )

    def _options(self, page: Page, path: str) -> dict[str, object]:
        token = needed(page, "response").fields["csrfmiddlewaretoken"]
        headers = {"Origin": self.issuer, "Referer": page.url}
        response = self.http.post(self.issuer + path, data={"csrfmiddlewaretoken": token}, headers=headers)
        if response.status_code != httpx.codes.OK:
            raise UnexpectedPage(f"{path} answered {response.status_code}: {response.text[:300]}")
        found: dict[str, object] = response.json()
        return found


def play(context: Context) -> None:
    """Ask on behalf, approve, collect; what was done is exported, and verified offline."""
    tell = context.narration
    tell.chapter("9b. A manager's day")
    with ExitStack() as open_browsers:
        sam, mona, robin = (_hired(context, open_browsers, one) for one in _STAFF)
        tell.call("operator", "manage.py role give mona.reyes manager --because …    and rules: passkeys need a yes")
        context.ramet.manage("role", "give", mona.username, "manager", "--because", "Identity team of the demo")
        (context.ramet.var / "issuance.toml").write_text(_RULES)
        refused = robin.add_passkey(Passkey(context.ramet.issuer))
        tell.check("without an approval Robin gets no passkey", refused.status == _FORBIDDEN, seen=refused.words())
        request = _asked(context, sam, robin)
        _approved(context, sam, mona, request=request)
        made = robin.add_passkey(Passkey(context.ramet.issuer))
        tell.check("now Robin, and nobody else, collects it", made.status == _OK, seen=made.words())
        _evidence(context, robin)
        (context.ramet.var / "issuance.toml").unlink()


_OK, _FORBIDDEN = 200, 403
# login name, given and family name, employee number, the supervisor's place in this list
_STAFF = (
    ("sam.okafor", ("Sam", "Okafor"), "2001", None),
    ("mona.reyes", ("Mona", "Reyes"), "2002", None),
    ("robin.weiss", ("Robin", "Weiss"), "2003", "sam.okafor"),
)


def _hired(context: Context, browsers: ExitStack, staff: tuple[str, tuple[str, str], str, str | None]) -> Colleague:
    """Push a person, with their supervisor, and let them accept the invitation with a passkey."""
    username, names, number, above = staff
    http = browsers.enter_context(httpx.Client(timeout=30))
    person = Colleague(username, " ".join(names), context.ramet.issuer, http)
    body = user(username, names=names, email=person.email, number=number, department="Field service")
    if above and (found := context.hr.find(above)):
        body[ENTERPRISE]["manager"] = {"value": found["id"]}
    response = context.hr.hire(body)
    context.narration.need(f"HR hires {person.name}", response.status_code == httpx.codes.CREATED, seen=response.text)
    person.scim_id = response.json()["id"]
    mail = context.mailbox.wait_for(person.email, link="/invitation/", after=0, seconds=30)
    context.narration.need(f"{person.name} gets an invitation", mail)
    assert mail is not None  # noqa: S101 - needed above
    page = person.accept(mail.link("/invitation/"))
    context.narration.need(f"{person.name} signs in with a passkey", page.path == "/devices", seen=page.words())
    return person


def _asked(context: Context, supervisor: Colleague, starter: Colleague) -> str:
    """The supervisor asks for the starter; the address of the request, without the site."""
    tell = context.narration
    tell.call("Sam", "asks at My requests: a passkey on a tablet, for robin.weiss")
    page = supervisor.browser.get(f"{context.ramet.issuer}/requests/new")
    said = {
        "login_name": starter.username,
        "kind": "derived_passkey",
        "form_factor": "tablet",
        "purpose": "Route plans on the road",
    }
    page = supervisor.browser.submit(page, needed(page, "login_name", "kind"), values=said)
    tell.need("the request waits for a decision", page.path.startswith("/requests/"), seen=page.words())
    told = context.mailbox.wait_for(starter.email, link="/requests", after=0, seconds=30)
    tell.check("Robin is told that somebody asked for them", told)
    return page.path


def _approved(context: Context, supervisor: Colleague, manager: Colleague, *, request: str) -> None:
    tell = context.narration
    place = f"{context.ramet.issuer}/console{request}"
    tell.check("Sam, who asked, cannot approve it", supervisor.browser.get(place).form_with("terms") is None)
    page = manager.browser.get(place)
    form = page.form_with("terms")
    tell.need("Mona sees exactly what she approves", form and "Route plans on the road" in page.html, seen=page.words())
    assert form is not None  # noqa: S101 - needed above
    tell.call("Mona", "approves at the console")
    page = manager.browser.submit(page, form, values={"decision": "approve", "words": "As agreed with Sam"})
    tell.check("it is approved", page.status == _OK, seen=page.words())


def _evidence(context: Context, starter: Colleague) -> None:
    """The auditor's files of the starter, verified by their own program without Ramet."""
    tell, folder = context.narration, context.ramet.var / "evidence"
    tell.call("operator", f"manage.py audit checkpoint    and    manage.py evidence export --person {starter.username}")
    context.ramet.manage("audit", "checkpoint")
    made = context.ramet.ask("evidence", "export", str(folder), "--person", starter.username)
    _, _, pinned = str(made["verify"]).partition("verify.py . ")
    tell.call("auditor", "python3 -I -S verify.py . --key … --checkpoint …    on a machine without Ramet")
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(folder / "verify.py"), str(folder), *pinned.split()],
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    tell.check("the evidence is whole and genuine", done.returncode == 0, seen=(done.stdout + done.stderr)[-300:])
