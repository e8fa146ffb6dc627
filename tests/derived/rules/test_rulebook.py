"""Who may be issued what: labels, and the operator's table (EL-2, EL-3, EL-5, BI-7, AS-3, RQ-4, RQ-5, PK-3)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from derived.errors import Reason
from derived.rules.agency import agency_of
from derived.rules.assurance import AAL, IAL, Authentication, Factor, VerifiedFactors
from derived.rules.eligibility import label_of
from derived.rules.kinds import POLICIES, Kind, Label, policy_of
from derived.rules.rulebook import ApprovedDevices, DeviceFacts, KindRules, Rulebook, in_words, read

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
CARD = Authentication(
    factors=frozenset({Factor.PIV_CARD, Factor.PIV_PIN}), aal=AAL.AAL3, root=True, at=NOW, phishing_resistant=True
)
PASSKEY = VerifiedFactors(factors=frozenset({Factor.PASSKEY, Factor.USER_VERIFICATION}))
PHONE = VerifiedFactors(factors=frozenset({Factor.DEVICE_KEY, Factor.DEVICE_PASSPHRASE}))
NOBODY: frozenset[str] = frozenset()
# The FASC-N that the SCEPACS guide works out: agency 0032, system 0001, credential 092446.
FASC_N_0032 = "d0439458210c2c19a0846d83685a1082108ce73984108ca3fc"


def changed(**values: object) -> Authentication:
    return Authentication(**{**vars(CARD), **values})


def test_derived_piv_needs_a_card_of_the_home_agency() -> None:
    """EL-2, EL-3, BI-7, AS-3: take one condition away and the label is generic."""
    good = {"root": Kind.PIV_CARD, "ial": IAL.IAL3, "own": PASSKEY, "home_agency": True}
    assert label_of(CARD, **good) == Label.DERIVED_PIV  # type: ignore[arg-type]
    worse: list[tuple[Authentication, dict[str, object]]] = [
        (CARD, {"root": Kind.PASSKEY}),
        (CARD, {"root": Kind.PASSWORD_TOTP}),
        (CARD, {"root": Kind.UPSTREAM}),
        (CARD, {"root": Kind.DERIVED_CERTIFICATE}),
        (CARD, {"ial": IAL.IAL2}),
        (CARD, {"ial": IAL.NONE}),
        (CARD, {"own": PHONE}),
        (CARD, {"home_agency": False}),
        (changed(root=False), {}),
        (changed(phishing_resistant=False), {}),
        (changed(factors=frozenset({Factor.PIV_CARD})), {}),  # the card-authentication key: no PIN
        (changed(factors=frozenset({Factor.PASSWORD, Factor.TOTP})), {}),
    ]
    for login, other in worse:
        assert label_of(login, **{**good, **other}) == Label.GENERIC, (login, other)  # type: ignore[arg-type]


@given(
    st.sampled_from(Kind),
    st.sampled_from(IAL),
    st.booleans(),
    st.sampled_from([PASSKEY, PHONE]),
    st.frozensets(st.sampled_from([one for one in Factor if one != Factor.UPSTREAM])),
)
def test_piv_label_needs_all_of_its_conditions(
    root: Kind,
    ial: IAL,
    home: bool,  # noqa: FBT001
    own: VerifiedFactors,
    factors: frozenset[Factor],
) -> None:
    """EL-2, for any login."""
    login = changed(factors=factors, phishing_resistant=bool(factors & {Factor.PIV_CARD, Factor.PASSKEY}))
    if label_of(login, root=root, ial=ial, own=own, home_agency=home) == Label.DERIVED_PIV:
        assert (root, ial, home, own) == (Kind.PIV_CARD, IAL.IAL3, True, PASSKEY)
        assert {Factor.PIV_CARD, Factor.PIV_PIN} <= factors


@pytest.mark.parametrize(("fasc_n", "agency"), [
    (FASC_N_0032, "0032"), ("", ""), ("00" * 25, ""), ("zz" * 25, ""), (FASC_N_0032[:-2], ""),
    ("d1" + FASC_N_0032[2:], ""),
])  # fmt: skip
def test_agency_is_read_from_a_valid_fasc_n(fasc_n: str, agency: str) -> None:
    """EL-3: bad parity, a wrong length or no FASC-N at all is no agency."""
    assert agency_of(fasc_n) == agency


def test_kind_is_offered_per_label_group_and_device() -> None:
    """The table decides per label, group and type of device."""
    rules = Rulebook(
        terms={
            Kind.DEVICE_KEY: KindRules(
                groups=frozenset({"Field"}), devices=frozenset({"android"}), labels=frozenset({Label.GENERIC})
            )
        }
    )
    android, field = DeviceFacts(type="android"), frozenset({"Field", "All"})
    assert rules.refusal(Kind.DEVICE_KEY, Label.GENERIC, android, groups=field) is None
    assert rules.refusal(Kind.DEVICE_KEY, Label.GENERIC, android, groups=NOBODY) == Reason.NOT_OFFERED
    assert rules.refusal(Kind.DEVICE_KEY, Label.DERIVED_PIV, android, groups=field) == Reason.NOT_OFFERED
    assert rules.refusal(Kind.DEVICE_KEY, Label.GENERIC, DeviceFacts(), groups=field) == Reason.DEVICE_NOT_APPROVED
    off = Rulebook(terms={Kind.DEVICE_KEY: KindRules(offered=False)})
    assert off.refusal(Kind.DEVICE_KEY, Label.GENERIC, android, groups=field) == Reason.NOT_OFFERED


@pytest.mark.parametrize(("listed", "device", "ok"), [
    (ApprovedDevices(models=frozenset({"Pixel 8a"})), DeviceFacts(type="android", model="Pixel 8a"), True),
    (ApprovedDevices(models=frozenset({"Pixel 8a"})), DeviceFacts(type="android", model="Pixel 8"), False),
    (ApprovedDevices(aaguids=frozenset({"a" * 8})), DeviceFacts(aaguid="a" * 8), True),
    (ApprovedDevices(serials=frozenset({"123"})), DeviceFacts(serial="123"), True),
    (ApprovedDevices(serials=frozenset({"123"})), DeviceFacts(serial="12"), False),
    (ApprovedDevices(serials=frozenset({""}), models=frozenset({""})), DeviceFacts(), False),
    (ApprovedDevices(), DeviceFacts(model="Pixel 8a", serial="123"), False),
])  # fmt: skip
def test_only_approved_devices_are_accepted(listed: ApprovedDevices, device: DeviceFacts, ok: bool) -> None:  # noqa: FBT001
    """RQ-4: an unlisted model, AAGUID or serial is refused; an empty name is on no list."""
    rules = Rulebook(terms={Kind.DEVICE_KEY: KindRules(only_approved=True)}, approved=listed)
    expected = None if ok else Reason.DEVICE_NOT_APPROVED
    assert rules.refusal(Kind.DEVICE_KEY, Label.GENERIC, device, groups=NOBODY) == expected


def test_aal3_needs_a_listed_device_assigned_to_the_person() -> None:
    """RQ-5: no assignment, no AAL3; somebody else's neither."""
    mine = DeviceFacts(type="yubikey", serial="123")
    rules = Rulebook(approved=ApprovedDevices(serials=frozenset({"123", "456"})), assigned={"123": "alex@example.org"})
    most = lambda label, device, person: rules.most(Kind.DEVICE_KEY, label, device, person=person)  # noqa: E731
    assert most(Label.DERIVED_PIV, mine, "alex@example.org") == AAL.AAL3
    assert most(Label.DERIVED_PIV, mine, "bo@example.org") == AAL.AAL2
    assert most(Label.DERIVED_PIV, mine, "") == AAL.AAL2
    assert most(Label.DERIVED_PIV, DeviceFacts(serial="456"), "alex@example.org") == AAL.AAL2
    assert most(Label.GENERIC, DeviceFacts(serial="456"), "bo@example.org") == AAL.AAL3
    assert most(Label.GENERIC, DeviceFacts(serial="789"), "bo@example.org") == AAL.AAL2
    assert most(Label.GENERIC, DeviceFacts(), "") == AAL.AAL2


