"""The whole journey, as `make demo` plays it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from demo.server import PROJECT


@pytest.mark.slow
def test_demo_journey_succeeds() -> None:
    """`python -m demo.journey` ends with 0: every check of the narration held."""
    done = subprocess.run(
        [sys.executable, "-m", "demo.journey"], cwd=PROJECT, capture_output=True, text=True, timeout=180, check=False
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
