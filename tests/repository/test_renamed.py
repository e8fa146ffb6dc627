"""Former names of an operator's files work for one release, with a warning; ids of system checks are unique."""

from __future__ import annotations

import ast
import logging
from collections import Counter
from pathlib import Path

import pytest  # noqa: TC002 - fixtures read annotations

from idp import renamed

PROJECT = Path(__file__).resolve().parents[2]


def test_a_file_under_its_former_name_is_read_with_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The former name serves while the new one does not exist, and the log says so once."""
    old, new = tmp_path / "policy.toml", tmp_path / "issuance.toml"
    assert renamed.file(tmp_path, "issuance.toml") == new
    old.write_text("")
    with caplog.at_level(logging.WARNING, logger="idp.renamed"):
        assert [renamed.file(tmp_path, "issuance.toml") for _ in range(2)] == [old, old]
    assert len(caplog.records) == 1
    assert "rename it to issuance.toml" in caplog.text
    assert renamed.deprecated(tmp_path, "issuance.toml") == f"{old} is to be renamed to issuance.toml."
    new.write_text("")
    assert renamed.file(tmp_path, "issuance.toml") == new
    assert renamed.deprecated(tmp_path, "issuance.toml") == f"{old} is ignored: issuance.toml exists."


def test_a_former_name_is_told_by_the_system_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`manage.py check` warns with ramet.W048 for a file that the next release will not read."""
    from idp.checks.configuration import files_have_current_names

    monkeypatch.setattr("idp.policies.attestation.folder", lambda: tmp_path)
    assert files_have_current_names() == []
    (tmp_path / "policy.toml").write_text("")
    assert [found.id for found in files_have_current_names()] == ["ramet.W048"]


def test_ids_of_system_checks_are_unique() -> None:
    """Each id names one fault, so that an operator can silence or look up exactly that."""
    found = Counter(
        keyword.value.value
        for path in (PROJECT / "idp").rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call)
        for keyword in call.keywords
        if keyword.arg == "id" and isinstance(keyword.value, ast.Constant) and str(keyword.value.value)[:6] == "ramet."
    )
    assert [name for name, count in found.items() if count > 1] == []
    assert len(found) > 15
