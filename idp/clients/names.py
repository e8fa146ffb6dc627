"""The display of a client's name: without bidirectional controls, and with a warning for lookalikes (C77).

Pure: names in, names out.
"""

from __future__ import annotations

import unicodedata

_MOST = 80
_HIDDEN = frozenset(
    {"Cc", "Cf", "Co", "Cn", "Cs", "Zl", "Zp"}
)  # controls, bidi and zero-width characters, and unassigned ones
_SCRIPTS = (
    "LATIN",
    "CYRILLIC",
    "GREEK",
    "ARMENIAN",
    "CHEROKEE",
    "COPTIC",
    "FULLWIDTH",
    "MATHEMATICAL",
)  # scripts with lookalikes


def display_name(name: str) -> str:
    """A name for a page: NFC, one line, no hidden signs, 80 characters at most."""
    clean = "".join(one for one in unicodedata.normalize("NFC", name) if unicodedata.category(one) not in _HIDDEN)
    return " ".join(clean.split())[:_MOST] or "An application without a name"


def looks_like_another(name: str) -> bool:
    """True if a name mixes scripts with lookalike letters, or uses lookalikes of plain letters."""
    found = set()
    for one in display_name(name):
        if one.isalpha():
            words = unicodedata.name(one, "").split()
            found |= {script for script in _SCRIPTS if script in words[:2]}
    return len(found) > 1 or bool(found & {"FULLWIDTH", "MATHEMATICAL"})
