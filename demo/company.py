"""The demo data of `make run`: a source, applications and people, made once and used again on the next run.

`demo.json`, readable by its owner only, stores what a command prints only once (tokens, secrets, seeds). Valid entries
are used again; missing or invalid ones are issued anew.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import httpx

from demo.browser import Browser, UnexpectedPage
from demo.hr import ENTERPRISE, HumanResources, user
from demo.person import Person
from demo.relying_party import BACKCHANNEL, CALLBACK
from demo.server import CommandFailed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from demo.mailbox import Mailbox
    from demo.server import Ramet

SOURCE = "demo"
_SOURCE_TERMS = ("--preset", "hr", "--precedence", "10", "--vouches-ial", "2")
DOMAIN = "example.org"
STAFF = (
    ("sam.okafor", "Sam", "Okafor", "Field service"),
    ("alex.morgan", "Alex", "Morgan", "Field service"),
    ("noor.haddad", "Noor", "Haddad", "Identity team"),
    ("kim.larsen", "Kim", "Larsen", "Front desk"),
    ("robin.weiss", "Robin", "Weiss", "Audit"),
)
SUPERVISORS = {"alex.morgan": "sam.okafor"}
# In this order: once there are two managers, a role takes both of them.
ROLES = (
    ("robin.weiss", "auditor"),
    ("kim.larsen", "officer"),
    ("noor.haddad", "manager"),
    ("kim.larsen", "manager"),
)
_RULES = """# Of the demo: a derived passkey takes an approval; the supervisor is asked before the manager.
[derived_passkey.generic]
approval = "one"
approvers = ["supervisor", "manager"]
"""
WAITING = (("alex.morgan", "Route plans on the tablet"), ("sam.okafor", "Shift plans on the tablet"))


@dataclass(frozen=True, kw_only=True)
class Registration:
    """The arguments of `client add` for one application; `options`: further flags."""

    name: str
    redirect_uris: tuple[str, ...]
    options: tuple[str, ...] = ()


def registrations(app_url: str, *, app_port: int) -> list[Registration]:
    """The demo relying party, a browser application without a server, and the phone's application.

    app_url: the public URL of the demo relying party; its port on loopback is registered too, for test programs.
    """
    local, literal = f"http://localhost:{app_port}", f"http://127.0.0.1:{app_port}"
    callbacks = dict.fromkeys((app_url + CALLBACK, local + CALLBACK, literal + CALLBACK, f"{local}/redirect_uri"))
    leave = [option for url in dict.fromkeys((app_url, local)) for option in ("--post-logout-redirect-uri", url + "/")]
    return [
        Registration(
            name=f"Demo app at {app_url.split('//')[1]}",
            redirect_uris=tuple(callbacks),
            options=("--backchannel-logout-uri", app_url + BACKCHANNEL, *leave),
        ),
        Registration(
            name=f"Demo browser app at {app_url.split('//')[1]}",
            redirect_uris=(f"{local}/browser-app",),
            options=("--public", "--browser"),
        ),
        Registration(
            name="Field app",
            redirect_uris=("http://127.0.0.1/callback", "org.example.field:/callback"),
            options=("--public", "--native", "--device"),
        ),
    ]


class Company:
    """Make the demo data, or find it.

    known: the content of `demo.json`, or an empty dict.
    say: prints a line at the terminal.
    """

    def __init__(
        self, ramet: Ramet, http: httpx.Client, *, mailbox: Mailbox, known: dict[str, Any], say: Callable[[str], None]
    ) -> None:
        self._ramet = ramet
        self._http = http
        self._mailbox = mailbox
        self._known = known
        self._say = say

    def assemble(self, wanted: list[Registration]) -> dict[str, Any]:
        """The content of `demo.json`.

        Raises: CommandFailed, UnexpectedPage, httpx.HTTPError.
        """
        scim = self._source()
        hr = HumanResources(self._http, base=scim["base"], token=scim["token"])
        clients = [self._client(registration) for registration in wanted]
        people = [self._person(hr, number) for number in range(len(STAFF))]
        self._organise()
        return {"issuer": self._ramet.issuer, "scim": scim, "clients": clients, "people": people}

    def _organise(self) -> None:
        """Give roles, and leave something to decide for each of them."""
        held = {(row["person"], row["role"]) for row in self._ramet.ask("role", "list")}
        missing = [one for one in ROLES if one not in held]
        if missing:
            self._say(
                "roles: Noor and Kim manage identities, Kim is at the front desk, Robin audits, Sam supervises Alex"
            )
        for name, role in missing:
            self._ramet.manage("role", "give", name, role, "--because", "The people of the demo")
        rules = self._ramet.var / "issuance.toml"
        if not rules.exists():
            rules.write_text(_RULES)
        if missing:
            for name, purpose in WAITING:
                self._say(f"{name} asks for a passkey on a tablet; it waits for a decision")
                wish = ("ask", name, "derived_passkey", "--form-factor", "tablet", "--purpose", purpose, "--as", name)
                self._ramet.manage("request", *wish)

    def _source(self) -> dict[str, str]:
        base = f"{self._ramet.issuer}/scim/v2"
        token = str(self._known.get("scim", {}).get("token", ""))
        headers = {"Authorization": f"Bearer {token}"}
        if token and self._http.get(f"{base}/Users?count=1", headers=headers).status_code == httpx.codes.OK:
            return {"base": base, "token": token}
        names = {str(source["name"]) for source in self._ramet.ask("source", "list")}
        self._say(f"identity source “{SOURCE}”")
        if SOURCE in names:
            return {"base": base, "token": str(self._ramet.ask("source", "rotate", SOURCE)["token"])}
        return {"base": base, "token": str(self._ramet.ask("source", "add", SOURCE, *_SOURCE_TERMS)["token"])}

    def _client(self, wanted: Registration) -> dict[str, Any]:
        """An application: from `demo.json`, or with a new secret, or registered now."""
        stands = self._standing(wanted)
        known = next((one for one in self._known.get("clients", []) if one["client_id"] == stands), None)
        if stands and known and self._secret_holds(known):
            return dict(known)
        self._say(f"app “{wanted.name}”")
        if not stands:
            uris = [option for uri in wanted.redirect_uris for option in ("--redirect-uri", uri)]
            made = self._ramet.ask("client", "add", wanted.name, *uris, *wanted.options)
        elif "--public" in wanted.options:
            made = {"client_id": stands}
        else:
            made = self._ramet.ask("client", "rotate", stands)
        shown = {name: made[name] for name in ("client_id", "client_secret") if made.get(name)}
        return {**shown, "redirect_uris": list(wanted.redirect_uris)}

    def _standing(self, wanted: Registration) -> str:
        """The client_id of this registration if it exists and is not disabled, or an empty text."""
        for row in self._registered:
            if row["name"] == wanted.name and not row["disabled"]:
                found = self._ramet.ask("client", "show", row["client_id"])
                if set(found["redirect_uris"]) == set(wanted.redirect_uris):
                    return str(row["client_id"])
        return ""

    @cached_property
    def _registered(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self._ramet.ask("client", "list")
        return rows

    def _secret_holds(self, client: dict[str, Any]) -> bool:
        if "client_secret" not in client:
            return True
        # Any token: a client with a valid secret gets an answer.
        endpoint = f"{self._ramet.issuer}/oidc/introspect"
        credentials = (client["client_id"], client["client_secret"])
        return self._http.post(endpoint, data={"token": "none"}, auth=credentials).status_code == httpx.codes.OK

    def _person(self, hr: HumanResources, number: int) -> dict[str, str]:
        username, given, family, department = STAFF[number]
        person = Person(username, name=f"{given} {family}", email=f"{username}@{DOMAIN}")
        known = next((found for found in self._known.get("people", []) if found["username"] == username), None)
        if known and self._still_signs_in(username):
            return dict(known)
        self._say(f"{person.name}: pushed by HR, invited by mail, enrolled")
        letters = len([mail for mail in self._mailbox.to(person.email) if mail.link("/invitation/")])
        body = user(
            username, names=(given, family), email=person.email, number=f"{2000 + number}", department=department
        )
        if (above := SUPERVISORS.get(username)) and (found := hr.find(above)):
            body[ENTERPRISE]["manager"] = {"value": found["id"]}
        self._join(hr, body)
        mail = self._mailbox.wait_for(person.email, link="/invitation/", after=letters, seconds=30)
        if mail is None:
            raise CommandFailed(f"no invitation came for {username}: {self._ramet.log_end('worker')}")
        with httpx.Client(verify=self._ramet.verify, timeout=30) as cookies:
            person.accept_invitation(Browser(cookies), mail.link("/invitation/"))
        return {"username": username, "password": person.password, "totp_secret": person.totp_secret}

    def _join(self, hr: HumanResources, body: dict[str, Any]) -> None:
        """Push a person; an existing one is ended and reactivated, so that a new invitation is sent."""
        found = hr.find(body["userName"])
        answers = (hr.set_active(found["id"], active=active) for active in (False, True)) if found else (hr.hire(body),)
        for answer in answers:
            if not answer.is_success:
                raise UnexpectedPage(f"SCIM answered {answer.status_code}: {answer.text[:300]}")

    def _still_signs_in(self, username: str) -> bool:
        try:
            tree = self._ramet.ask("credential", "tree", username)
        except CommandFailed:
            return False
        return any(credential["state"] == "active" and credential["parent"] is None for credential in tree)


def read(path: Path) -> dict[str, Any]:
    """The content of the file of the last run, or an empty dict."""
    try:
        found = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def write(path: Path, company: dict[str, Any]) -> None:
    """Write `demo.json` atomically, readable by its owner only."""
    candidate = path.with_name(f".{path.name}-{os.getpid()}")
    candidate.unlink(missing_ok=True)
    with os.fdopen(os.open(candidate, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(company, file, indent=1)
    candidate.replace(path)
