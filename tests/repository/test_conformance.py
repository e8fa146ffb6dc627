"""docs/conformance.md names the test of each module of the conformance suite, and each of these tests is there."""

from __future__ import annotations

import re
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]
_REPLAYS = [_ROOT / "tests" / "conformance" / f"test_suite_{plan}.py" for plan in ("openid", "fapi")]


def test_page_and_replay_name_the_same_tests() -> None:
    """Each test of the replay stands in the page, and the page names no other."""
    named = set(re.findall(r"`(test_\w+)`", (_ROOT / "docs" / "conformance.md").read_text()))
    defined = {name for path in _REPLAYS for name in re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE)}
    assert named == defined, (named - defined, defined - named)
