"""A pytest plugin: the lines of the product that send SQL, so that none of them is tried on SQLite alone.

RAMET_TEST_DURATIONS: a folder; each process writes `sites-PID.tsv` there, lines `database<TAB>file:line<TAB>test`:
each line of
`derived`, `scim` or `idp` that sent a statement during a test, and the first test that made it do so. `tests/run`
compares
the two databases at its end. Tests that are marked `slow` do not count: what a random request reaches differs from
run to run.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.db.backends.utils import CursorWrapper

from tests.environment import KIND

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_FOLDER = os.environ.get("RAMET_TEST_DURATIONS")
_EACH = bool(os.environ.get("RAMET_TEST_SITES_EACH"))
_PROJECT = Path(__file__).resolve().parents[2]
_PRODUCT = tuple(f"{_PROJECT / name}{os.sep}" for name in ("derived", "scim", "idp"))
_THROUGH = str(_PROJECT / "derived" / "ledger" / "prepared_sql.py")  # the line that asked it is the site
_is_site: dict[str, bool] = {}
_seen: dict[tuple[str, int], str] = {}
_running = ""


def _site() -> tuple[str, int] | None:
    """The innermost line of the product on the stack."""
    frame = sys._getframe(2)
    while frame is not None:
        name = frame.f_code.co_filename
        found = _is_site.get(name)
        if found is None:
            found = _is_site[name] = name.startswith(_PRODUCT) and name != _THROUGH and "/migrations/" not in name
        if found:
            return name, frame.f_lineno
        frame = frame.f_back
    return None


def _noted(original: Callable[..., Any]) -> Callable[..., Any]:
    def run(self: CursorWrapper, *arguments: Any, **more: Any) -> Any:
        site = _site() if _running else None
        if site is not None and site not in _seen:
            _seen[site] = _running
        return original(self, *arguments, **more)

    return run


if _FOLDER:
    CursorWrapper.execute = _noted(CursorWrapper.execute)  # type: ignore[method-assign]
    CursorWrapper.executemany = _noted(CursorWrapper.executemany)  # type: ignore[method-assign]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Say whose statements they are."""
    global _running  # noqa: PLW0603
    _running = "" if item.get_closest_marker("slow") else item.nodeid
    try:
        return (yield)
    finally:
        _running = ""
        if _EACH:
            _write()
            _seen.clear()


def _write() -> None:
    if _FOLDER and _seen:
        with (Path(_FOLDER) / f"sites-{os.getpid()}.tsv").open("a") as file:
            for (name, line), test in sorted(_seen.items()):
                file.write(f"{KIND}\t{Path(name).relative_to(_PROJECT)}:{line}\t{test}\n")


def pytest_sessionfinish() -> None:
    """Write what was seen."""
    _write()
