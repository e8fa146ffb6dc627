"""The certificate for the local network."""

from __future__ import annotations

import ssl
import stat
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import httpx
import pytest

from demo.server import free_port
from demo.tls import certificate_for
from demo.web import serving

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from wsgiref.types import StartResponse, WSGIEnvironment


def _hello(_environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]


def test_certificate_verifies_only_with_its_authority(tmp_path: Path) -> None:
    """The certificate covers address and localhost, and a client that does not trust its authority refuses it."""
    made = certificate_for("127.0.0.1", folder=tmp_path, now=datetime.now(UTC))
    trust = ssl.create_default_context(cafile=made.authority)
    port = free_port()
    with serving(_hello, host="localhost", port=port, certificate=(made.chain, made.key)):
        for host in ("127.0.0.1", "localhost"):
            assert httpx.get(f"https://{host}:{port}/", verify=trust).text == "hello"
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"https://localhost:{port}/")


def test_valid_certificate_is_reused(tmp_path: Path) -> None:
    """Same address, enough time left: the tablet need not trust a new one. Otherwise a new one is made."""
    now = datetime.now(UTC)
    first = certificate_for("192.0.2.7", folder=tmp_path, now=now).chain.read_bytes()
    assert certificate_for("192.0.2.7", folder=tmp_path, now=now).chain.read_bytes() == first
    other = certificate_for("192.0.2.8", folder=tmp_path, now=now).chain.read_bytes()
    assert other != first
    assert certificate_for("192.0.2.8", folder=tmp_path, now=now + timedelta(days=90)).chain.read_bytes() != other


def test_only_the_server_key_is_kept_and_is_private(tmp_path: Path) -> None:
    """One private key is on disk, with mode 0600; that of the authority is not stored."""
    made = certificate_for("127.0.0.1", folder=tmp_path, now=datetime.now(UTC))
    assert stat.S_IMODE(made.key.stat().st_mode) == 0o600
    holding = [path.name for path in tmp_path.iterdir() if b"PRIVATE KEY" in path.read_bytes()]
    assert holding == [made.key.name]
