"""`make messages`: collect the texts that people read into `locale/`, and compile the catalogues.

What is translated stays; a new text has an empty translation until somebody fills it in, which a test refuses.
"""

from __future__ import annotations

import io
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from babel import Locale
from babel.messages.catalog import Catalog
from babel.messages.extract import extract
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from django.utils.translation.template import templatize

from derived.rules.kinds import POLICIES

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
LANGUAGES = ("es", "fr", "zh_Hans")
# By count alone: CLDR's third form of Spanish and French is for whole millions.
_PLURALS = {"es": (2, "(n != 1)"), "fr": (2, "(n > 1)"), "zh_Hans": (1, "0")}
_KEYWORDS = {
    "gettext": None,
    "gettext_lazy": None,
    "gettext_noop": None,
    "ngettext": (1, 2),
    "ngettext_lazy": (1, 2),
    "pgettext": ((1, "c"), 2),
    "pgettext_lazy": ((1, "c"), 2),
}
_BEGAN = datetime(2026, 12, 1, tzinfo=UTC)  # fixed, so that the same texts give the same files
Message = str | tuple[str, ...]


def texts() -> Iterator[tuple[str, Message, str | None]]:
    """Every marked text: the file, the text (or its singular and plural), the context."""
    for package in ("derived", "scim", "idp"):
        for file in sorted((ROOT / package).rglob("*.py")):
            yield from _of(file, file.read_text(encoding="utf-8"))
    for policy in POLICIES.values():  # `derived.rules` knows no Django
        yield "derived/rules/kinds.py", policy.label, None
    for file in sorted((ROOT / "templates").rglob("*.*")):
        marked = templatize(file.read_text(encoding="utf-8"), origin=str(file))
        # What is outside of a text is X; what is left of a line would be no Python.
        calls = re.findall(r"\bn?p?gettext\((?:[^'\"]|'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\")*?\)", marked, re.DOTALL)
        yield from _of(file, "\n".join(calls))


def _of(file: Path, source: str) -> Iterator[tuple[str, Message, str | None]]:
    if "gettext" not in source:
        return
    place = str(file.relative_to(ROOT))
    for _line, message, _comments, context in extract("python", io.BytesIO(source.encode()), _KEYWORDS):
        yield place, message, context


def path(tongue: str) -> Path:
    """The catalogue of a language."""
    return ROOT / "locale" / tongue / "LC_MESSAGES" / "django.po"


def read(tongue: str) -> Catalog:
    """The catalogue as it is; an empty one without a file."""
    file = path(tongue)
    if not file.exists():
        return empty(tongue)
    with file.open("rb") as content:
        return read_po(content, locale=tongue)


def empty(tongue: str) -> Catalog:
    """A catalogue without texts."""
    made = Catalog(
        Locale.parse(tongue),
        header_comment="# Translations of Ramet. docs/translating.md is the guide.",
        project="Ramet",
        version="0",
        last_translator="Ramet",
        language_team=tongue,
        msgid_bugs_address="",
        creation_date=_BEGAN,
        revision_date=_BEGAN,
        fuzzy=False,
    )
    made._num_plurals, made._plural_expr = _PLURALS[tongue]
    return made


def renewed(tongue: str) -> Catalog:
    """The catalogue with the present texts, and the translations that are known."""
    known, made = read(tongue), empty(tongue)
    for place, message, context in sorted(texts(), key=str):
        before = known.get(message if isinstance(message, str) else message[0], context)
        made.add(message, before.string if before else None, locations=[(place, 0)], context=context)
    return made


def compiled(catalogue: Catalog) -> bytes:
    """The catalogue in the form that gettext reads."""
    out = io.BytesIO()
    write_mo(out, catalogue)
    return out.getvalue()


def main() -> None:
    """Write the catalogues of every language."""
    for tongue in LANGUAGES:
        catalogue, file = renewed(tongue), path(tongue)
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("wb") as content:
            write_po(content, catalogue, width=0, omit_header=False, include_lineno=False, sort_output=True)
        file.with_suffix(".mo").write_bytes(compiled(read(tongue)))
        missing = sum(1 for one in catalogue if one.id and not all_of(one.string))
        print(f"{tongue}: {len(catalogue)} texts, {missing} not translated")  # noqa: T201 - it is a command


def all_of(string: object) -> bool:
    """True if a text has its translation, in every plural form."""
    return bool(string) and (isinstance(string, str) or all(string))  # type: ignore[call-overload]


if __name__ == "__main__":
    main()
