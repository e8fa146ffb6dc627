"""Every route of the house is classified (P1): asked without a database, so that whoever adds one hears of it at
once.
"""

from __future__ import annotations

from pathlib import Path

from django.urls import get_resolver

from tests.fixtures.routes import ROUTES, named


def test_every_route_is_classified() -> None:
    """P1: a new route is put into the table of tests/idp/test_matrix.py, or this fails; one that is gone is taken
    out.
    """
    there = set(named(get_resolver()))
    assert there - set(ROUTES) == set(), (
        "classify these routes in ROUTES (tests/idp/test_matrix.py), and try their gates"
    )
    assert set(ROUTES) - there == set(), "these routes are gone"
    missing = {where for where in ROUTES.values() if where.startswith("tests/") and not Path(where).exists()}
    assert missing == set()
