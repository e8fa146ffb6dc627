"""The HTML of a mail, made of its text: the same words, links that can be pressed, nothing remote (NT-6)."""

from __future__ import annotations

import re
from typing import Final

from django.utils import translation
from django.utils.html import escape, format_html

from idp.config import config

_LINK: Final = re.compile(r"https?://[^\s<>\"]+[^\s<>\".,:;!?)]")
_STYLE: Final = "font-family: sans-serif; line-height: 1.5; max-width: 36rem; margin: 0 auto; padding: 1rem"


def as_page(subject: str, text: str) -> str:
    """The page of a mail. Paragraphs stay paragraphs, and lines that are set apart stay lines."""
    blocks = [_block(one) for one in re.split(r"\n\s*\n", text.strip()) if one.strip()]
    tongue = translation.get_language() or "en"
    direction = "rtl" if translation.get_language_bidi() else "ltr"
    return (
        f'<!doctype html>\n<html lang="{tongue}" dir="{direction}"><head><meta charset="utf-8">'
        f'<title>{escape(subject)}</title></head><body style="{_STYLE}">\n' + "\n".join(blocks) + "\n</body></html>\n"
    )


def _block(lines: str) -> str:
    kept: list[str] = []
    for line in lines.strip("\n").split("\n"):
        if kept and not line.startswith("  "):
            kept.append("<br>" if kept[-1].startswith("  ") else " ")
        elif kept:
            kept.append("<br>")
        kept.append(_linked(line.strip()))
    return "<p>" + "".join(kept) + "</p>"


def _linked(line: str) -> str:
    found, end = [], 0
    for link in _LINK.finditer(line):
        if not link.group().startswith(f"{config().issuer}/"):
            continue  # a name or a reason may hold an address; only ours is a link
        found += [escape(line[end : link.start()]), format_html('<a href="{0}">{0}</a>', link.group())]
        end = link.end()
    return "".join([*found, escape(line[end:])])
