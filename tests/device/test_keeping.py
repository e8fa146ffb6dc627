"""What the device writes to disk."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest

from device import keeping
from device.errors import NotEnrolled
from device.keeping import Enrolment
from device.key import DeviceKey

if TYPE_CHECKING:
    from pathlib import Path


def enrolment() -> Enrolment:
    """A bound device."""
    return Enrolment(
        key=DeviceKey.generate(),
        issuer="https://login.example.org",
        device_name="A phone",
        credential_id="c-1",
        clients=("app",),
    )


def test_saved_enrolment_is_loaded(tmp_path: Path) -> None:
    """Key, issuer, credential and clients survive the file."""
    kept = enrolment()
    keeping.save(kept, tmp_path / "new" / "device.json")
    found = keeping.load(tmp_path / "new" / "device.json")
    assert found.public() == kept.public()
    assert found.key.private_jwk() == kept.key.private_jwk()


def test_key_file_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    """The file has mode 0600, also when it replaces one that had not."""
    path = tmp_path / "device.json"
    path.write_text("{}")
    path.chmod(0o644)
    keeping.save(enrolment(), path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [found.name for found in tmp_path.iterdir()] == ["device.json"]


def test_public_form_holds_no_secret() -> None:
    """`public` and repr may be shown."""
    kept = enrolment()
    secret = kept.key.private_jwk()["d"]
    assert secret not in f"{kept.public()} {kept!r}"


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"key": {"kty": "oct", "k": "AA"}}', '{"key": 1}'])
def test_file_of_another_kind_is_refused(tmp_path: Path, content: str) -> None:
    """Any other file is refused with a message."""
    path = tmp_path / "device.json"
    path.write_text(content)
    with pytest.raises(NotEnrolled):
        keeping.load(path)


def test_missing_file_means_not_enrolled(tmp_path: Path) -> None:
    """A new device holds nothing."""
    with pytest.raises(NotEnrolled, match="enrol first"):
        keeping.load(tmp_path / "device.json")
