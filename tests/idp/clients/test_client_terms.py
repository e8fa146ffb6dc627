"""What an operator may say about a client, now and later (C33, C36, C54, P45, P46)."""

from __future__ import annotations

import json
import re
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from rich.console import Console

from idp import clients
from idp.management import terms
from idp.management.presets import PRESETS
from idp.management.verbs import table
from idp.models import ClientPolicy
from tests.fixtures.signing_client import jwks, new_key
from tests.fixtures.world import ISSUER

APPS_PAGE = Path(__file__).resolve().parents[3] / "docs" / "apps.md"
pytestmark = pytest.mark.django_db
URI = ["--redirect-uri", "https://app.example/cb"]


def run(*words: str) -> Any:
    said = StringIO()
    call_command("client", *words, "--json", stdout=said)
    return json.loads(said.getvalue())


def added(*words: str) -> str:
    return str(run("add", "Travel desk", *URI, *words)["client_id"])


def test_every_option_can_be_set_and_shown(tmp_path: Path) -> None:
    """Each option of `add` is one of `set`, and `show` prints its value."""
    (tmp_path / "keys.json").write_text(json.dumps(jwks(new_key("PS256"))))
    words = [
        "--auth", "private_key_jwt", "--auth-alg", "PS256", "--jwks", str(tmp_path / "keys.json"), "--dpop", "--par",
        "--request-alg", "PS256",
        "--signed-requests", "--phishing-resistant", "--scope", "openid email", "--grant", "client_credentials",
        "--resource", "https://api.example",
        "--access-token", "opaque", "--access-token-life", "2m", "--refresh-life", "8h", "--userinfo-alg", "ES256",
        "--min-aal", "3", "--id-token-alg", "PS256",
        "--post-logout-redirect-uri", "https://app.example/out", "--backchannel-logout-uri", "https://app.example/bc",
        "--consent", "--dpop-nonce", "on",
    ]  # fmt: skip
    name = added(*words)
    shown = run("show", name)
    expected = {
        "authentication": "private_key_jwt", "auth_alg": "PS256", "dpop_required": True, "par_required": True,
        "request_alg": "PS256", "request_required": True,
        "phishing_resistant": True, "scopes": "openid email", "grants": ["client_credentials"],
        "resources": ["https://api.example"],
        "access_token_format": "opaque", "access_token_life": "0:02:00", "refresh_life": "8:00:00",
        "userinfo_alg": "ES256", "min_aal": 3, "id_token_alg": "PS256",
        "consent": True, "dpop_nonce": True, "excused_from": [], "version": 1,
    }  # fmt: skip
    assert {key: shown[key] for key in expected} == expected
    run(
        "set",
        name,
        "--no-dpop",
        "--access-token-life",
        "default",
        "--grant",
        "none",
        "--min-aal",
        "2",
        "--scope",
        "openid email",
    )
    later = run("show", name)
    assert (
        later["dpop_required"],
        later["access_token_life"],
        later["grants"],
        later["min_aal"],
        later["version"],
    ) == (False, None, [], 2, 1)
    assert {option for option, *_ in terms.OPTIONS} >= {
        "--par",
        "--dpop",
        "--tls-subject",
        "--jwks-uri",
        "--sector-identifier-uri",
    }


@pytest.mark.parametrize("excuse", ["--pkce-optional", "--nonce-optional"])
def test_exceptions_are_off_by_default_and_refused_for_public_clients(excuse: str) -> None:
    """Done-when 1: off by default, printed by `show`, refused for public clients, at registration and later."""
    with pytest.raises(CommandError, match="public"):
        added("--public", excuse)
    name = added(excuse)
    assert len(run("show", name)["excused_from"]) == 1
    with pytest.raises(CommandError, match="public"):
        run("set", name, "--auth", "none")
    public = added("--public")
    with pytest.raises(CommandError, match="public"):
        run("set", public, excuse)