def test_syncable_key_is_refused_where_the_policy_says_so() -> None:
    """PK-3: a synced key is a generic one by default, and none at all where syncing is off."""
    synced = DeviceFacts(type="passkey", synced=True)
    assert Rulebook().refusal(Kind.DEVICE_KEY, Label.GENERIC, synced, groups=NOBODY) is None
    assert Rulebook().refusal(Kind.DEVICE_KEY, Label.DERIVED_PIV, synced, groups=NOBODY) == Reason.DEVICE_NOT_APPROVED
    off = Rulebook(terms={Kind.DEVICE_KEY: KindRules(synced=frozenset())})
    assert off.refusal(Kind.DEVICE_KEY, Label.GENERIC, synced, groups=NOBODY) == Reason.DEVICE_NOT_APPROVED


def test_caps_per_kind_and_in_total() -> None:
    """EL-5."""
    rules = Rulebook(terms={Kind.DEVICE_KEY: KindRules(most=2)}, most_in_all=3)
    number = lambda of_kind, in_all: rules.refusal_of_number(Kind.DEVICE_KEY, of_kind=of_kind, in_all=in_all)  # noqa: E731
    assert [number(1, 2), number(2, 2), number(0, 3)] == [
        None,
        Reason.TOO_MANY_CREDENTIALS,
        Reason.TOO_MANY_CREDENTIALS,
    ]


