"""Which context classes are true, and what is decided (ruling 16, TK-2, TK-3, AS-5, C42, SS-6)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from derived.rules.assurance import AAL, Authentication, Factor
from idp.oidc.authorization.decision import Next, decide
from idp.oidc.claims import acr
from idp.oidc.claims.acr import AchievedLevel
from idp.oidc.requests.ask import Ask

NS = "http://idmanagement.gov/ns/assurance/aal/"
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
ASKED = NOW - timedelta(minutes=5)


def login(
    aal: AAL = AAL.AAL2, *, at: datetime = NOW - timedelta(hours=1), phishing_resistant: bool = False
) -> Authentication:
    factors = frozenset({Factor.PASSWORD, Factor.TOTP})
    return Authentication(
        factors=factors,
        aal=aal,
        root=True,
        at=at,
        phishing_resistant=phishing_resistant,
        hardware_protected=aal == AAL.AAL3,
    )


def ask(**changed: object) -> Ask:
    return Ask(**{"scope": "openid", "code_challenge": "x" * 43, **changed})  # type: ignore[arg-type]


def decided(wanted: Ask, evidence: Authentication | None, **changed: object) -> tuple[Next, str]:
    values: dict[str, object] = {
        "asked_at": ASKED,
        "min_aal": AAL.AAL1,
        "consent_needed": False,
        "now": NOW,
        "reachable": [AchievedLevel(aal=AAL.AAL2, phishing_resistant=False, hardware_protected=False)],
    }
    found = decide(wanted, evidence, **{**values, **changed})  # type: ignore[arg-type]
    return found.next, found.error or found.acr


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        ([], f"{NS}2"),
        ([f"{NS}2"], f"{NS}2"),
        ([f"{NS}1"], f"{NS}1"),
        ([f"{NS}3", f"{NS}2"], f"{NS}2"),
        (["urn:unknown", f"{NS}2"], f"{NS}2"),
        (["urn:unknown"], f"{NS}2"),
        ([f"{NS}3"], None),
        (["phr"], None),
        (["phrh", f"{NS}3"], None),
        ([f"{NS}2?phishing_resistant=true"], None),
        ([f"{NS}2?phishing_resistant=true", f"{NS}2"], f"{NS}2"),
    ],
)
def test_first_requested_true_value_is_answered(asked: list[str], answer: str | None) -> None:
    """In the order asked; unknown ones are ignored; known but untrue ones never pretended (ruling 16)."""
    assert acr.first_satisfied(asked, login()) == answer


@given(st.sampled_from(AAL), st.booleans(), st.lists(st.sampled_from([*acr.SUPPORTED, "urn:x", "2", ""])))
def test_acr_is_always_true(level: AAL, resistant: bool, asked: list[str]) -> None:  # noqa: FBT001
    """For any request, the `acr` of the answer is true of the login (P7, promise 1)."""
    found = acr.first_satisfied(asked, login(level, phishing_resistant=resistant))
    if found is not None and found != f"{NS}0":
        assert acr.is_satisfied(found, AchievedLevel.of(login(level, phishing_resistant=resistant)))


def test_phrh_needs_hardware_as_well() -> None:
    """TK-3."""
    assert acr.first_satisfied(["phrh"], login(AAL.AAL2, phishing_resistant=True)) is None
    assert acr.first_satisfied(["phrh"], login(AAL.AAL3, phishing_resistant=True)) == "phrh"
    assert acr.first_satisfied(["phr"], login(AAL.AAL2, phishing_resistant=True)) == "phr"


def test_missing_session_requires_a_login() -> None:
    """With prompt=none it is an error."""
    assert decided(ask(), None) == (Next.LOG_IN, "")
    assert decided(ask(prompt=("none",)), None) == (Next.REFUSE, "login_required")


def test_prompt_login_needs_a_login_of_this_flow() -> None:
    """SS-6; re-authentication happens inside the flow (E12)."""
    wanted = ask(prompt=("login",))
    assert decided(wanted, login())[0] == Next.LOG_IN
    assert decided(wanted, login(at=NOW))[0] == Next.GRANT


@pytest.mark.parametrize(
    ("max_age", "age", "outcome"),
    [(60, 61, Next.LOG_IN), (60, 59, Next.GRANT), (0, 1, Next.GRANT), (0, 400, Next.LOG_IN)],
)
def test_max_age(max_age: int, age: int, outcome: Next) -> None:
    """A login older than requested is repeated; max_age=0 is satisfied only by a login of this flow."""
    assert decided(ask(max_age=max_age), login(at=NOW - timedelta(seconds=age)))[0] == outcome


def test_unreachable_level_is_refused_at_once() -> None:
    """AS-5: no credential of this person reaches AAL3, so asking for another login would be useless.

    Also where the login is too old for `max_age`; not where the person may sign in as somebody else, or reaches it.
    """
    unmet = (Next.REFUSE, "unmet_authentication_requirements")
    assert decided(ask(acr_values=(f"{NS}3",)), login()) == unmet
    assert decided(ask(acr_values=(f"{NS}3",), max_age=60), login()) == unmet
    assert decided(ask(max_age=60), login(), phishing_resistant=True) == unmet
    assert decided(ask(acr_values=(f"{NS}3",), max_age=60, prompt=("login",)), login())[0] == Next.LOG_IN
    assert decided(ask(acr_values=(f"{NS}3",), max_age=60), login(AAL.AAL3))[0] == Next.LOG_IN
    assert decided(ask(acr_values=(f"{NS}2",), max_age=60), login(AAL.AAL1))[0] == Next.LOG_IN
    assert decided(ask(acr_values=(f"{NS}3",), max_age=60, prompt=("none",)), login()) == (
        Next.REFUSE,
        "login_required",
    )


def test_reachable_level_is_requested_until_shown_or_declined() -> None:
    """A login at AAL1 with an AAL2 root at hand is asked for it, also when that weak login was made for this
    request; never silently.
    """
    wanted = ask(acr_values=(f"{NS}2",))
    assert decided(wanted, login(AAL.AAL1))[0] == Next.LOG_IN
    assert decided(wanted, login(AAL.AAL1, at=NOW))[0] == Next.LOG_IN
    assert decided(ask(acr_values=(f"{NS}2",), prompt=("none",)), login(AAL.AAL1, at=NOW)) == (
        Next.REFUSE,
        "unmet_authentication_requirements",
    )
    assert (
        decided(ask(acr_values=(f"{NS}2",), prompt=("none",)), login(AAL.AAL1))[1]
        == "unmet_authentication_requirements"
    )


def test_clients_minimum_applies_without_a_request() -> None:
    """C16."""
    assert decided(ask(), login(AAL.AAL1), min_aal=AAL.AAL2)[0] == Next.LOG_IN
    assert decided(ask(), login(AAL.AAL2), min_aal=AAL.AAL3) == (Next.REFUSE, "unmet_authentication_requirements")


def test_consent_comes_last_and_never_silently() -> None:
    """C54."""
    assert decided(ask(), login(), consent_needed=True)[0] == Next.CONSENT
    assert decided(ask(prompt=("none",)), login(), consent_needed=True) == (Next.REFUSE, "consent_required")
    assert decided(ask(acr_values=(f"{NS}3",)), login(), consent_needed=True)[0] == Next.REFUSE


@given(
    st.sampled_from(AAL),
    st.lists(st.sampled_from(acr.SUPPORTED), max_size=3),
    st.sampled_from([AAL.AAL1, AAL.AAL2, AAL.AAL3]),
    st.integers(0, 7200),
)
def test_granted_request_always_satisfies_its_requirements(level: AAL, asked: list[str], least: AAL, age: int) -> None:
    """No path to GRANT with an untrue acr, below the client's minimum, or too old."""
    evidence = login(level, at=NOW - timedelta(seconds=age))
    wanted = ask(acr_values=tuple(asked), max_age=3600)
    found = decide(
        wanted,
        evidence,
        asked_at=ASKED,
        min_aal=least,
        consent_needed=False,
        now=NOW,
        reachable=[AchievedLevel(aal=AAL.AAL3, phishing_resistant=True, hardware_protected=True)],
    )
    if found.next == Next.GRANT:
        assert level >= least
        assert age <= 3600
        assert not asked or (
            found.acr in asked
            and acr.is_satisfied(
                found.acr, AchievedLevel(aal=level, phishing_resistant=False, hardware_protected=False)
            )
        )
