"""Canonical JSON as RFC 8785 gives it."""

from __future__ import annotations

import pytest

from idp.evidence.canonical import canonical


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"b": 1, "a": [True, None, "é"]}, '{"a":[true,null,"é"],"b":1}'),
        ({"\u20ac": 1, "\r": 2, "\U0001f600": 3, "\ufb33": 4}, '{"\\r":2,"€":1,"😀":3,"\ufb33":4}'),  # §3.2.3
        ('\u000f\n\u2028"\\/', '"\\u000f\\n\u2028\\"\\\\/"'),
        (333333333.33333329, "333333333.3333333"),  # §3.2.2.3
        (1e30, "1e+30"),
        (4.50, "4.5"),
        (2e-3, "0.002"),
        (1e-27, "1e-27"),
        (-0.0, "0"),
    ],
)
def test_values_have_the_text_of_the_standard(value: object, text: str) -> None:
    """Sorting by UTF-16 units, escapes, and ECMAScript's numbers."""
    assert canonical(value).decode() == text


@pytest.mark.parametrize("value", [float("nan"), 2**60, b"bytes", object()])
def test_what_json_cannot_hold_exactly_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="no canonical JSON"):
        canonical(value)
