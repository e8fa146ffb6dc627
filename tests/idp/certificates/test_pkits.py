"""NIST PKITS: every case with the published verdict, and the three where we decide otherwise, by name (C22)."""

from __future__ import annotations

import logging

import pytest

from derived.errors import Reason, Refused
from idp.certificates import reading
from tests.idp.certificates import pkits

CASES = pkits.cases()


@pytest.fixture(autouse=True)
def quiet() -> None:
    """The engine logs a traceback for each CRL issuer that it refuses."""
    logging.getLogger("pyhanko_certvalidator").setLevel(logging.CRITICAL)


@pytest.mark.parametrize("case", CASES, ids=[f"{case.number}-{case.file}" for case in CASES])
def test_pkits_verdicts(case: pkits.Case) -> None:
    """AU-2: our paths, the engine with our inputs, and its word on CRLs decide as published, but where `ours` says
    why not.
    """
    assert pkits.accepts(case) is case.expected


def test_pkits_is_complete() -> None:
    """Every section, every end entity; three named disagreements, all of them stricter than published."""
    assert [len([case for case in CASES if case.section == section]) for section in pkits.TITLES] == [
        6,
        8,
        11,
        21,
        8,
        17,
        5,
        35,
        8,
        21,
        11,
        11,
        38,
        35,
        10,
        2,
    ]
    assert {case.file for case in CASES} == {
        path.name.removesuffix("EE.crt") for path in (pkits.FOLDER / "certs").glob("*EE.crt")
    }
    disagreed = [case for case in CASES if case.ours]
    assert {case.number for case in disagreed} == set(pkits.DISAGREED)
    assert all(case.valid for case in disagreed)


@pytest.mark.parametrize("file", sorted({case.file for case in CASES}))
def test_front_end_refuses_every_pkits_certificate(file: str) -> None:
    """AU-3, X1: no PKITS end entity is one for authentication: all have further key usages, or cannot be read
    strictly.
    """
    with pytest.raises(Refused) as caught:
        reading.leaf(pkits.leaf(file).dump(), now=pkits.NOW)
    assert caught.value.reason in {Reason.CERTIFICATE_NOT_FOR_AUTHENTICATION, Reason.CERTIFICATE_MALFORMED}
