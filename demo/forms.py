"""Parse the forms of a page with the standard library, as far as Ramet's pages need."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

# An element without an end tag would otherwise swallow the text after it.
_VOID = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
)


@dataclass
class Form:
    """One form.

    action: as written; empty means the page's own URL.
    fields: name to value, for every named input (without unchecked boxes), textarea and select.
    buttons: the names of submit buttons and their values.
    framed: True in the page's header, which every page shares.
    """

    action: str = ""
    method: str = "get"
    fields: dict[str, str] = field(default_factory=dict)
    buttons: dict[str, list[str]] = field(default_factory=dict)
    framed: bool = False


@dataclass
class Element:
    """An element with an id or a class, and the text inside it."""

    tag: str
    id: str
    classes: frozenset[str]
    attributes: dict[str, str]
    pieces: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The text inside, with white space collapsed."""
        return " ".join("".join(self.pieces).split())


class PageReader(HTMLParser):
    """Collect forms and named elements; `feed` takes the page."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.forms: list[Form] = []
        self.elements: list[Element] = []
        self._form: Form | None = None
        self._open: list[Element] = []
        self._select = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Open an element, a form, or a control of the form that is open."""
        found = {name: value or "" for name, value in attrs}
        element = Element(tag, found.get("id", ""), frozenset(found.get("class", "").split()), found)
        self.elements.append(element)
        if tag not in _VOID:
            self._open.append(element)
        if tag == "form":
            framed = any(one.tag == "header" for one in self._open)
            self._form = Form(found.get("action", ""), found.get("method", "get").lower(), framed=framed)
            self.forms.append(self._form)
        elif self._form is not None:
            self._control(self._form, tag, found)

    def _control(self, form: Form, tag: str, found: dict[str, str]) -> None:
        name, value, kind = found.get("name", ""), found.get("value", ""), found.get("type", "text").lower()
        if tag == "select":
            self._select = name
        elif tag == "option" and self._select:
            # The first option counts until a selected one comes.
            if "selected" in found or self._select not in form.fields:
                form.fields[self._select] = value
        elif not name:
            return
        elif tag == "button" or (tag == "input" and kind == "submit"):
            form.buttons.setdefault(name, []).append(value)
        elif tag == "textarea" or (tag == "input" and (kind not in {"checkbox", "radio"} or "checked" in found)):
            form.fields[name] = value

    def handle_endtag(self, tag: str) -> None:
        """Close the innermost open element of this name, and the open elements in it."""
        if tag == "form":
            self._form = None
        if tag == "select":
            self._select = ""
        for position in range(len(self._open) - 1, -1, -1):
            if self._open[position].tag == tag:
                del self._open[position:]
                return

    def handle_data(self, data: str) -> None:
        """Add text to every open element."""
        for element in self._open:
            element.pieces.append(data)
