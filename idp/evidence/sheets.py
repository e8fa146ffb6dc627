"""Tables as CSV that a spreadsheet opens safely, and reports as HTML that prints well (PG-4)."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

from django.template.loader import render_to_string

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_FORMULAS = ("=", "+", "-", "@", "\t", "\r")


def csv_of(rows: Sequence[Mapping[str, object]]) -> str:
    """Rows of equal keys as CSV (RFC 4180) with a header; nothing for no rows.

    A cell that a spreadsheet would take for a formula begins with an apostrophe.
    """
    if not rows:
        return ""
    made = io.StringIO()
    writer = csv.DictWriter(made, fieldnames=list(rows[0]), quoting=csv.QUOTE_ALL)
    writer.writeheader()
    writer.writerows({name: safe_cell(value) for name, value in row.items()} for row in rows)
    return made.getvalue()


def safe_cell(value: object) -> str:
    """A value as a cell: text that a spreadsheet takes for a formula is quoted."""
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(_FORMULAS) else text


TITLES = {"endings": "Endings (PS-4)", "reviews": "Access reviews (AC-2)", "statistics": "Issuance"}


def files(name: str, rows: Sequence[Mapping[str, object]], *, first: str, last: str) -> dict[str, bytes]:
    """A report of rows as CSV and as HTML, by file name."""
    names = [one.replace("_", " ") for one in rows[0]] if rows else []
    shown = [one.values() for one in rows]
    values = {"title": TITLES[name], "first": first, "last": last, "names": names, "rows": shown}
    return {f"{name}.csv": csv_of(rows).encode(), f"{name}.html": report("rows", values).encode()}


def report(name: str, values: dict[str, Any]) -> str:
    """A report of `templates/evidence` as one HTML file without anything remote."""
    return render_to_string(f"evidence/{name}.html", values)


def facts(value: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    """Nested facts as rows of a name and a text; what is empty is left out."""
    for name, inner in value.items():
        where = f"{path} {name.replace('_', ' ')}".strip()
        if isinstance(inner, dict):
            yield from facts(inner, where)
        elif isinstance(inner, list) and inner and isinstance(inner[0], dict):
            for number, one in enumerate(inner, start=1):
                yield from facts(one, f"{where} {number}")
        elif isinstance(inner, list):
            if inner:
                yield where, ", ".join(" ".join(map(str, one)) if isinstance(one, list) else str(one) for one in inner)
        elif inner not in ("", None):
            yield where, str(inner)
