"""What is missing of a login, and what is offered: exactly what suffices (ruling 16; AS-5, TK-2, TK-3)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from derived.rules.assurance import AAL, Authentication, Factor
from derived.rules.kinds import Kind
from idp.login.choices import is_sufficient
from idp.login.need import SUPPORTED, AchievedLevel, Need, is_satisfied, least_level_for
from idp.login.ways import Way
from idp.oidc.authorization.decision import AgeLimits, Next, decide
from idp.oidc.requests.ask import Ask

levels = st.sampled_from([AAL.AAL1, AAL.AAL2, AAL.AAL3])
classes = st.sampled_from(SUPPORTED)
reaches = st.builds(AchievedLevel, aal=levels, phishing_resistant=st.booleans(), hardware_protected=st.booleans())
needs = st.builds(Need, classes=st.lists(classes, max_size=3, unique=True).map(tuple), min_aal=levels)
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


@given(needs, reaches)
def test_method_is_offered_exactly_when_it_can_suffice(need: Need, best: AchievedLevel) -> None:
    """Every offered method can satisfy the request; every method that can is offered."""
    way = Way(
        name="w", kind=Kind.PASSKEY, label="", hint="", url="/", reaches=best.aal,
        phishing_resistant=best.phishing_resistant,
        hardware=best.hardware_protected,
    )  # fmt: skip
    answers = best.aal >= need.min_aal and (
        not need.classes or any(is_satisfied(value, best) for value in need.classes)
    )
    assert is_sufficient(way, need) == answers


@given(needs, reaches)
def test_missing_part_is_named_exactly_when_insufficient(need: Need, shown: AchievedLevel) -> None:
    """The message names a level, a kind of key, or its hardware; of several classes the nearest."""
    said = need.missing(shown)
    if not need.is_met_by(shown):
        assert said != "another sign-in"
    if f"AAL{int(shown.aal)})" in said:
        assert (
            any(max(least_level_for(value).aal, need.min_aal) > shown.aal for value in need.classes or [SUPPORTED[0]])
            or need.min_aal > shown.aal
        )


@given(classes, reaches)
def test_demands_and_is_true_agree(value: str, shown: AchievedLevel) -> None:
    """`demands` and `is_true` say the same."""
    least = least_level_for(value)
    covers = (
        shown.aal >= least.aal
        and shown.phishing_resistant >= least.phishing_resistant
        and shown.hardware_protected >= least.hardware_protected
    )
    assert is_satisfied(value, shown) == covers


@given(needs)
def test_need_survives_the_session_store(need: Need) -> None:
    """What was put down is what is read."""
    assert Need.restored(need.stored()) == need


@given(
    st.timedeltas(timedelta(), timedelta(hours=30)), st.timedeltas(timedelta(), timedelta(hours=2)),
    st.none() | st.timedeltas(timedelta(), timedelta(hours=30)),
    st.none() | st.timedeltas(timedelta(), timedelta(hours=2)),
)  # fmt: skip
def test_client_may_limit_age_and_idle_time(
    age: timedelta, idle: timedelta, most_session: timedelta | None, most_idle: timedelta | None
) -> None:
    """SS-1, SS-2: stricter per client: an older or an idler login is asked for again, and `prompt=none` is told."""
    login = Authentication(factors=frozenset({Factor.PASSWORD, Factor.TOTP}), aal=AAL.AAL2, root=True, at=NOW - age)
    limits = AgeLimits(most_session=most_session, most_idle=most_idle, idle=idle)

    def decided(prompt: tuple[str, ...]) -> Next | str:
        ask = Ask(scope="openid", code_challenge="x" * 43, prompt=prompt)
        found = decide(
            ask, login, asked_at=NOW, min_aal=AAL.AAL1, reachable=[], consent_needed=False, now=NOW, limits=limits
        )
        return found.error or found.next

    again = (most_session is not None and age > most_session) or (most_idle is not None and idle > most_idle)
    assert decided(()) == (Next.LOG_IN if again else Next.GRANT)
    assert decided(("none",)) == ("login_required" if again else Next.GRANT)
