"""Names of devices, as people type them."""

from __future__ import annotations

import unicodedata

_MOST_NAME = 60


def clean_name(typed: str) -> str:
    """A device's name as it is shown: NFC, one line, nothing invisible or that turns the text round (C76, C77)."""
    kept = [c for c in unicodedata.normalize("NFC", typed) if unicodedata.category(c)[0] not in "CZ" or c == " "]
    return " ".join("".join(kept).split())[:_MOST_NAME] or "Unnamed device"
