"""The terms of an agreement: a closed set of fields, and an error that names the field."""

from __future__ import annotations

import re

import pytest

from idp.agreements import terms
from idp.agreements.terms import TEXTS, BadTerms
from tests.fixtures.agreements import DISCLOSED, filled


def test_filled_template_is_read() -> None:
    """Every field is in the template, and comes back as it was written."""
    found = terms.parse(filled(retention='"30 days"'), disclosed=DISCLOSED).stored()
    assert found["retention"] == "30 days"
    assert found["sources"] == ["hr"]
    assert found["required"] == {"ial": 1, "aal": 2, "fal": 2}
    assert {one["name"] for one in found["attributes"]} == DISCLOSED  # type: ignore[attr-defined]
    assert found.keys() == {"attributes", "sources", "offered", "required", "review_on", *TEXTS}


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        *[({name: ""}, name) for name in TEXTS],
        ({"retention": '"  "'}, "retention"),
        ({"retention": f'"{"x" * 601}"'}, "retention"),
        ({"retention": "7"}, "retention"),
        ({"retention": '"a\\u0000b"'}, "retention"),
        ({"review_on": '"soon"'}, "review_on"),
        ({"review_on": "2027-06-30T00:00:00Z"}, "review_on"),
        ({"sources": '"hr"'}, "sources"),
        ({"aal": "4"}, "offered"),
        ({"aal": "true"}, "offered"),
        ({"purpose": '""'}, "purpose of email"),
        ({"name": '"e mail"'}, "attributes"),
        ({"name": '"email_verified"'}, "attributes"),
        ({"population": '"none"\nsurprise = 1'}, "surprise"),
        ({"population": "]"}, "TOML"),
    ],
)
def test_fault_is_named(changed: dict[str, str], named: str) -> None:
    """The message starts with the field, or says where the text cannot be read."""
    with pytest.raises(BadTerms, match=re.escape(named)):
        terms.parse(filled(**changed), disclosed=DISCLOSED)


def test_every_disclosed_claim_needs_a_purpose() -> None:
    """A claim that the client's scopes disclose, and the agreement does not name."""
    with pytest.raises(BadTerms, match="phone_number"):
        terms.parse(filled(), disclosed={*DISCLOSED, "phone_number"})


def test_an_agreement_is_short() -> None:
    """A file of megabytes is refused before it is parsed."""
    with pytest.raises(BadTerms, match="longer"):
        terms.parse("# " + "x" * terms.MOST_BYTES, disclosed=())
