"""TX-1: in a pseudo-language no page has a word of plain English, so every text that people read is translated."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING

import pytest
from django.utils.translation import trans_real

from tests.fixtures.world import ISSUER, http

if TYPE_CHECKING:
    from tests.fixtures.world import World

pytestmark = pytest.mark.django_db
_KEPT = re.compile(r"%\(\w+\)s|%%|<[^>]*>|&\w+;")
_SHOWN = re.compile(r"<(script|style|head)\b.*?</\1>|<[^>]*>", re.DOTALL)
# Names, values of the test, and terms that are the same in every language.
_NAMES = frozenset(
    {"ramet", "http", "https", "localhost", "utc", "english", "español", "français", "aal", "pem", "der", "piv", "cac",
     "alex", "moss", "example", "org", "test", "identity", "team", "dec", "december", "january", "your"}
)  # fmt: skip
_ANYBODY = ("/", "/login", "/login/help", "/login/mailed", "/login/pass", "/login/passkey", "/language", "/x")
_SIGNED_IN = ("/", "/requests", "/access", "/apps", "/redress")


class Pseudo:
    """A language whose every letter is a full-width one."""

    def gettext(self, text: str) -> str:
        parts = re.split(f"({_KEPT.pattern})", text)
        return "".join(one if _KEPT.fullmatch(one) else _wide(one) for one in parts)

    def ngettext(self, one: str, many: str, count: int) -> str:
        return self.gettext(one if count == 1 else many)

    def to_language(self) -> str:
        return "en"

    language = to_language


def _wide(text: str) -> str:
    return "".join(chr(ord(one) + 0xFEE0) if one.isascii() and one.isalpha() else one for one in text)


def _plain(page: str) -> set[str]:
    words = re.findall(r"(?<![\w/.@-])[A-Za-z]{3,}(?![\w/@-])", html.unescape(_SHOWN.sub(" ", page)))
    return {one for one in words if one.lower() not in _NAMES}


def _speak(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every language be the pseudo-language."""
    monkeypatch.setattr(trans_real, "_default", None)
    monkeypatch.setattr(trans_real, "translation", lambda _language: Pseudo())


@pytest.mark.parametrize("path", _ANYBODY)
def test_page_for_anybody_has_no_plain_english(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """TX-1: what a stranger sees."""
    _speak(monkeypatch)
    page = http().get(f"{ISSUER}{path}").text
    assert _wide("Something") in page
    assert _plain(page) == set()


def test_pages_of_a_person_have_no_plain_english(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """TX-1: My account, but for the names of stored things on My devices."""
    _person, desktop = world.enrolled()
    _speak(monkeypatch)
    found = {path: _plain(desktop.get(f"{ISSUER}{path}").html) for path in _SIGNED_IN}
    assert {path: words for path, words in found.items() if words} == {}