WRITTEN = {
    "home_agencies": ["0032"],
    "most_in_all": 4,
    "assigned": {"123": "alex@example.org"},
    "approved": {"serials": ["123"]},
    "device_key": {
        "offered": True,
        "labels": ["generic"],
        "groups": ["Field"],
        "devices": ["android"],
        "only_approved": True,
        "most_aal": 2,
        "most": 2,
        "lifetime_days": 30,
        "synced": [],
    },
}


def test_every_setting_of_a_policy_file_has_an_effect() -> None:
    """Every key takes effect; a lifetime is never longer than the kind's."""
    rules = read(WRITTEN)
    terms = rules.of(Kind.DEVICE_KEY)
    assert (terms.most, terms.lifetime, terms.synced, terms.only_approved, terms.groups) == (
        2,
        timedelta(days=30),
        frozenset(),
        True,
        frozenset({"Field"}),
    )
    assert (rules.home_agencies, rules.most_in_all, rules.assigned["123"]) == (
        frozenset({"0032"}),
        4,
        "alex@example.org",
    )
    assert (
        read({"device_key": {"lifetime_days": 99999}}).lifetime(Kind.DEVICE_KEY) == policy_of(Kind.DEVICE_KEY).lifetime
    )
    assert read({}) == Rulebook()
    for rulebook in (rules, Rulebook(), Rulebook(terms={Kind.DEVICE_KEY: KindRules(offered=False)})):
        assert all(
            policy_of(kind).label in "\n".join(in_words(rulebook)) for kind in POLICIES if policy_of(kind).is_derived
        )


@pytest.mark.parametrize("document", [
    {"device_kye": {}}, {"password_totp": {}}, {"device_key": []}, {"device_key": {"ofered": True}},
    {"device_key": {"offered": 1}},
    {"device_key": {"most_aal": 4}}, {"device_key": {"most": -1}}, {"device_key": {"most": True}},
    {"device_key": {"lifetime_days": 0}},
    {"device_key": {"labels": ["piv"]}}, {"device_key": {"groups": "Field"}}, {"device_key": {"groups": [""]}},
    {"home_agencies": "0032"},
    {"approved": {"model": []}}, {"assigned": {"123": 1}}, {"most_in_all": "4"},
])  # fmt: skip
def test_mistyped_rule_is_an_error(document: dict[str, object]) -> None:
    """RQ-4: an unknown word is an error, and an error issues nothing."""
    with pytest.raises(ValueError):  # noqa: PT011 - which it is, the message says
        read(document)
