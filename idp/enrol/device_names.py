"""Names of devices, typed by people."""

from __future__ import annotations

import unicodedata

from django.utils.translation import gettext_noop

_MOST_NAME = 60


def clean_name(typed: str) -> str:
    """A device's name for display: NFC, one line, without invisible or direction-changing characters (C76, C77)."""
    kept = [c for c in unicodedata.normalize("NFC", typed) if unicodedata.category(c)[0] not in "CZ" or c == " "]
    return " ".join("".join(kept).split())[:_MOST_NAME] or gettext_noop("Unnamed device")
