"""An authority for each test, with files of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from derived.rules.rulebook import Rulebook
from idp.policies import issuance as rulebook
from idp.signals import files
from tests.card.desk import Desk, opened
from tests.x509 import office

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def authority(db: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setattr(files, "folder", lambda: tmp_path / "published" / "pki")
    return office.begin(tmp_path)


@pytest.fixture
def desk(db: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """A card office, cards of one home agency, and an authority that issues under the Common Policy."""
    monkeypatch.setattr(files, "folder", lambda: tmp_path / "published" / "pki")
    monkeypatch.setattr(rulebook, "rules", lambda: Rulebook(home_agencies=frozenset({str(office.AGENCY)})))
    with opened(tmp_path, monkeypatch) as found:
        office.begin(tmp_path, "--asserts-piv")
        yield found
