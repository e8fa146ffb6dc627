"""Tests that share a server share a worker."""

from __future__ import annotations

import pytest

from tests.plugins.selection import group


@pytest.mark.parametrize(
    ("nodeid", "name"),
    [
        ("tests/races/test_once.py::test_a[0]", "live"),
        ("tests/conformance/test_scim_checkers.py::test_a", "live"),
        ("tests/conformance/test_suite_fapi.py::test_a", "suite"),
        ("tests/conformance/test_apache.py::test_a", "stage"),
        ("tests/browser/test_login.py::test_a[a::b]", "browser"),
        ("tests/idp/login/test_login.py::test_a", "tests/idp/login/test_login.py"),
    ],
)
def test_group_of_a_test(nodeid: str, name: str) -> None:
    """Others are grouped by file."""
    assert group(nodeid) == name
