"""SCIM checkers that others wrote, against the live server: all their checks, none in error, and their number is
asserted.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.fixtures.live_server import Live


pytestmark = pytest.mark.conformance

_LEAST = 135
_LEAST_OF_SANITY = 28


@pytest.fixture
def moments(monkeypatch: pytest.MonkeyPatch) -> None:
    """scim2-tester 0.5.2 fills a dateTime of an extension with random text, which its own model then refuses: give
    it moments.
    """
    from scim2_tester import filling

    examples = filling.get_random_example_value

    def example(path: Any) -> Any:
        binding = path.resolve()
        return datetime.now(tz=UTC) if binding is not None and binding.target_type is datetime else examples(path)

    monkeypatch.setattr(filling, "get_random_example_value", example)


@pytest.mark.usefixtures("moments")
def test_scim2_tester(live: Live) -> None:
    """scim2-tester discovers, and tries every attribute of every resource type by POST, PUT and PATCH."""
    # Importing them takes three seconds, which every process that collects tests would pay.
    from httpx2 import Client
    from scim2_client.engines.httpx2 import SyncSCIMClient
    from scim2_tester import Status, check_server

    http = Client(base_url=f"{live.issuer}/scim/v2", headers={"Authorization": f"Bearer {live.scim_token}"}, timeout=60)
    results = check_server(SyncSCIMClient(http))
    http.close()
    counts = Counter(result.status.name for result in results)
    print(f"\nscim2-tester: {len(results)} checks, {dict(counts)}")  # noqa: T201 - the figures are asked for
    bad = [
        (one.title, one.resource_type, one.reason) for one in results if one.status in {Status.ERROR, Status.CRITICAL}
    ]
    assert not bad, json.dumps(bad, indent=1, default=str)
    assert len(results) >= _LEAST  # with a broken discovery it stops early and says nothing


def test_scim_sanity(live: Live) -> None:
    """scim-sanity probes the lives of users and groups, searches and errors; it fails nothing and warns of nothing.

    It adds a member that never was ("fake-member-id") and wants 200: that is what the normaliser `foreign_members`
    is for.
    """
    token = live.inside.ask("source", name="sanity", normalisers=["foreign_members"])
    command = [
        str(Path(sys.executable).with_name("scim-sanity")),
        "probe",
        f"{live.issuer}/scim/v2",
        "--token",
        token,
        "--json-output",
        "--i-accept-side-effects",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    found = json.loads(done.stdout)
    print(f"\nscim-sanity: {found['summary']}")  # noqa: T201
    assert done.returncode == 0, done.stdout[-3000:]
    assert found["summary"]["passed"] >= _LEAST_OF_SANITY
    assert {one["name"].split()[0] for one in found["results"] if one["status"] == "skip"} <= {
        "Agent",
        "AgenticApplication",
    }
