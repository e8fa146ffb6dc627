"""An authority for each test, with files of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from idp.signals import files
from tests.x509 import office

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def authority(db: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setattr(files, "folder", lambda: tmp_path / "published" / "pki")
    return office.begin(tmp_path)
