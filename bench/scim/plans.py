"""Query plans of the slowest requests on both databases: `python -m bench.scim --plans`.

A process with Ramet's environment and filled people. Each case is a real request; its statements are explained, and
scans of a whole large table are marked.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import Any
from urllib.parse import quote

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "idp.settings")
django.setup()

from django.db import connection  # noqa: E402 - Django's apps come first
from django.test import Client  # noqa: E402

from bench.scim.explain import LARGE, Statement, explained  # noqa: E402
from bench.scim.people import CORE, mark, record_id  # noqa: E402
from derived import clock  # noqa: E402
from scim.http import cursors, listing, query, views  # noqa: E402
from scim.models import Record  # noqa: E402
from scim.protocol.user import USER  # noqa: E402

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
_LARGE_HERE = 5_000
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


def cases(users: int, members: int, group: str) -> dict[str, tuple[str, str, Any]]:
    """The cases: title to method, path and body."""
    name, within = f"bench-{mark(users // 2)}@example.org", quote(f'members.value eq "{record_id(1)}"')

    def found(text: str, more: str = "") -> tuple[str, str, Any]:
        return "GET", f"/Users?count=100&filter={quote(text)}{more}", None

    return {
        "first page": ("GET", "/Users?count=100", None),
        "middle page, by index": ("GET", f"/Users?count=100&startIndex={users // 2}", None),
        "last page, by index": ("GET", f"/Users?count=100&startIndex={users - 99}", None),
        "first page, by cursor": ("GET", "/Users?count=100&cursor=", None),
        "middle page, by cursor": ("GET", "/Users?count=100&cursor=MIDDLE", None),
        "sorted by userName": ("GET", "/Users?count=100&sortBy=userName", None),
        "sorted by lastModified, descending, middle": (
            "GET",
            f"/Users?count=100&sortBy=meta.lastModified&sortOrder=descending&startIndex={users // 2}",
            None,
        ),
        "userName eq": found(f'userName eq "{name}"'),
        "externalId eq": found(f'externalId eq "x-{mark(users // 2)}"'),
        "emails.value eq": found(f'emails.value eq "{name}"'),
        "emails[…] eq": found(f'emails[value eq "{name}"]'),
        "employeeNumber eq": found(f'{ENTERPRISE}:employeeNumber eq "nobody"'),
        "userName sw": found(f'userName sw "bench-{mark(users // 2)[:-2]}"'),
        "userName co": found(f'userName co "{mark(users // 2)[2:]}"'),
        "active eq false": found("active eq false"),
        "meta.lastModified gt": found('meta.lastModified gt "2999-01-01T00:00:00Z"'),
        "members of a large group": ("GET", f"/Groups/{group}", None),
        "groups of a member": ("GET", f"/Users/{record_id(1)}", None),
        "who is in a group": found(f'groups.value eq "{group}"'),
        "groups with a member": ("GET", f"/Groups?count=10&excludedAttributes=members&filter={within}", None),
        "a joiner": (
            "POST",
            "/Users",
            {
                "schemas": [CORE],
                "userName": "new@example.org",
                "externalId": "new",
                ENTERPRISE: {"employeeNumber": "new"},
            },
        ),
        "a leaver": (
            "PATCH",
            f"/Users/{record_id(users)}",
            {"schemas": [PATCH], "Operations": [{"op": "replace", "path": "active", "value": False}]},
        ),
        "one member more": (
            "PATCH",
            f"/Groups/{group}",
            {
                "schemas": [PATCH],
                "Operations": [{"op": "add", "path": "members", "value": [{"value": record_id(members + 1)}]}],
            },
        ),
        "a deletion": ("DELETE", f"/Users/{record_id(2)}", None),
    }


def _cursor(users: int) -> str:
    """A cursor in the middle of the whole list."""
    record = Record.objects.select_related("source").get(id=record_id(users // 2))
    listed = listing.key_of(record.source, query.of_parameters({"count": "100", "cursor": ""}, [USER]))
    return cursors.seal(cursors.CursorPosition(record.id, 0), listed, key=views.cursor_key(), now=clock.now())


def _count(table: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {table}")  # noqa: S608 - a name of ours
        return int(cursor.fetchone()[0])


def main() -> None:
    """Run the cases and print Markdown; JSON in: the output of `fill`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("said")
    said = json.loads(parser.parse_args().said)
    client = Client(headers={"Authorization": f"Bearer {said['token']}"})
    large = [table for table in LARGE if _count(table) >= _LARGE_HERE]  # PostgreSQL rightly scans a small table
    sys.stdout.write(f"\n### {connection.vendor}, {said['users']:,} people\n\n")
    for title, (method, path, body) in cases(said["users"], said["members"], said["group"]).items():
        where = path.replace("MIDDLE", _cursor(said["users"])) if "MIDDLE" in path else path
        data = b"" if body is None else json.dumps(body).encode()
        with explained(large) as statements:
            answer = client.generic(
                method, "/scim/v2" + where, data, content_type="application/scim+json", headers={"Host": "127.0.0.1"}
            )
        sys.stdout.write(_told(title, answer.status_code, statements))
        sys.stdout.flush()


def _told(title: str, status: int, statements: list[Statement]) -> str:
    scans = [f"{table}: {statement.sql[:140]}" for statement in statements for table in statement.scans]
    lines = [
        f"- **{title}** → {status}, {len(statements)} statements"
        + ("" if not scans else f", {len(scans)} READ ALL OF A TABLE")
    ]
    for statement in statements:
        table = statement.sql.partition(" FROM ")[2].split(" ")[0].strip('"') or statement.sql.split('"')[1]
        if table.startswith("scim_sourcecredential"):
            continue
        scanned = " **all of " + ", ".join(statement.scans) + "**" if statement.scans else ""
        lines.append(
            f"  - {statement.sql.split()[0]} {table}:{scanned} "
            f"{' / '.join(line.strip() for line in statement.plan)[:300]}"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
