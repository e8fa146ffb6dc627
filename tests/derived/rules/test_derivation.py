"""What may be minted, and how strong (AS-1, AS-2, EL-1, EL-5, AU-8, DK-2, MT-3, C2, C30)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from derived.errors import Reason
from derived.rules.assurance import AAL, Authentication, Factor, FactorClass, VerifiedFactors
from derived.rules.capping import cap
from derived.rules.eligibility import refusal, refusal_of_level
from derived.rules.kinds import MINT_FRESHNESS, MOST_DERIVED_PER_PERSON, POLICIES, Kind, policy_of
from derived.rules.lifecycle import ENDED, LIVING, State, may_move
from derived.rules.rulebook import Rulebook

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
levels = st.sampled_from(AAL)
kinds = st.sampled_from(Kind)
factors = st.frozensets(st.sampled_from([one for one in Factor if one != Factor.UPSTREAM]))


def login(**changed: object) -> Authentication:
    values: dict[str, object] = {
        "factors": frozenset({Factor.PASSWORD, Factor.TOTP}),
        "aal": AAL.AAL2,
        "root": True,
        "at": NOW,
    }
    return Authentication(**{**values, **changed})  # type: ignore[arg-type]


@given(kinds, levels, st.lists(levels, max_size=4))
def test_level_never_exceeds_ancestors_proof_or_kind(kind: Kind, own: AAL, ancestors: list[AAL]) -> None:
    """The cap is the least of the levels of all ancestors, the proof and the kind (AS-2, I1)."""
    found = cap(kind, own, *ancestors)
    assert all(found <= bound for bound in [own, policy_of(kind).ceiling, *ancestors])
    assert found in {own, policy_of(kind).ceiling, *ancestors}


@given(kinds, levels, st.lists(levels, min_size=1, max_size=4))
def test_another_ancestor_never_raises_a_level(kind: Kind, own: AAL, ancestors: list[AAL]) -> None:
    """A longer line is never stronger (C4)."""
    assert cap(kind, own, *ancestors) <= cap(kind, own, *ancestors[:-1])


def test_every_kind_has_a_policy() -> None:
    """A kind without a policy could not be capped."""
    assert set(POLICIES) == set(Kind)


@given(factors)
def test_two_factors_of_one_class_count_once(shown: frozenset[Factor]) -> None:
    """Two secrets, or two things one has, are AAL1; AAL3 is never reached by factors alone (P4, DK-2)."""
    classes = {factor.factor_class for factor in shown}
    level = VerifiedFactors(factors=shown).reach
    assert level <= AAL.AAL2
    assert (level == AAL.AAL2) == (len(classes) > 1 and FactorClass.HAVE in classes)
    assert (level == AAL.NONE) == (not shown)


@given(factors)
def test_mfa_is_claimed_only_for_two_factor_classes(shown: frozenset[Factor]) -> None:
    """`amr` says mfa exactly when it is true (RFC 8176)."""
    classes = {factor.factor_class for factor in shown}
    assert ("mfa" in VerifiedFactors(factors=shown).amr) == (len(classes) > 1 and FactorClass.HAVE in classes)


@pytest.mark.parametrize(
    ("shown", "level", "methods"),
    [
        ({Factor.PASSWORD, Factor.TOTP}, AAL.AAL2, ("mfa", "otp", "pwd")),
        ({Factor.DEVICE_KEY}, AAL.AAL1, ("pop",)),
        ({Factor.DEVICE_KEY, Factor.DEVICE_PASSPHRASE}, AAL.AAL2, ("mfa", "pop", "pwd")),
        ({Factor.PASSWORD}, AAL.AAL1, ("pwd",)),
        ({Factor.TOTP, Factor.DEVICE_KEY}, AAL.AAL1, ("otp", "pop")),
    ],
)
def test_the_rows_of_the_assurance_table(shown: set[Factor], level: AAL, methods: tuple[str, ...]) -> None:
    """standards.md, assurance lookup."""
    found = VerifiedFactors(factors=frozenset(shown))
    assert (found.reach, found.amr) == (level, methods)


def test_fresh_root_login_at_aal2_may_issue() -> None:
    """EL-1."""
    assert refusal(login(), now=NOW) is None


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"root": False}, Reason.NOT_A_ROOT),
        ({"aal": AAL.AAL1}, Reason.LOGIN_TOO_WEAK),
        ({"aal": AAL.NONE}, Reason.LOGIN_TOO_WEAK),
        ({"at": NOW - MINT_FRESHNESS - timedelta(seconds=1)}, Reason.LOGIN_TOO_OLD),
        ({"at": NOW + timedelta(seconds=1)}, Reason.LOGIN_TOO_OLD),
    ],
)
def test_any_other_login_may_not_issue(changed: dict[str, object], reason: Reason) -> None:
    """A derived credential is no parent, AAL1 issues nothing, and a stale login must be repeated (EL-1, AU-8, trap
    10).
    """
    assert refusal(login(**changed), now=NOW) == reason


@given(st.sampled_from(AAL), st.booleans(), st.integers(-3600, 3600))
def test_only_a_fresh_root_login_at_aal2_may_issue(aal: AAL, root: bool, age: int) -> None:  # noqa: FBT001
    """No combination gets past the three conditions."""
    allowed = refusal(login(aal=aal, root=root, at=NOW - timedelta(seconds=age)), now=NOW) is None
    assert allowed == (root and aal >= AAL.AAL2 and 0 <= age <= MINT_FRESHNESS.total_seconds())


def test_device_key_below_aal2_is_not_issued() -> None:
    """Ruling 1."""
    assert refusal_of_level(Kind.DEVICE_KEY, AAL.AAL1) == Reason.KEY_TOO_WEAK
    assert refusal_of_level(Kind.DEVICE_KEY, AAL.AAL2) is None


def test_number_of_devices_is_bounded() -> None:
    """EL-5; families of tokens are not counted (ruling 17)."""
    most = MOST_DERIVED_PER_PERSON
    assert Rulebook().refusal_of_number(Kind.DEVICE_KEY, of_kind=1, in_all=most) == Reason.TOO_MANY_CREDENTIALS
    assert Rulebook().refusal_of_number(Kind.TOKEN_FAMILY, of_kind=most, in_all=most) is None


@given(st.sampled_from(sorted(ENDED)), st.sampled_from(State))
def test_end_states_are_final(ended: State, after: State) -> None:
    """Revoked and expired are final (MT-3, C30)."""
    assert not may_move(ended, after)


@given(st.sampled_from(sorted(LIVING)))
def test_every_living_state_can_be_revoked(state: State) -> None:
    """IV-1."""
    assert may_move(state, State.REVOKED)


def test_nothing_becomes_pending_again() -> None:
    """An activation is not repeated."""
    assert not any(may_move(state, State.PENDING) for state in State)
