"""Documents name only paths, modules and functions that exist, and define each word of the glossary once."""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache
from pathlib import Path

import pytest
from django.core.management import load_command_class

ROOT = Path(__file__).parents[2]
_PACKAGES = ("derived", "scim", "idp", "device", "resource_server", "demo", "tests")
_FOLDERS = (*_PACKAGES, "bench", "docs", "deploy", "templates", "static")
# Ramet's own words; every other word is the standards'.
WORDS = {"root", "derived credential", "token family", "ledger", "epoch", "source", "adopted", "label"}

# Capitalised names of others; any other is taken for a class of ours.
_FOREIGN = {"NAME"}

_PATH = re.compile(rf"(?<![\w./:-])((?:{'|'.join(_FOLDERS)}|\.ci)/[\w./-]*)")
_LINK = re.compile(r"\]\(([^)#\s]+)(?:#([\w-]+))?\)")
_SPAN = re.compile(r"`([^`\n]+)`")
_DOTTED = re.compile(r"(?<![\w./:-])([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+)(?![\w/-])")
_DEFINED = re.compile(r"^(?:async )?(?:def|class) (\w+)|^(\w+)(?:: [^=\n]+)? = ", re.MULTILINE)
_IMPORTED = re.compile(r"^from [\w.]+ import (?:\(([^)]*)\)|(.+))$|^import (\w+)", re.MULTILINE)
_FILES = {
    "py",
    "md",
    "toml",
    "html",
    "conf",
    "json",
    "txt",
    "lock",
    "svg",
    "yaml",
    "org",
    "pem",
    "sqlite3",
    "csv",
    "ldif",
    "jsonl",
}


def _documents() -> list[Path]:
    return [*sorted(ROOT.glob("docs/**/*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md"]


@pytest.fixture(params=_documents(), ids=lambda path: path.relative_to(ROOT).as_posix())
def document(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


def test_every_path_exists(document: Path) -> None:
    """Files and folders of the repository, wherever a text names them."""
    named = {path.rstrip(".") for path in _PATH.findall(document.read_text())}
    assert sorted(path for path in named if not (ROOT / path).exists()) == []


def test_every_link_leads_somewhere(document: Path) -> None:
    """To a file beside the document, and to a heading of it."""
    lost = []
    for target, heading in _LINK.findall(document.read_text()):
        if "://" in target:
            continue
        path = document.parent / target
        if not path.exists() or (heading and heading not in _headings(path)):
            lost.append(f"{target}#{heading}")
    assert lost == []


def test_every_module_and_function_exists(document: Path) -> None:
    """`derived.rules.capping`, `capping.cap`, `VerifiedFactors.reach`: a dotted name whose first part is a package,
    a module or a class of ours.
    """
    text = re.sub(r"^```.*?^```", "", document.read_text(), flags=re.DOTALL | re.MULTILINE)
    named = {name for span in _SPAN.findall(text) for name in _DOTTED.findall(span) if not _is_a_file(name)}
    assert sorted(name for name in named if not _exists(name)) == []


def test_every_word_of_the_glossary_is_defined_once() -> None:
    """In docs/architecture.md, with the nearest word of a standard; a ninth word of our own needs a better reason
    than that.
    """
    glossary = (ROOT / "docs/architecture.md").read_text().partition("## Glossary")[2].partition("\n## ")[0]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in glossary.splitlines() if line.startswith("|")
    ][2:]
    assert Counter(row[0] for row in rows) == Counter(WORDS)
    assert [row[0] for row in rows if len(row) != 3 or not all(row)] == []


def test_every_command_has_a_row() -> None:
    """Each `manage.py` command, with each of its verbs, stands in the table of docs/operating.md."""
    table = (ROOT / "docs/operating.md").read_text()
    rows = [line for line in table.splitlines() if line.startswith("| `")]
    missing = []
    for name in sorted(path.stem for path in (ROOT / "idp/management/commands").glob("[a-z]*.py")):
        verbs = getattr(load_command_class("idp", name), "verbs", {})
        own = [row for row in rows if re.search(rf"`{name}[ `]", row)]
        missing += [name] * (not own)
        missing += [f"{name} {verb}" for verb in verbs if not re.search(rf"(`|{name} ){verb}[ `]", " ".join(own))]
    assert missing == []


@pytest.mark.parametrize(
    "name",
    [
        "derived.rules.capping.cap",
        "capping.cap",
        "VerifiedFactors.reach",
        "derived.models.Credential",
        "issue.derive",
        "manage.py",
    ],
)
def test_a_true_name_exists(name: str) -> None:
    assert _is_a_file(name) or _exists(name)


@pytest.mark.parametrize(
    "name",
    [
        "derived.rules.capping.uncap",
        "capping.uncap",
        "VerifiedFactors.wish",
        "derived.nothing",
        "scim.people.derived",
        "NoSuchClass.member",
    ],
)
def test_a_false_name_does_not(name: str) -> None:
    assert not _exists(name)


def _is_a_file(name: str) -> bool:
    """A file's name, or a host's."""
    return name.rpartition(".")[2] in _FILES | {"gov", "example"}


@lru_cache
def _headings(path: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", path.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title).strip().lower().replace(" ", "-") for title in titles}


@lru_cache
def _modules() -> dict[str, list[Path]]:
    """The files of our modules by their name: a folder's is its `__init__`."""
    found: dict[str, list[Path]] = {}
    for package in _PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            if path.parent.name in {"commands", "migrations"}:  # a command is named as one types it
                continue
            found.setdefault(path.parent.name if path.stem == "__init__" else path.stem, []).append(path)
    return found


@lru_cache
def _names(path: Path) -> frozenset[str]:
    """What a module defines or imports at its top."""
    text = path.read_text()
    defined = {function or value for function, value in _DEFINED.findall(text)}
    imported = {word for a, b, c in _IMPORTED.findall(text) for word in re.findall(r"\w+", a or b or c)}
    inside = {one.stem for one in path.parent.iterdir()} if path.stem == "__init__" else set()
    return frozenset(defined | imported | inside)


@lru_cache
def _members() -> dict[str, set[str]]:
    """What each class of ours defines."""
    found: dict[str, set[str]] = {}
    for path in {path for paths in _modules().values() for path in paths}:
        name = ""
        for line in path.read_text().splitlines():
            if line and not line[0].isspace() and not line.startswith((")", "@")):
                name = (re.match(r"class (\w+)", line) or ["", ""])[1]
            elif name and (member := re.match(r"    (?:(?:async )?def (\w+)|(\w+)\s*[:=])", line)):
                found.setdefault(name, set()).add(member[1] or member[2])
    return found


def _exists(name: str) -> bool:
    """True for a name in small letters whose first part is none of ours: then nothing is claimed."""
    first, *rest = name.split(".")
    if first in _PACKAGES and (ROOT / first).is_dir():
        return _below(ROOT / first, rest)
    if first in _modules():
        return any(rest[0] in _names(path) for path in _modules()[first])
    if first in _members():
        return rest[0] in _members()[first]
    return first in _FOREIGN or not first[0].isupper()


def _below(folder: Path, rest: list[str]) -> bool:
    if not rest:
        return True
    if (folder / rest[0]).is_dir():
        return _below(folder / rest[0], rest[1:])
    if (folder / f"{rest[0]}.py").is_file():
        return len(rest) == 1 or rest[1] in _names(folder / f"{rest[0]}.py")
    return (folder / "__init__.py").is_file() and rest[0] in _names(folder / "__init__.py")
