"""What a root is worth, and who may add or change one (the assurance look-up; AU-1, AU-4, AU-7, DK-2, PK-1, PK-2,
P2; rulings 5, 6).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from derived.errors import Reason
from derived.rules.assurance import AAL, Assertion, Authentication, Factor, VerifiedFactors
from derived.rules.capping import cap
from derived.rules.eligibility import BoundBy, BoundVia, refusal_to_add, refusal_to_change
from derived.rules.kinds import MINT_FRESHNESS, Kind

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
levels = st.sampled_from(AAL)
own_factors = st.frozensets(st.sampled_from([one for one in Factor if one != Factor.UPSTREAM]))

CARD = {Factor.PIV_CARD, Factor.PIV_PIN}
VERIFIED = {Factor.PASSKEY, Factor.USER_VERIFICATION}


def login(**changed: object) -> Authentication:
    values: dict[str, object] = {"factors": frozenset(CARD), "aal": AAL.AAL3, "root": True, "at": NOW}
    return Authentication(**{**values, **changed})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("factors", "hardware", "level", "methods", "resistant"),
    [
        (CARD, True, AAL.AAL3, "hwk mfa pin sc", True),
        (VERIFIED, True, AAL.AAL3, "hwk mfa user", True),
        (VERIFIED, False, AAL.AAL2, "mfa pop user", True),
        ({Factor.PASSKEY}, True, AAL.AAL1, "pop user", True),
        ({Factor.PASSKEY}, False, AAL.AAL1, "pop user", True),
        ({Factor.PASSKEY, Factor.PASSWORD}, True, AAL.AAL3, "mfa pop pwd user", True),
        ({Factor.PASSKEY, Factor.PASSWORD}, False, AAL.AAL2, "mfa pop pwd user", True),
        ({Factor.PASSWORD, Factor.TOTP}, False, AAL.AAL2, "mfa otp pwd", False),
        ({Factor.DEVICE_KEY}, False, AAL.AAL1, "pop", False),
        ({Factor.DEVICE_KEY, Factor.DEVICE_PASSPHRASE}, False, AAL.AAL2, "mfa pop pwd", False),
        ({Factor.CERTIFICATE, Factor.USER_VERIFICATION}, False, AAL.AAL2, "mfa pop user", True),
        ({Factor.CERTIFICATE, Factor.USER_VERIFICATION}, True, AAL.AAL3, "hwk mfa user", True),
    ],
)
def test_the_rows_of_the_assurance_look_up(
    factors: set[Factor],
    hardware: bool,  # noqa: FBT001
    level: AAL,
    methods: str,
    resistant: bool,  # noqa: FBT001
) -> None:
    """standards.md, assurance look-up: level, `amr` and phishing resistance follow from what was shown, and from
    nothing else.
    """
    shown = VerifiedFactors(factors=frozenset(factors), hardware=hardware)
    assert (shown.reach, " ".join(shown.amr), shown.phishing_resistant) == (level, methods, resistant)


@given(own_factors, st.booleans())
def test_aal3_needs_phishing_resistant_hardware_and_a_second_factor(
    factors: frozenset[Factor],
    hardware: bool,  # noqa: FBT001
) -> None:
    """PK-2, AU-4: a one-time password never reaches it, nor does an unattested key, nor a key alone."""
    shown = VerifiedFactors(factors=factors, hardware=hardware)
    if shown.reach == AAL.AAL3:
        assert hardware
        assert shown.phishing_resistant
        assert shown.is_multi_factor
    if not factors & {Factor.PIV_CARD, Factor.CERTIFICATE, Factor.PASSKEY}:
        assert shown.reach <= AAL.AAL2
        assert not shown.phishing_resistant
    assert not shown.hardware_protected or shown.phishing_resistant


@given(own_factors, st.sampled_from(Factor), st.booleans())
def test_another_factor_never_lowers_a_level(factors: frozenset[Factor], more: Factor, hardware: bool) -> None:  # noqa: FBT001
    """An additional verified factor never counts against a person."""
    if more != Factor.UPSTREAM:
        before, after = (VerifiedFactors(factors=one, hardware=hardware).reach for one in (factors, factors | {more}))
        assert after >= before


@given(levels, st.booleans(), st.booleans())
def test_upstream_level_is_its_own_statement(aal: AAL, resistant: bool, hardware: bool) -> None:  # noqa: FBT001
    """AU-7: a missing statement is worth nothing; `phrh` is not claimed of a login that is not phishing-resistant."""
    said = Assertion(
        issuer="https://up.example", aal=aal, phishing_resistant=resistant, hardware=hardware, amr=("pwd", "pwd")
    )
    shown = VerifiedFactors(factors=frozenset({Factor.UPSTREAM}), asserted=said)
    assert (shown.reach, shown.phishing_resistant, shown.hardware_protected) == (aal, resistant, resistant and hardware)
    assert shown.amr == ("pwd",)


@given(own_factors)
def test_upstream_login_does_not_combine_with_our_factors(factors: frozenset[Factor]) -> None:
    """Ruling 6: factors combine inside one login only, and this one happened elsewhere."""
    said = Assertion(issuer="https://up.example", aal=AAL.AAL2)
    with pytest.raises(ValueError, match="without other factors"):
        VerifiedFactors(factors=factors, asserted=said)
    with pytest.raises(ValueError, match="without other factors"):
        VerifiedFactors(factors=factors | {Factor.UPSTREAM})


@given(st.sampled_from(Kind), st.sampled_from(BoundVia), levels, levels)
def test_added_root_is_capped_by_the_login_that_added_it(
    kind: Kind, how: BoundVia, login_aal: AAL, replaced: AAL
) -> None:
    """Ruling 5: an added root is worth the login that added it at most; AAL3 needs a card, or a login at AAL3."""
    bound_by = BoundBy(how=how, login=login(aal=login_aal), replaces=replaced)
    ceiling = bound_by.ceiling(kind)
    if how == BoundVia.LOGIN:
        assert ceiling == login_aal
    if how == BoundVia.RECOVERY:
        assert ceiling == replaced
    if how in {BoundVia.INVITATION, BoundVia.MANAGER}:
        assert (ceiling == AAL.AAL3) == (kind == Kind.PIV_CARD)
    assert cap(kind, AAL.AAL3, ceiling) <= ceiling


def test_binding_by_login_without_a_login_is_worth_nothing() -> None:
    """A binding that says LOGIN and brings none is worth nothing."""
    assert BoundBy(how=BoundVia.LOGIN).ceiling(Kind.PASSKEY) == AAL.NONE


@given(levels, levels, st.booleans(), st.integers(-3600, 3600))
def test_change_needs_a_fresh_root_login_of_at_least_the_same_level(
    aal: AAL,
    affected: AAL,
    root: bool,  # noqa: FBT001
    age: int,
) -> None:
    """P2: never a weaker one, never a derived one, never an old one (AU-8)."""
    found = refusal_to_change(login(aal=aal, root=root, at=NOW - timedelta(seconds=age)), affected=affected, now=NOW)
    allowed = root and aal >= AAL.AAL2 and aal >= affected and 0 <= age <= MINT_FRESHNESS.total_seconds()
    assert (found is None) == allowed


@pytest.mark.parametrize(
    ("aal", "reaches", "strongest", "reason"),
    [
        (AAL.AAL2, AAL.AAL3, AAL.AAL3, Reason.STEP_UP_NEEDED),
        (AAL.AAL2, AAL.AAL2, AAL.AAL3, None),
        (AAL.AAL2, AAL.AAL3, AAL.AAL2, None),
        (AAL.AAL3, AAL.AAL3, AAL.AAL3, None),
        (AAL.AAL1, AAL.AAL2, AAL.AAL2, Reason.LOGIN_TOO_WEAK),
    ],
)
def test_adding_needs_the_lesser_of_account_and_new_root_level(
    aal: AAL, reaches: AAL, strongest: AAL, reason: Reason | None
) -> None:
    """AU-1: AAL2 login, AAL3-capable account, AAL3 key: step up."""
    assert refusal_to_add(login(aal=aal), reaches=reaches, strongest=strongest, now=NOW) == reason
