"""No attribute of a person sets a claim that only we may say (C17, E22, A7; decision 6)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from idp.oidc.claims.claims import RESERVED, assemble
from tests.fixtures.registered_claims import PERSONAL, REGISTERED

VALUES = st.one_of(st.text(max_size=8), st.integers(), st.none(), st.lists(st.text(max_size=4), max_size=3))
ABOUT = st.dictionaries(
    st.one_of(st.sampled_from(REGISTERED), st.sampled_from(sorted(RESERVED)), st.text(max_size=8)), VALUES, max_size=8
)
OURS = st.dictionaries(st.sampled_from(sorted(RESERVED)), VALUES, max_size=8)


def test_every_registered_claim_is_classified() -> None:
    """C17: none is forgotten."""
    assert not set(REGISTERED) - PERSONAL - RESERVED
    assert not PERSONAL & RESERVED


@given(ABOUT, OURS)
def test_reserved_claims_come_from_the_provider_only(about: dict[str, object], ours: dict[str, object]) -> None:
    """C17: whatever a source calls its attributes, a reserved claim has our value or is not there."""
    found = assemble(about, ours)
    said = {name: value for name, value in ours.items() if value not in (None, "")}
    assert {name: value for name, value in found.items() if name in RESERVED} == said
    assert {name for name in found if name not in RESERVED} == set(about) - RESERVED
