"""The terms of a trust agreement, read from TOML: a closed set of fields, each named in every error (63C-4 §4.3.1)."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

MOST_TEXT, MOST_LISTED, MOST_BYTES = 600, 60, 64_000

# Field, and the question that it answers, for the operator and for the subscriber.
TEXTS: Final[dict[str, str]] = {
    "population": "Who signs in to it",
    "provisioning": "How it learns of people",
    "decided_by": "Who decides that your details go there",
    "informed_by": "How you are told",
    "consent": "Whether you are asked",
    "storage": "What it keeps",
    "retention": "How long it keeps it",
    "deletion": "How both sides delete it",
    "other_uses": "What else it does with your details",
    "apis": "What it reads without you",
    "proofing": "How your identity was checked, and the exceptions",
    "fal3": "Terms of holder-of-key sign-ins",
    "signals": "What both sides tell each other, and what follows",
    "redress": "Where you object",
    "redress_assessment": "How objections are judged",
}
_LEVELS: Final = {"ial": 3, "aal": 3, "fal": 3}
_LEVEL_TABLES: Final = ("offered", "required")
_ATTRIBUTE: Final = frozenset({"name", "purpose", "required"})


class BadTerms(ValueError):
    """Terms that cannot be used; the message names the field and says what belongs there."""


@dataclass(frozen=True)
class Attribute:
    """A claim that the client gets. purpose: what it is for there, in the subscriber's words."""

    name: str
    purpose: str
    required: bool

    def stored(self) -> dict[str, object]:
        """As JSON."""
        return {"name": self.name, "purpose": self.purpose, "required": self.required}


@dataclass(frozen=True)
class Terms:
    """The terms of one version. texts: by the names of `TEXTS`. levels: offered and required, each by ial, aal, fal."""

    attributes: tuple[Attribute, ...]
    sources: tuple[str, ...]
    levels: dict[str, dict[str, int]]
    texts: dict[str, str]
    review_on: date

    def stored(self) -> dict[str, object]:
        """As JSON."""
        return {
            "attributes": [one.stored() for one in self.attributes],
            "sources": list(self.sources),
            **self.levels,
            **self.texts,
            "review_on": self.review_on.isoformat(),
        }


def parse(text: str, *, disclosed: Collection[str]) -> Terms:
    """The terms in a TOML document.

    disclosed: the claims that the client's scopes disclose; each needs an attribute with a purpose.
    Raises: BadTerms.
    """
    if len(text.encode()) > MOST_BYTES:
        message = f"The agreement is longer than {MOST_BYTES} bytes."
        raise BadTerms(message)
    try:
        given = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message = f"This is not TOML: {error}."
        raise BadTerms(message) from None
    known = {"attributes", "sources", "review_on", *_LEVEL_TABLES, *TEXTS}
    if unknown := sorted(given.keys() - known):
        message = f"{unknown[0]} is no field of an agreement. The fields are: {', '.join(sorted(known))}."
        raise BadTerms(message)
    attributes = _attributes(given.get("attributes"))
    if missing := sorted(set(disclosed) - {one.name for one in attributes}):
        message = (
            f"attributes: the client's scopes disclose {', '.join(missing)}. Name each with its purpose, or take the "
            "scope from the client."
        )
        raise BadTerms(message)
    return Terms(
        attributes=attributes,
        sources=_sources(given.get("sources")),
        levels={name: _levels(name, given.get(name)) for name in _LEVEL_TABLES},
        texts={name: _text(name, given.get(name)) for name in TEXTS},
        review_on=_day(given.get("review_on")),
    )


def template(disclosed: Collection[str], sources: Collection[str]) -> str:
    """A TOML document to fill in, with every field and the claims of this client."""
    lines = ['# A trust agreement (NIST SP 800-63C-4, section 4.3.1). Fill in every field; write "none" where none is.']
    for name, question in TEXTS.items():
        lines += [f'{name} = ""  # {question}']
    lines += [
        f"sources = [{', '.join(_quoted(one) for one in sorted(sources))}]",
        "review_on = 2000-01-01  # within a year",
    ]
    for name in _LEVEL_TABLES:
        lines += ["", f"[{name}]", "ial = 1", "aal = 2", "fal = 2"]
    for name in sorted(disclosed):
        lines += ["", "[[attributes]]", f"name = {_quoted(name)}", 'purpose = ""', "required = true"]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _text(name: str, value: object) -> str:
    words = value.strip() if isinstance(value, str) else ""
    if not words:
        message = f'{name} is missing: {TEXTS.get(name, "a text")}. Write "none" where there is none.'
        raise BadTerms(message)
    if len(words) > MOST_TEXT or not words.replace("\n", " ").isprintable():
        message = f"{name}: at most {MOST_TEXT} printable characters."
        raise BadTerms(message)
    return words


def _attributes(value: object) -> tuple[Attribute, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or len(value) > MOST_LISTED:
        message = f"attributes: at most {MOST_LISTED} tables, each with name, purpose and required."
        raise BadTerms(message)
    found = [_attribute(one) for one in value]
    if len({one.name for one in found}) != len(found):
        message = "attributes: a name stands there twice."
        raise BadTerms(message)
    return tuple(found)


def _attribute(value: object) -> Attribute:
    if not isinstance(value, dict) or value.keys() - _ATTRIBUTE or not isinstance(value.get("required"), bool):
        message = "attributes: each has a name, a purpose, and required = true or false."
        raise BadTerms(message)
    name = value.get("name")
    if not isinstance(name, str) or not name.replace("_", "").isalnum() or len(name) > MOST_LISTED:
        message = "attributes: a name is that of a claim, like email."
        raise BadTerms(message)
    return Attribute(name, _text(f"the purpose of {name}", value.get("purpose")), value["required"])


def _sources(value: object) -> tuple[str, ...]:
    found = value if isinstance(value, list) and len(value) <= MOST_LISTED else None
    if found is None or not all(
        isinstance(one, str) and one.isprintable() and 0 < len(one) <= MOST_LISTED for one in found
    ):
        message = 'sources: a list of names, like ["hr"].'
        raise BadTerms(message)
    return tuple(found)


def _levels(name: str, value: object) -> dict[str, int]:
    found: Mapping[str, Any] = value if isinstance(value, dict) else {}
    if found.keys() != _LEVELS.keys() or not all(
        type(level) is int and 0 <= level <= _LEVELS[kind] for kind, level in found.items()
    ):
        message = f"[{name}]: ial, aal and fal, each a number from 0 to 3."
        raise BadTerms(message)
    return dict(found)


def _day(value: object) -> date:
    if not isinstance(value, date) or isinstance(value, datetime):
        message = "review_on: the day of the next review, like 2027-06-30."
        raise BadTerms(message)
    return value
