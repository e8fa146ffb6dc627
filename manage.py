#!/usr/bin/env python3
"""Ramet's command line: `manage.py help` lists the verbs, `manage.py VERB --help` teaches each; `ramet` is the same."""

import gc
import importlib
import os
import sys
import tomllib
from pathlib import Path

_HERE = Path(__file__).resolve().parent
_OWN_PYTHON = _HERE / ".venv" / "bin" / "python"


def _use_own_python() -> None:
    """Run again by the Python of `.venv`, which `make setup` fills, if this is the system's."""
    if sys.prefix == sys.base_prefix and _OWN_PYTHON.exists():
        os.execv(_OWN_PYTHON, [str(_OWN_PYTHON), *sys.argv])  # noqa: S606 - the same program, without a shell


def _version() -> str:
    return str(tomllib.loads((_HERE / "pyproject.toml").read_text())["project"]["version"])


if __name__ == "__main__":
    if sys.argv[1:] in (["--version"], ["version"]):
        sys.stdout.write(f"ramet {_version()}\n")
        sys.exit()
    _use_own_python()
    # What is imported lives as long as the process; the default of 700 searches it again and again while it starts.
    gc.set_threshold(50_000, 20, 20)
    os.umask(0o077)  # what Ramet writes is its own: keys, mail, the database; published files set their mode themselves
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "idp.settings")
    try:
        command_line = importlib.import_module("idp.command_line")
    except ModuleNotFoundError as error:
        sys.exit(f"ramet: {error.name} is not installed for {sys.executable}. Run: make setup")
    command_line.run(sys.argv)
