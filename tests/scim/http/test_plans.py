"""What the databases do for the hot requests: a part of an index, never all of a large table, and no more statements
than today.

On plans, not on time. PostgreSQL reads small tables whole whatever there is, so here it may do so only where it must.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from django.db import connection

from bench.scim.explain import Statement, explained
from scim.protocol.user import CORE_URN
from tests.fixtures.scim_client import ENTERPRISE, GROUP, PATCH, Scim

pytestmark = [pytest.mark.django_db, pytest.mark.database]

BY_ADDRESS = 'emails.value eq "p1@example.org"'


@pytest.fixture
def staff(hr: Scim) -> dict[str, str]:
    """Some people, and a group with some of them."""
    people = {
        f"p{n}": hr.create(f"p{n}", externalId=f"x{n}", **{ENTERPRISE: {"employeeNumber": f"E{n}"}}) for n in range(6)
    }
    members = [{"value": people[f"p{n}"]} for n in range(3)]
    return {
        **people,
        "group": hr("POST", "/Groups", {"schemas": [GROUP], "displayName": "g", "members": members})[1]["id"],
    }


@pytest.fixture(autouse=True)
def _only_where_it_must(db: None) -> None:
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")


def _asked(hr: Scim, method: str, path: str, body: Any = None) -> list[Statement]:
    with explained() as said:
        assert hr(method, path, body)[0] < 300
    return said


def _told(said: list[Statement]) -> str:
    return "\n".join(f"{one.scans} {one.sql[:120]}\n    {' / '.join(one.plan)}" for one in said)


@pytest.mark.parametrize(
    "query",
    [
        "count=2", "count=2&startIndex=5", "count=2&cursor=", "count=2&sortBy=userName",
        "count=2&sortBy=meta.lastModified&sortOrder=descending",
        *(
            f"filter={quote(text)}" for text in (
                'userName eq "p1"', 'externalId eq "x1"', 'emails.value eq "p1@example.org"',
                'emails[value eq "p1@example.org"]',
                'userName sw "p1"', f'{ENTERPRISE}:employeeNumber eq "E1"', "active eq false",
                'meta.lastModified gt "2999-01-01T00:00:00Z"',
            )
        ),
    ],
)  # fmt: skip
def test_lists_never_scan_a_table(hr: Scim, staff: dict[str, str], query: str) -> None:
    """Pages, sorted pages and every filter that connectors send."""
    said = _asked(hr, "GET", f"/Users?{query}")
    assert staff
    assert not [one for one in said if one.scans], _told(said)
    assert len(said) <= 6, _told(said)


def test_count_reads_an_index_only(hr: Scim, staff: dict[str, str]) -> None:
    """`totalResults` of a hundred thousand people is counted without looking at one of them (S9)."""
    said = [one for one in _asked(hr, "GET", "/Users?count=2") if "COUNT(*)" in one.sql]
    assert staff
    assert len(said) == 1
    assert any("COVERING INDEX" in line or "Index Only Scan" in line or "Bitmap" in line for line in said[0].plan), (
        _told(said)
    )


def test_email_filter_uses_its_index(hr: Scim, staff: dict[str, str]) -> None:
    """By e-mail: the address in its index, among this source's only; then those few by their keys, not everybody in
    order.
    """
    said = _asked(hr, "GET", f"/Users?filter={quote(BY_ADDRESS)}")
    looked = [one for one in said if 'FROM "scim_recordemail"' in one.sql]
    assert staff
    assert len(looked) == 1
    assert "source_id" in looked[0].sql
    assert any("record_by_email" in line for line in looked[0].plan), _told(looked)
    for one in said:
        if 'FROM "scim_record"' in one.sql:
            assert any("(id=?)" in line or "id = '" in line for line in one.plan), _told(said)


def test_changes_use_indexes(hr: Scim, staff: dict[str, str]) -> None:
    """A joiner, a leaver with the cascade, a member more, and a deletion read no large table whole."""
    leave = {"schemas": [PATCH], "Operations": [{"op": "replace", "path": "active", "value": False}]}
    more = {"schemas": [PATCH], "Operations": [{"op": "add", "path": "members", "value": [{"value": staff["p5"]}]}]}
    for method, path, body in (
        ("PATCH", f"/Groups/{staff['group']}", more),
        ("PATCH", f"/Users/{staff['p1']}", leave),
        ("DELETE", f"/Users/{staff['p2']}", None),
        ("POST", "/Users", {"schemas": [CORE_URN], "userName": "new", "externalId": "new"}),
    ):
        said = _asked(hr, method, path, body)
        assert not [one for one in said if one.scans], f"{method} {path}\n{_told(said)}"
