"""PATCH bounds over HTTP: values that a value path makes, their number, and the time that one request may take."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.fixtures.scim_client import Scim

pytestmark = pytest.mark.database


@pytest.mark.parametrize(
    "path",
    [
        'emails[value eq "ada@x.org\\u000aBcc: eve@x.org"].type',
        'emails[value eq "ada\\u0007@x.org"].type',
        'x509Certificates[value eq "no base64!"].type',
        "emails[value eq null].type",
        'phoneNumbers[value eq "\\u001b"].type',
    ],
)
def test_value_made_by_a_value_path_is_validated(hr: Scim, path: str) -> None:
    """C76: an element that `add` makes from its own filter is checked and made canonical; no line break gets into an
    address.
    """
    ada = hr.create("ada")
    before = hr("GET", f"/Users/{ada}")[1]
    status, found = hr.patch(ada, {"op": "add", "path": path, "value": "work"})
    after = hr("GET", f"/Users/{ada}")[1]
    if status == 200:
        assert all("value" not in one or one["value"] for one in found["emails"]), found
    assert after["emails"] == before["emails"] or "eq null" in path, after
    assert "x509Certificates" not in after
    assert "phoneNumbers" not in after


def test_value_paths_respect_the_number_of_values(hr: Scim) -> None:
    """The bound on the number of values holds for whichever operation adds them."""
    ada = hr.create("ada", phoneNumbers=[{"value": str(number)} for number in range(995)])
    status, found = hr.patch(
        ada, *({"op": "add", "path": f'phoneNumbers[value eq "+{number}"].type', "value": "x"} for number in range(10))
    )
    assert (status, found["scimType"]) == (400, "invalidValue")


def test_large_patch_takes_little_time(hr: Scim) -> None:
    """C75: a thousand operations over a thousand values are refused, or done, in little time."""
    ada, begun = hr.create("ada", phoneNumbers=[{"value": str(number)} for number in range(1000)]), time.process_time()
    many = ({"op": "replace", "path": "phoneNumbers[value pr].display", "value": str(number)} for number in range(1000))
    lists = (
        {"op": "add", "path": "phoneNumbers", "value": [{"value": str(one)} for one in range(1000)]} for _ in range(30)
    )
    assert hr.patch(ada, *many)[1]["scimType"] == "invalidValue"
    assert hr.patch(ada, *lists)[0] == 200
    assert time.process_time() - begun < 10  # of this process: it took a minute
