"""The shared PATCH and PUT cases, over HTTP: each must come out as PASS, PASS-ALT or LENIENT (ruling 25)."""

from __future__ import annotations

import json
import uuid
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from scim.protocol.normalise import NORMALISERS
from tests.fixtures.scim_client import Scim, user

if TYPE_CHECKING:
    from collections.abc import Callable


_CASES: list[dict[str, Any]] = json.loads((Path(__file__).parents[2] / "data" / "scim_patch_cases.json").read_text())
_EMPTY: tuple[Any, ...] = (None, [], {}, "")
_OWN = {"bjensen@example.com", "minimal@example.com"}


def _normal(value: Any, key: str | None = None) -> Any:
    """A value in the form in which the cases compare: §3.3 of the page that came with them."""
    if isinstance(value, dict):
        found = {name: _normal(inner, name) for name, inner in value.items() if name != "$ref"}
        if key in {"manager", "members"}:
            found = {name: inner for name, inner in found.items() if name == "value"}
        if found.get("primary") is False:
            del found["primary"]
        return {name: inner for name, inner in found.items() if inner not in _EMPTY}
    if isinstance(value, list):
        return sorted((_normal(one, key) for one in value), key=lambda one: json.dumps(one, sort_keys=True))
    return value


def _comparable(resource: dict[str, Any]) -> Any:
    ignored = {"id", "meta", "groups", "password"}
    return _normal({name: value for name, value in resource.items() if name not in ignored})


class _Run:
    """One case against one source."""

    def __init__(self, scim: Scim, case: dict[str, Any]) -> None:
        self._scim, self._case = scim, case
        self._names = {"g1": "00000000"}
        for fixture in ("u1", "u2", "u3"):
            name = f"{fixture}-{uuid.uuid4().hex[:8]}@example.com"
            self._names |= {
                fixture: scim.create(name),
                f"{fixture}.userName": name,
                f"{fixture}.userName|upper": name.upper(),
            }
        self._place = f"/{case['resource_type']}s"
        status, found = scim("POST", self._place, self._filled(case["resource_before"]))
        assert status == 201, found
        self._names["self"] = found["id"]

    def _filled(self, template: Any) -> Any:
        text = json.dumps(template)
        for name, value in self._names.items():
            text = text.replace("{{%s}}" % name, value)  # noqa: UP031 - braces
        return json.loads(text)

    def verdict(self) -> str:
        """PASS, PASS-ALT, LENIENT, or what is wrong."""
        case, record = self._case, f"{self._place}/{self._names['self']}"
        stamp = self._scim("GET", record)[1]["meta"]["lastModified"]
        target = (
            record if case.get("requires") != "unknown-id" else f"{self._place}/00000000-0000-4000-8000-00000000dead"
        )
        query = f"?{case['query']}" if case.get("query") else ""
        answer = self._scim(case["method"], target + query, self._filled(case["patch"]), **(case.get("headers") or {}))
        after = self._scim("GET", record)[1]
        wrong = self._fault(case, answer, after)
        if wrong is None and case.get("expect_last_modified_unchanged") and answer[0] in {200, 204}:
            wrong = None if after["meta"]["lastModified"] == stamp else "lastModified moved"
        if wrong is None:
            return "PASS"
        if any(self._fault(other, answer, after) is None for other in case.get("also_acceptable", [])):
            return "PASS-ALT"
        return "LENIENT" if case.get("lenient") and self._fault(case["lenient"], answer, after) is None else wrong

    def _fault(self, expected: dict[str, Any], answer: tuple[int, Any], after: dict[str, Any]) -> str | None:
        status, body = answer
        types = (expected.get("expect_error") or {}).get("scimType")
        if status not in expected["expect_status"]:
            return f"status {status}: {body}"
        if types and (body or {}).get("scimType") not in types:
            return f"scimType {body}"
        if "expect_after" in expected:
            wanted, found = _comparable(self._filled(expected["expect_after"])), _comparable(after)
            if wanted != found:
                return f"want {wanted}, got {found}"
        return "password shown" if "password" in json.dumps(after) else None


_counted: Counter[str] = Counter()


@pytest.mark.parametrize("case", _CASES, ids=lambda case: case["id"])
@pytest.mark.parametrize("vendor", [False, True], ids=["strict", "normalised"])
def test_patch_case(connect: Callable[..., Scim], case: dict[str, Any], *, vendor: bool) -> None:
    """The case passes for a plain source, and for one with every vendor normaliser."""
    scim = connect("hr", normalisers=tuple(NORMALISERS) if vendor else ())
    verdict = _Run(scim, case).verdict()
    _counted[f"{'normalised' if vendor else 'strict'} {verdict}"] += 1
    assert verdict in {"PASS", "PASS-ALT", "LENIENT"}


def test_patch_cases_exist(capsys: pytest.CaptureFixture[str]) -> None:
    """The file with the cases is not empty, holds both kinds of resource, and the counts are told."""
    assert Counter(case["resource_type"] for case in _CASES) == {"User": 79, "Group": 14}
    assert user()["userName"] not in _OWN
    with capsys.disabled():
        print(f"\nPATCH cases: {', '.join(f'{count} {verdict}' for verdict, count in sorted(_counted.items()))}")  # noqa: T201 - the figures are asked for
