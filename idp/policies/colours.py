"""The organisation's two colours as a palette, refused where people could not read it (WCAG 2.2, 1.4.3 and 1.4.11)."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Final, TypeAlias

Rgb: TypeAlias = tuple[int, int, int]

_HEX = re.compile(r"#[0-9a-fA-F]{6}")
LEAST: Final = 4.5  # text on its ground
_KNEE: Final = 0.04045  # of the sRGB transfer function
# The surfaces of static/ramet/ramet.css that accented text stands on, and the built-in accent, by mode.
_GROUNDS: Final[dict[str, tuple[str, ...]]] = {
    "light": ("#f4f6f1", "#ffffff", "#eaf0e8"),
    "dark": ("#0e1511", "#172019", "#1f2b23"),
}
_BUILT_IN: Final = {"light": "#1c6a42", "dark": "#86d3a6"}
_KEYS: Final = {"light": "colour", "dark": "colour_dark"}


@dataclass(frozen=True)
class Palette:
    """A stylesheet that sets the accent colours, and a version of it for its address."""

    css: str
    version: str


def palette(light: object, dark: object) -> Palette:
    """The palette of a colour for light and one for dark pages; "" for the built-in one.

    Raises: ValueError that names the setting, the pair and its contrast.
    """
    given = {"light": light, "dark": dark}
    rules = {mode: _rules(mode, given[mode] or _BUILT_IN[mode]) for mode in given}
    css = f":root {{ {rules['light']} }}\n@media (prefers-color-scheme: dark) {{ :root {{ {rules['dark']} }} }}\n"
    return Palette(css, hashlib.sha256(css.encode()).hexdigest()[:16])


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two `#rrggbb` colours (WCAG 2.2, relative luminance)."""
    bright, dim = sorted((_luminance(_rgb(one)), _luminance(_rgb(other))), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


def _rules(mode: str, colour: object) -> str:
    key = _KEYS[mode]
    if not isinstance(colour, str) or not _HEX.fullmatch(colour):
        message = f"{key} is a colour like #1c6a42"
        raise ValueError(message)
    surface = _GROUNDS[mode][1]
    tint = _mixed(colour, surface, 0.14)
    strong = _mixed(colour, "#000000" if mode == "light" else "#ffffff", 0.75)
    for ground in (*_GROUNDS[mode], tint):
        if (found := contrast(colour, ground)) < LEAST:
            message = f"{key}: {colour} on {ground} has a contrast of {found:.1f}:1, and people need {LEAST}:1"
            raise ValueError(message)
    on = max(("#ffffff", "#000000"), key=lambda text: contrast(text, colour))
    return f"--accent: {colour}; --accent-strong: {strong}; --on-accent: {on}; --tint: {tint};"


def _mixed(colour: str, other: str, share: float) -> str:
    parts = (round(share * a + (1 - share) * b) for a, b in zip(_rgb(colour), _rgb(other), strict=True))
    return "#" + "".join(f"{part:02x}" for part in parts)


def _rgb(colour: str) -> Rgb:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _luminance(colour: Rgb) -> float:
    red, green, blue = (_linear(part / 255) for part in colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(part: float) -> float:
    return part / 12.92 if part <= _KNEE else ((part + 0.055) / 1.055) ** 2.4
