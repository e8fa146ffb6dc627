"""What the product's own text must not do, read as a tree (C69, C70, C71; what a semgrep rule would say, without
semgrep).
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PROJECT = Path(__file__).resolve().parents[2]
FOLDERS = ("derived", "scim", "idp", "device", "resource_server")
_SECRET = (
    "secret",
    "token",
    "hash",
    "digest",
    "signature",
    "mac",
    "nonce",
    "challenge",
    "verifier",
    "password",
    "passphrase",
    "code",
)


def nodes() -> Iterator[tuple[str, ast.AST]]:
    for folder in FOLDERS:
        for path in sorted((PROJECT / folder).rglob("*.py")):
            if "migrations" not in path.parts:
                tree = ast.parse(path.read_text())
                in_names = {
                    id(part) for text in ast.walk(tree) if isinstance(text, ast.JoinedStr) for part in ast.walk(text)
                }
                for node in ast.walk(tree):
                    node.in_name = id(node) in in_names  # type: ignore[attr-defined]
                    yield f"{path.relative_to(PROJECT)}:{getattr(node, 'lineno', 0)}", node


def named(node: ast.AST) -> str:
    """The last name of an expression: `a.b.c` is c; a call is what it calls."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Call(func=func):
            return named(func)
        case _:
            return ""


def weak_random(node: ast.AST) -> bool:
    """C70: randomness comes from `secrets`."""
    match node:
        case ast.Import(names=names):
            return any(one.name.split(".")[0] == "random" for one in names)
        case ast.ImportFrom(module=module):
            return (module or "").split(".")[0] == "random"
        case ast.Call(func=ast.Attribute(value=ast.Name(id="uuid"), attr="uuid1" | "uuid3" | "uuid5")):
            return True
        case _:
            return False


def short_random(node: ast.AST) -> bool:
    """C70: at least 128 bits where a size is given as a number, but as the part of a name (of a draft of a file, of
    an authority).
    """
    match node:
        case ast.Call(
            func=ast.Attribute(value=ast.Name(id="secrets"), attr="token_hex" | "token_urlsafe" | "token_bytes"),
            args=[ast.Constant(value=int(size))],
        ):
            return size < 16 and not getattr(node, "in_name", False)
        case _:
            return False


def uuid_as_secret(node: ast.AST) -> bool:
    """C70: a UUID names a thing, and is kept in a field of a secret nowhere."""
    match node:
        case ast.keyword(arg=str(name), value=value):
            return named(value) == "uuid4" and any(one in name for one in _SECRET if one != "nonce")
        case ast.Assign(targets=[target], value=value):
            return named(value) == "uuid4" and any(one in named(target).lower() for one in _SECRET)
        case _:
            return False


def secret_compared(node: ast.AST) -> bool:
    """C71: what names a secret is looked up by its hash, or compared by `compare_digest`: never by == with what was
    sent.
    """
    match node:
        case ast.Compare(left=left, ops=[ast.Eq() | ast.NotEq()], comparators=[right]):
            sides = [named(left), named(right)]
            return all(
                any(
                    one == side or side.endswith(f"_{one}")
                    for one in ("secret", "token", "hash", "digest", "verifier", "challenge")
                )
                for side in sides
            )
        case _:
            return False


def weak_hash(node: ast.AST) -> bool:
    """C69: nothing here rests on MD5; SHA-1 is only spoken where a standard names a key by it."""
    match node:
        case ast.Attribute(value=ast.Name(id="hashlib"), attr="md5"):
            return True
        case _:
            return False


def unpinned_algorithm(node: ast.AST) -> bool:
    """C69, E11: a JWS is verified with a list of algorithms, given there."""
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Name(id="jws"), attr="deserialize_compact"), keywords=keywords):
            return not {"registry", "algorithms"} & {one.arg for one in keywords}
        case ast.Call(func=ast.Attribute(value=ast.Name(id="jwt"), attr="decode"), keywords=keywords):
            return "algorithms" not in {one.arg for one in keywords}
        case _:
            return False


def executes_text(node: ast.AST) -> bool:
    """No text of anybody's is run, unpickled, or marked as safe for a page."""
    match node:
        case ast.Call(func=ast.Name(id="eval" | "exec" | "mark_safe")):
            return True
        case ast.Import(names=names):
            return any(one.name.split(".")[0] in {"pickle", "marshal", "shelve", "yaml"} for one in names)
        case ast.keyword(arg="shell" | "verify", value=ast.Constant(value=value)):
            return value is True if node.arg == "shell" else value is False
        case _:
            return False


RULES: list[Callable[[ast.AST], bool]] = [
    weak_random,
    short_random,
    uuid_as_secret,
    secret_compared,
    weak_hash,
    unpinned_algorithm,
    executes_text,
]
_BAD = {
    weak_random: "import random",
    short_random: "secrets.token_hex(8)",
    uuid_as_secret: "token = uuid4()",
    secret_compared: "row.token_hash == shown_hash",
    weak_hash: "hashlib.md5(x)",
    unpinned_algorithm: "jws.deserialize_compact(t, k)",
    executes_text: "run(x, shell=True)",
}


@pytest.fixture(scope="module")
def whole() -> list[tuple[str, ast.AST]]:
    return list(nodes())


@pytest.mark.parametrize("rule", RULES, ids=lambda one: one.__name__)
def test_product_code_has_no_forbidden_construct(
    rule: Callable[[ast.AST], bool], whole: list[tuple[str, ast.AST]]
) -> None:
    """Each rule finds its example, and nothing in the product."""
    assert any(rule(node) for node in ast.walk(ast.parse(_BAD[rule]))), "the rule is blind"
    assert [where for where, node in whole if rule(node)] == []
