"""A Pki whose responder really answers on loopback, and the folder that an operator would lay."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from demo.pki import Pki, Responder, serving
from idp.certificates import configuration

if TYPE_CHECKING:
    from collections.abc import Iterator

# The published ICAM cards are not part of this project; where they are absent there is nothing to run, and nothing skipped.
collect_ignore = (
    [] if (Path(__file__).resolve().parents[3] / "shared" / "vectors" / "icam").is_dir() else ["test_icam.py"]
)

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


class Bench:
    """A Pki, its responder, and a time of its own."""

    def __init__(self, pki: Pki, responder: Responder, folder: Path) -> None:
        self.pki, self.responder, self.folder = pki, responder, folder
        self.now = NOW

    def lay(self, *, intermediates: bool = True, policy: str = "") -> None:
        """Lay the folder anew."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.pki.write(self.folder, intermediates=intermediates, policy=policy)

    def later(self, **span: float) -> datetime:
        """Let time pass, for the house and for the responder."""
        self.now += timedelta(**span)
        return self.now

    def asked(self) -> list[str]:
        """What was asked since the last look."""
        found = sorted(self.responder.asked)
        self.responder.asked.clear()
        return found


@pytest.fixture
def bench(db: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """A Pki with a live responder, laid into a folder of this test."""
    holder: list[Bench] = []

    def clock() -> datetime:
        return holder[0].now if holder else NOW

    monkeypatch.setattr(configuration, "folder", lambda: tmp_path / "pki")
    with serving(now=NOW, clock=clock) as (pki, responder):
        holder.append(Bench(pki, responder, tmp_path / "pki"))
        holder[0].lay()
        yield holder[0]
