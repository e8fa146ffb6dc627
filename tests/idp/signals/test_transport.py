"""Mail goes to the address that a source gave, or to none: international addresses, over a real mail server."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pytest
from aiosmtpd.controller import Controller
from django.core.management import CommandError, call_command
from django.test import override_settings

from demo.server import free_port
from derived import clock
from derived.models import OutboxRow
from idp.signals import worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.fixtures.world import World

MANAGER = "mona@example.org"
UTF8, NONE = "SMTPUTF8", ""


class Recorder:
    """A mail server that takes everything, and keeps recipients with their message."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, bytes]] = []

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        self.taken += [(one, envelope.original_content) for one in envelope.rcpt_tos]
        return "250 OK"

    def recipients(self) -> list[str]:
        """Everybody who got a mail."""
        return [one for one, _ in self.taken]


@pytest.fixture
def served(world: World) -> Iterator[Callable[[str], Recorder]]:
    """A mail server with or without SMTPUTF8, and an identity manager."""
    world.enrolled(MANAGER)
    call_command("person", "appoint", MANAGER, stdout=io.StringIO())
    OutboxRow.objects.all().delete()
    stops: list[Callable[[], None]] = []

    def start(extension: str) -> Recorder:
        port = free_port()
        box = Recorder()
        server = Controller(box, hostname="127.0.0.1", port=port, enable_SMTPUTF8=extension == UTF8)
        server.start()
        changed = override_settings(
            EMAIL_BACKEND="django.core.mail.backends.smtp.EmailBackend",
            EMAIL_HOST="127.0.0.1",
            EMAIL_PORT=port,
            EMAIL_USE_TLS=False,
        )
        changed.enable()
        stops.extend([server.stop, changed.disable])
        return box

    yield start
    for stop in stops:
        stop()


def _push(world: World, address: str) -> None:
    world.push("joerg@example.org", emails=[{"value": address, "type": "work", "primary": True}])
    while worker.step(now=clock.now()):
        pass


def test_an_international_address_over_smtputf8(world: World, served: Callable[[str], Recorder]) -> None:
    """RFC 6531: the envelope and the header hold the address as it is; `=?utf-8?…?=@` is another mailbox."""
    box = served(UTF8)
    _push(world, "jörg@example.org")
    assert box.recipients() == ["jörg@example.org"]
    text = box.taken[0][1].decode()
    assert "To: jörg@example.org" in text
    assert "/invitation/" in text.replace("=\r\n", "")


def test_a_server_without_smtputf8_gets_nothing_and_managers_are_told(
    world: World, served: Callable[[str], Recorder]
) -> None:
    """It is not delivered, not tried again, and a manager hears of it."""
    box = served(NONE)
    _push(world, "jörg@example.org")
    assert box.recipients() == [MANAGER, f"home.{MANAGER}"]
    assert b"could not be delivered" in box.taken[0][1] or b"invitation" in box.taken[0][1]
    [row] = OutboxRow.objects.filter(kind="invite")
    assert row.parked_at is not None
    assert "SMTPUTF8" in row.last_error
    with pytest.raises(CommandError, match="SMTPUTF8"):
        call_command("mail", "test", "jörg@example.org")


@pytest.mark.parametrize(
    ("address", "sent_to"),
    [
        ("ada@bücher.example", "ada@xn--bcher-kva.example"),
        ("ada@straße.example", "ada@xn--strae-oqa.example"),
        ("ada@BÜCHER.example", "ada@xn--bcher-kva.example"),
    ],
)
def test_idn_domains_by_idna_2008(world: World, served: Callable[[str], Recorder], address: str, sent_to: str) -> None:
    """The domain of its holder, also where IDNA 2003 made another name of it; no SMTPUTF8 is needed for it."""
    box = served(NONE)
    _push(world, address)
    assert box.recipients() == [sent_to]


def test_an_address_that_is_none(world: World, served: Callable[[str], Recorder]) -> None:
    """Nobody else gets the invitation."""
    box = served(UTF8)
    _push(world, "jörg, eve@example.org")
    assert box.recipients() == [MANAGER, f"home.{MANAGER}"]
