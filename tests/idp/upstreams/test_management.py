"""`manage.py upstream`: what may be registered, and what is shown of it."""

from __future__ import annotations

import ast
import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

import idp
from idp.models import Upstream
from idp.upstreams import registry

SECRET = "canary-of-the-upstream"
GOOD = [
    "add",
    "up",
    "--issuer",
    "https://up.example",
    "--client-id",
    "ramet",
    "--level",
    "high=2",
    "--level",
    "a=b=2/2",
]


def run(*arguments: str) -> Any:
    said = StringIO()
    call_command("upstream", *arguments, "--json", stdout=said)
    return json.loads(said.getvalue())


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAMET_UPSTREAM_SECRET", SECRET)


@pytest.mark.database
@pytest.mark.django_db
def test_upstream_is_registered_and_its_secret_is_wrapped() -> None:
    """I10: nothing shows the secret again; the callback to register there is told."""
    assert run(*GOOD)["register_this_redirect_uri_there"] == "http://localhost:8000/login/upstream/up/callback"
    shown = run("show", "up")
    assert shown["levels"] == {"high": [2, 0], "a=b": [2, 2]}
    assert SECRET not in json.dumps(shown) + json.dumps(run("list"))
    row = Upstream.objects.get()
    assert SECRET.encode() not in bytes(row.secret)
    assert registry.secret(row) == SECRET


@pytest.mark.django_db
@pytest.mark.parametrize(
    "changed",
    [
        ["--issuer", "http://up.example"],
        ["--issuer", "https://user@up.example"],
        ["--issuer", "https://up.example/?a"],
        ["--issuer", "https://up.example/#a"],
        ["--issuer", "http://localhost:8000"],
        ["--issuer", "ftp://up.example"],
        ["--level", "high"],
        ["--level", "high=4"],
        ["--level", "high=2/2/2"],
        ["--level", "high=²"],
        ["--aal-claim", "amr"],
        ["--aal-claim", "amr[]"],
        ["--amr", "mfa=MFA!"],
        ["--host", "https://x"],
        ["--auth-method", "none"],
        ["--scope", "email"],
    ],
    ids=" ".join,
)
def test_unsafe_upstream_is_refused(changed: list[str]) -> None:
    """C10, C45: https off loopback, exact levels, never `amr` as a level."""
    with pytest.raises(CommandError):
        run(*GOOD, *changed)
    assert not Upstream.objects.exists()


@pytest.mark.django_db
def test_upstreams_never_share_an_issuer() -> None:
    """P33: (iss, sub) means one upstream."""
    run(*GOOD)
    with pytest.raises(CommandError, match="already"):
        run("add", "again", *GOOD[2:])


@pytest.mark.parametrize("name", ["login.gov", "entra", "ramet"])
def test_presets_can_be_shown(name: str) -> None:
    """An operator sees what a preset trusts before using it."""
    assert run("preset", name)["cap"] == 2


def test_authlib_client_is_imported_once() -> None:
    """The import contract stops at packages; this looks at the module."""
    users = set()
    for path in Path(str(idp.__path__[0])).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = (
                [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else [one.name for one in node.names]
                if isinstance(node, ast.Import)
                else []
            )
            if any(
                name.startswith(("authlib.oauth2.client", "authlib.integrations", "authlib.oauth2.auth"))
                for name in names
            ):
                users.add(path.parent.name)
    assert users == {"upstreams"}
