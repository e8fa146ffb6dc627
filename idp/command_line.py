"""The entry of `manage.py` and `ramet`: a bad setting is a line that names its variable, and no traceback."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from django.core.management import execute_from_command_line

from idp.config import BadSettings

if TYPE_CHECKING:
    from collections.abc import Sequence


def run(arguments: Sequence[str]) -> None:
    """Run a command; exit with its faults."""
    try:
        execute_from_command_line(list(arguments))
    except BadSettings as error:
        sys.exit("\n".join(f"ramet: {line}" for line in str(error).splitlines()))
