"""Small gates at the edge: CSP sources, addresses that are nobody's, unreadable files, published lists (issue 12 F)."""

from __future__ import annotations

import io
import ipaddress
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

import pytest
from django.core.management import call_command
from django.http import HttpResponse

from derived import clock
from idp import pages, published, uris
from idp.wire import is_public
from scim.feed import delivery
from scim.models import FeedEvent, Receiver
from scim.protocol import tables
from tests.fixtures.scim_client import Scim
from tests.fixtures.world import http

if TYPE_CHECKING:
    from tests.fixtures.world import World


@pytest.mark.parametrize("host", ["a;script-src", "a,b", "a'b", "a b", 'a"b', "a(b", "a$b", "a:80;x"])
def test_a_host_that_would_end_a_csp_source_is_refused(host: str) -> None:
    """Nothing but letters, digits, `.`, `_`, `-` and a port is a host of a redirect URI."""
    assert uris.objection(f"https://{host}.example/cb", application_type="web")


def test_a_stored_uri_of_before_adds_no_directive() -> None:
    """The page's form stays on the page where the address is not a plain source (CSP §2.3.1)."""
    response = pages.permit_form_target(HttpResponse(), "https://a.example;script-src *.evil.example/cb")
    assert not hasattr(response, "_csp_update")
    good = pages.permit_form_target(HttpResponse(), "https://a.example:8443/cb")
    assert good._csp_update["form-action"][1] == "https://a.example:8443"  # type: ignore[attr-defined]
    assert (
        pages.permit_form_target(HttpResponse(), "org.example.app:/cb")._csp_update["form-action"][1]
        == "org.example.app:"
    )  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "address", ["fec0::1", "feff::1", "192.0.0.8", "192.0.0.10", "192.88.99.1", "::ffff:192.88.99.1"]
)
def test_an_address_that_is_nobodys_is_not_public(address: str) -> None:
    """Site-local, IETF protocol assignments, and 6to4 relay anycast are refused."""
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["1.1.1.1", "2606:4700::1111", "192.0.1.1", "192.88.98.1"])
def test_a_public_address_stays_public(address: str) -> None:
    """The neighbours of the special blocks are public."""
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "text", ["userName\nada\nbo\x00b\ncy\n", 'userName\nada\n"' + "x" * 200_000 + '"\ncy\n'], ids=["NUL", "long field"]
)
def test_a_line_that_csv_cannot_read_is_refused_alone(text: str) -> None:
    """The line is named, and the lines around it are read."""
    found = list(tables.read(text.encode(), "csv", now=clock.now()).people)
    assert found[0].body["userName"] == "ada"
    assert found[1].wrong or found[1].body.get("userName") == "bo\x00b"
    assert found[-1].body.get("userName") == "cy"


def test_published_files_are_made_once_for_a_version(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request for a list does not read and encode every list anew; a new version does, once."""
    made: list[int] = []
    monkeypatch.setattr("derived.authority.lists.files", lambda *, now: made.append(1) or {"x.crl": b"list"})
    published._files.cache_clear()
    for version in (1, 2):
        monkeypatch.setattr("derived.authority.lists.version", partial(tuple, [("x", version)]))
        assert [http().get("/pki/x.crl").content for _ in range(5)] == [b"list"] * 5
    assert made == [1, 1]
    published._files.cache_clear()


def test_a_receiver_that_falls_behind_by_bytes_reads_the_whole_anew(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waits for a receiver is bounded by bytes, not only by count."""
    call_command("feed", "add", "slow", "--full", stdout=io.StringIO())
    Receiver.objects.update(to_read=[])
    Scim(world.token).create("ada", title="x" * 250)
    FeedEvent.objects.update(at=clock.now() - timedelta(minutes=10))
    delivery.delete_delivered(now=clock.now())
    assert Receiver.objects.get().to_read == []
    monkeypatch.setattr(delivery, "MOST_WAITING_BYTES", 100)
    delivery.delete_delivered(now=clock.now())
    assert Receiver.objects.get().to_read != []
