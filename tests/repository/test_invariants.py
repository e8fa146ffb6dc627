"""The cap lives where a ledger row is made: one constructor, one place that changes a level (AS-2, I1)."""

from __future__ import annotations

import ast
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
PACKAGES = ("derived", "scim", "idp")


def _product() -> list[tuple[str, ast.AST]]:
    paths = [path for name in PACKAGES for path in (PROJECT / name).rglob("*.py") if "migrations" not in path.parts]
    return [(str(path.relative_to(PROJECT)), ast.parse(path.read_text())) for path in paths]


def _places(tree: ast.AST, matches: object) -> bool:
    return any(matches(node) for node in ast.walk(tree))  # type: ignore[operator]


def _makes_a_row(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call):
        return False
    return ast.unparse(node.func) in {
        "Credential",
        "models.Credential",
        "Credential.objects.create",
        "Credential.objects.bulk_create",
        "Credential.objects.get_or_create",
        "Credential.objects.update_or_create",
    }


def _sets_a_level(node: ast.AST) -> bool:
    if isinstance(node, ast.Assign):
        targets = [part for target in node.targets for part in ast.walk(target)]
        return any(isinstance(target, ast.Attribute) and target.attr == "aal" for target in targets)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "update":
        return any(keyword.arg == "aal" for keyword in node.keywords)
    return False


def test_one_module_makes_ledger_rows_and_it_calls_the_cap() -> None:
    """A `Credential` is constructed in `derived.ledger.rows` only, from a draft whose level is `cap(...)`."""
    patterns = [(name, tree) for name, tree in _product() if name != "idp/signals/mail.py"]  # class patterns of `match`
    assert [name for name, tree in patterns if _places(tree, _makes_a_row)] == ["derived/ledger/rows.py"]
    rows = (PROJECT / "derived/ledger/rows.py").read_text()
    assert "return cap(self.kind, self.reaches, *self.limits, *ancestors)" in rows
    assert "aal=draft.level" in rows


def test_three_modules_write_a_level_and_each_only_lowers_it() -> None:
    """The lowering of a row, the move to a new root (the least of both), and the levels of logins with a withdrawn
    key.
    """
    assert sorted(name for name, tree in _product() if _places(tree, _sets_a_level)) == [
        "derived/changes/lower_level.py",
        "derived/changes/renew.py",
        "idp/login/withdrawn.py",
    ]
