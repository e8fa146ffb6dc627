"""Where no secret may ever be: logs, error pages, and a copy of the database (E2, E19, A14, I10, R16)."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest

from tests.fixtures.live_server import Live
from tests.secrecy.journey import KEK, Journey, forms, travel

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.database, pytest.mark.slow]


@pytest.fixture(scope="module")
def journey() -> Iterator[Journey]:
    """A live Ramet that logs everything, and a journey through it that ended badly."""
    live = Live(workers=1, extra={"RAMET_LOG_LEVEL": "DEBUG", "RAMET_KEK": base64.b64encode(KEK).decode()})
    try:
        yield travel(live)
    finally:
        live.stop()


def hits(journey: Journey, where: str) -> list[str]:
    """The names of the secrets that stand in a text."""
    return [name for name, secret in journey.known.items() if any(form and form in where for form in forms(secret))]


def test_every_kind_of_secret_was_seen(journey: Journey) -> None:
    """The search would find something: every kind of secret was met, and what is public is really there to be seen."""
    kinds = {
        "kek",
        "scim token",
        "feed token",
        "scim password",
        "invitation",
        "password",
        "totp secret",
        "totp seed",
        "recovery code 9",
        "client secret",
        "code",
        "access token",
        "refresh token",
        "session",
        "binding code",
        "short binding code",
        "passphrase",
        "device key",
        "undo link",
        "phone's refresh token",
        "signing key 0",
    }
    assert kinds <= journey.known.keys()
    assert all(len(secret) >= 8 for secret in journey.known.values())
    assert "canary@example.org" in "\n".join(journey.dumps)
    assert len(journey.errors) >= 40
    assert hits(journey, f"…{journey.known['password']}…") == ["password"]


def test_no_log_contains_a_secret(journey: Journey) -> None:
    """With DEBUG on, and errors of every kind in it."""
    logs = journey.live.logs()
    assert "Internal Server Error" in logs["serve"]
    assert "the database did not answer" in logs["serve"]
    assert "was not delivered" in logs["worker"], logs["worker"]
    assert {name: found for name, text in logs.items() if (found := hits(journey, text))} == {}


def test_no_error_contains_a_secret(journey: Journey) -> None:
    """Not even the caller's own: what was sent is not repeated."""
    assert [(found, body[:300]) for body in journey.errors if (found := hits(journey, body))] == []


def test_no_table_contains_a_secret(journey: Journey) -> None:
    """Every value of every table, browsers' stores opened: hashes of what is random, argon2 of what is chosen, the
    rest wrapped.
    """
    assert hits(journey, "\n".join(journey.dumps)) == []


def test_no_server_file_contains_a_secret(journey: Journey) -> None:
    """The raw database, with its journal and what was deleted from it; mail is left out, because links are what it
    is for.
    """
    files = [
        path
        for path in journey.live.var.rglob("*")
        if path.is_file() and "mail" not in path.parts and "sent" not in path.parts
    ]
    found = {path.name: hits(journey, path.read_bytes().decode("latin-1")) for path in files}
    assert {name: names for name, names in found.items() if names} == {}
