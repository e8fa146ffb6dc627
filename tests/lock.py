"""`make lock`: resolve the dependencies of pyproject.toml anew into two files, exact, hashed, and naming no host.

requirements-dev.lock holds everything; requirements.lock what Ramet runs on, in the same versions.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

PROJECT = Path(__file__).resolve().parent.parent
RUNTIME, DEVELOPMENT = PROJECT / "requirements.lock", PROJECT / "requirements-dev.lock"
OLDEST_PYTHON = "3.11"
UV = "uv~=0.13"


def _resolver() -> list[str]:
    """The resolver, which lives in .venv for this purpose alone."""
    found = Path(sys.executable).with_name("uv")
    if not found.exists():
        subprocess.run(
            [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", UV], check=True
        )
    return [str(found)]


def compile_into(path: Path, wanted: Sequence[str], *, constraints: Path | None = None) -> None:
    """Write one lock for every platform, from the oldest Python that we support.

    constraints: a lock whose versions must be kept.
    Raises: subprocess.CalledProcessError when there is no resolution; nothing is written then.
    """
    with tempfile.TemporaryDirectory() as folder:
        asked, made = Path(folder) / "wanted.in", Path(folder) / "made.lock"
        asked.write_text("\n".join(wanted) + "\n")
        command = [
            *_resolver(),
            "pip",
            "compile",
            str(asked),
            "--output-file",
            str(made),
            "--universal",
            "--python-version",
            OLDEST_PYTHON,
            "--generate-hashes",
            "--no-annotate",
            "--no-header",
            "--no-emit-index-url",
            "--no-emit-find-links",
            "--quiet",
        ]
        subprocess.run([*command, *(["--constraints", str(constraints)] if constraints else [])], check=True)
        path.write_text(made.read_text())


def main() -> None:
    """Both locks, and what changed in a sentence."""
    described = tomllib.loads((PROJECT / "pyproject.toml").read_text())
    runtime: list[str] = described["project"]["dependencies"]
    development: list[str] = described["dependency-groups"]["dev"]
    compile_into(DEVELOPMENT, [*runtime, *development])
    compile_into(RUNTIME, runtime, constraints=DEVELOPMENT)
    for path in (RUNTIME, DEVELOPMENT):
        pinned = sum("==" in line for line in path.read_text().splitlines())
        sys.stdout.write(f"{path.name}: {pinned} packages\n")


if __name__ == "__main__":
    main()
