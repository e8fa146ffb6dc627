"""What words are worth, by themselves: exact tables, exact types, caps, and the presets (AU-7, C10; traps 20, 21)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from derived.rules.assurance import AAL, IAL
from idp.models import Upstream
from idp.upstreams import presets, words
from idp.upstreams.presets import PRESETS

IDM = "http://idmanagement.gov/ns/assurance/aal/"
_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from([f"{IDM}2", "c1", "2", "mfa"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["acr", "aal", f"{IDM}2", "c1"]), inner, max_size=3)
    ),
    max_leaves=8,
)


def of(name: str, **changed: Any) -> Upstream:
    """An upstream as `manage.py upstream add --preset NAME` makes it."""
    known = presets.preset_of(name)
    values = {
        "levels": {value: list(row) for value, row in known.levels.items()},
        "aal_claim": known.aal_claim,
        "ial_claim": known.ial_claim,
        "amr": known.amr,
        "phishing_resistant": list(known.phishing_resistant),
        "cap": known.cap,
        **changed,
    }
    return Upstream(slug="u", issuer="https://u.example", **values)


@given(acr=_JSON, aal=_JSON, acrs=_JSON, amr=_JSON, name=st.sampled_from(["", *PRESETS]))
def test_only_exact_texts_yield_a_level(acr: Any, aal: Any, acrs: Any, amr: Any, name: str) -> None:
    """C10: whatever types arrive, a level comes from a text of the table in the one claim that counts, and never
    above the cap.
    """
    upstream = of(
        name,
        levels={
            **{v: list(r) for v, r in presets.preset_of(name).levels.items()},
            **({"c1": [3, 2]} if name == "entra" else {}),
        },
    )
    found = words.assertion_of(upstream, {"acr": acr, "aal": aal, "acrs": acrs, "amr": amr})
    claim = {"acr": acr, "aal": aal, "acrs[]": acrs}[upstream.aal_claim or "acr"]
    values = claim if isinstance(claim, list) and upstream.aal_claim.endswith("[]") else [claim]
    allowed = isinstance(claim, list) == upstream.aal_claim.endswith("[]") and all(
        isinstance(one, str) for one in values
    )
    best = max((upstream.levels[one][0] for one in values if one in upstream.levels), default=0) if allowed else 0
    assert found.aal == min(best, upstream.cap)
    assert not found.hardware
    assert all(isinstance(one, str) for one in found.amr)


def test_login_gov_aal_is_in_its_own_claim() -> None:
    """Trap 21: never from `acr`, which carries only the IAL."""
    upstream = of("login.gov")
    assert words.assertion_of(upstream, {"acr": f"{IDM}2"}).aal == AAL.NONE
    found = words.assertion_of(upstream, {"acr": "http://idmanagement.gov/ns/assurance/ial/1", "aal": f"{IDM}2"})
    assert (found.aal, found.ial, found.phishing_resistant) == (AAL.AAL2, IAL.NONE, False)


@pytest.mark.parametrize(
    ("aal", "level", "resistant"),
    [
        (f"{IDM}3", 2, True),
        (f"{IDM}3?hspd12=true", 2, True),
        (f"{IDM}2?phishing_resistant=true", 2, True),
        (f"{IDM}2?hspd12=true", 2, True),
        ("urn:gov:gsa:ac:classes:sp:PasswordProtectedTransport:duo", 0, False),
        (f"{IDM}1", 0, False),
        (f"{IDM}2?phishing_resistant=false", 0, False),
    ],
)
def test_login_gov_never_reaches_aal3(aal: str, level: int, *, resistant: bool) -> None:
    """standards.md, login.gov: its resolver never computes above AAL2; aal/3 means "AAL2, phishing-resistant"; its
    default is no level.
    """
    found = words.assertion_of(of("login.gov", cap=3), {"aal": aal})
    assert (found.aal, found.phishing_resistant, found.hardware) == (level, resistant, False)


@pytest.mark.parametrize("acrs", ["c1", None, ["C1"], [["c1"]], ["c1", 1], {"c1": 1}, [" c1"]], ids=repr)
def test_entra_level_is_in_acrs_only(acrs: Any) -> None:
    """C10: `acrs` is a list of texts; its `acr` "1" and its `amr` say nothing at all."""
    upstream = of("entra", levels={"c1": [2, 0]})
    assert words.assertion_of(upstream, {"acrs": acrs, "acr": "1", "amr": ["mfa", "rsa", "fido"]}).aal == AAL.NONE
    assert words.assertion_of(upstream, {"acrs": ["c9", "c1"], "acr": "0"}).aal == AAL.AAL2
    assert words.assertion_of(of("entra"), {"acrs": ["c1"]}).aal == AAL.NONE


def test_phishing_resistance_follows_the_mapped_value() -> None:
    """TK-3: only the table says it, never `amr`."""
    upstream = of("ramet", levels={"a": [2, 0], "b": [2, 0]}, phishing_resistant=["b"])
    assert not words.assertion_of(upstream, {"acr": "a", "amr": ["phr", "hwk"], "phr": True}).phishing_resistant
    assert words.assertion_of(upstream, {"acr": "b"}).phishing_resistant


@pytest.mark.parametrize("name", ["", *PRESETS])
def test_presets_are_capped(name: str) -> None:
    """C10: silence is nothing with every preset, and AAL2 is the most that any starts with."""
    assert words.assertion_of(of(name), {}).aal == AAL.NONE
    assert presets.preset_of(name).cap == 2
    assert not {"none", "HS256"} & set(presets.preset_of(name).algs)
    assert set(presets.preset_of(name).phishing_resistant) <= set(presets.preset_of(name).levels)