@pytest.mark.parametrize(
    ("first", "then", "words"),
    [
        ([], ["--min-aal", "3"], "C36"), (["--public"], ["--certificate-bound"], "public"),
        ([], ["--signed-requests"], "pin"), ([], ["--auth", "private_key_jwt"], "public keys"),
        ([], ["--redirect-uri", "http://evil.example/"], "refused"), ([], ["--redirect-uri", "none"], "at least one"),
        ([], ["--min-aal", "7"], "1, 2 or 3"),
        ([], ["--access-token-life", "1h"], "access token life"),
        (["--public"], ["--grant", "client_credentials"], "proves itself"), ([], ["--scope", "admin"], "unknown scope"),
        ([], ["--tls-subject", "dns:x"], "tls_client_auth"),
        (["--pairwise"], ["--redirect-uri", "https://other.example/cb"], "another subject"),
        ([], ["--name", "\u202eevil"], "printable"), ([], ["--name", ""], "printable"),
        ([], ["--backchannel-logout-uri", "http://10.0.0.1/"], "refused"), ([], [], "Nothing"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else value,
)  # fmt: skip
def test_change_is_validated_as_the_resulting_client(first: list[str], then: list[str], words: str) -> None:
    """P45: the rules see the resulting client; and a refused change changes nothing."""
    name = added(*first)
    before = run("show", name)
    with pytest.raises(CommandError, match=words):
        run("set", name, *then)
    assert run("show", name) == before


def test_consent_version_rises_with_name_scopes_and_redirect_uris() -> None:
    """C54: name, scopes and redirect URIs; and nothing else."""
    name = added("--scope", "openid")
    for change, version in (
        (["--name", "Travel"], 2), (["--scope", "openid email"], 3), (["--redirect-uri", "https://app.example/two"], 4),
        (["--scope", "email openid"], 4),
        (["--dpop"], 4), (["--min-aal", "2"], 4),
    ):  # fmt: skip
        run("set", name, *change)
        assert run("show", name)["version"] == version, change


@pytest.mark.database
def test_secret_is_removed_with_its_method(tmp_path: Path) -> None:
    """P46: a client that authenticates with a key has no secret left; one that begins to need a secret is shown it
    once.
    """
    (tmp_path / "keys.json").write_text(json.dumps(jwks(new_key())))
    name = added()
    assert ClientPolicy.objects.get(client__client_id=name).secret_hash
    run("set", name, "--auth", "private_key_jwt", "--auth-alg", "ES256", "--jwks", str(tmp_path / "keys.json"))
    assert not ClientPolicy.objects.get(client__client_id=name).secret_hash
    with pytest.raises(CommandError, match="no secret"):
        run("rotate-secret", name)
    again = run("set", name, "--auth", "client_secret_basic", "--auth-alg", "")
    party = clients.find(name)
    assert party is not None
    assert party.check_client_secret(again["client_secret"])
    rotated = run("rotate-secret", name)["client_secret"]
    party = clients.find(name)
    assert party is not None
    assert party.check_client_secret(rotated)
    assert not party.check_client_secret(again["client_secret"])


def test_list_shows_brackets_literally() -> None:
    """What stands in a table is text: a name like `[bold red]` is shown, and the suite's variants
    (docs/conformance.md) are not swallowed.
    """
    said = StringIO()
    Console(file=said, width=200).print(table([{"plan": "some-plan[response_type=code]", "name": "[bold red]Alex[/]"}]))
    assert "some-plan[response_type=code]" in said.getvalue()
    assert "[bold red]Alex[/]" in said.getvalue()


def test_added_client_comes_with_what_an_application_sets() -> None:
    """Issuer, discovery, id, secret, and what this client requires: as a library's settings name it."""
    made = run("add", "Travel desk", "--redirect-uri", "https://app.example/cb")
    assert made["client_secret"]
    assert (made["issuer"], made["discovery"]) == (ISSUER, f"{ISSUER}/.well-known/openid-configuration")
    assert made["scope"] == "openid profile email offline_access assurance"
    assert (made["token_endpoint_auth_method"], made["id_token_signed_response_alg"]) == (
        "client_secret_basic",
        "ES256",
    )
    assert made["required"] == ["PKCE with S256", "a nonce in each request"]
    assert made["claims"] == "at userinfo"
    other = ("--redirect-uri", "https://b.example/cb", "--nonce-optional", "--pkce-optional", "--claims-in-id-token")
    made = run("add", "Wiki", *other, "--id-token-alg", "RS256", "--par")
    assert (made["required"], made["claims"]) == (["pushed authorization requests"], "in the ID token and at userinfo")
    assert run("show", made["client_id"])["claims_in_id_token"] is True


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_preset_registers_its_library_and_prints_its_settings(name: str) -> None:
    """The addresses of the library below the application's URL, what it is excused from, and each value filled in."""
    preset = PRESETS[name]
    made = run("add", "Desk", "--preset", name, "--app-url", "https://app.example/desk/")
    assert made["redirect_uris"] == [f"https://app.example/desk{preset.callback}"]
    shown = run("show", made["client_id"])
    assert shown["post_logout_redirect_uris"] == [f"https://app.example/desk{preset.after_logout}"]
    assert shown["backchannel_logout_uri"] == (preset.backchannel and f"https://app.example/desk{preset.backchannel}")
    assert {field: shown[field] for field in preset.terms if field in shown} == {
        field: value for field, value in preset.terms.items() if field in shown
    }
    for value in (made["issuer"], made["client_id"], made.get("client_secret", "")):
        assert value in made["settings"]
    assert not re.search(r"\{(issuer|client_id|client_secret|redirect_uri|url)\}", made["settings"])
    assert name in APPS_PAGE.read_text()


def test_settings_are_printed_below_each_other() -> None:
    """For people: a name and its value are one line, and the block begins on a line of its own."""
    said = StringIO()
    call_command("client", "add", "Desk", "--preset", "authjs", "--app-url", "https://app.example", stdout=said)
    lines = said.getvalue().splitlines()
    assert f"issuer: {ISSUER}" in lines
    assert lines[lines.index("settings: ") + 1] == f"ISSUER={ISSUER}"
    assert "BASE_URL=https://app.example" in lines


def test_given_options_win_over_a_preset() -> None:
    """An application at another address, with another algorithm, and a public one."""
    own = ("--redirect-uri", "https://app.example/own", "--id-token-alg", "RS256", "--no-claims-in-id-token")
    made = run("add", "Desk", "--preset", "authjs", *own)
    assert (made["redirect_uris"], made["id_token_signed_response_alg"], made["claims"]) == (
        ["https://app.example/own"],
        "RS256",
        "at userinfo",
    )
    assert "BASE_URL=https://app.example\n" in made["settings"] + "\n"
    native = run("add", "Pocket", "--preset", "authlib", "--native", "--redirect-uri", "http://127.0.0.1/cb")
    assert "client_secret" not in native


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--preset", "authjs"), "--app-url https://app.example .its callback is /auth/callback/ramet"),
        (("--app-url", "https://app.example"), "goes with --preset"),
        (("--preset", "authjs", "--app-url", "app.example"), "is not"),
        (("--preset", "authjs", "--app-url", "https://app.example/?a=1"), "is not"),
        (("--preset", "authjs", "--app-url", "http://app.example"), "https"),
    ],
)
def test_preset_without_a_usable_address_is_refused(options: tuple[str, ...], words: str) -> None:
    """The message says which option to give; nothing is registered."""
    with pytest.raises(CommandError, match=words):
        run("add", "Desk", *options)
    assert not ClientPolicy.objects.exists()
