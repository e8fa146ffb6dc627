"""No attribute of a person sets a claim that only we may say (C17, E22, A7; decision 6)."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from idp.oidc.claims.claims import RESERVED, assemble

# IANA's registry "JSON Web Token Claims", as of 2026; about the person are those of OpenID Connect Core §5.1 and its like.
PERSONAL = frozenset(
    """
    name given_name family_name middle_name nickname preferred_username profile picture website email email_verified gender
    birthdate zoneinfo locale phone_number phone_number_verified address updated_at roles groups entitlements place_of_birth
    nationalities birth_family_name birth_given_name birth_middle_name salutation title msisdn also_known_as
    """.split()  # noqa: SIM905 - a list to be read
)
REGISTERED = sorted(
    frozenset(
        """
        iss sub aud exp nbf iat jti azp nonce auth_time at_hash c_hash acr amr sub_jwk cnf sip_from_tag sip_date sip_callid
        sip_cseq_num sip_via_branch orig dest mky events toe txn rph sid vot vtm attest origid act scope client_id may_act jcard
        at_use_nbr div opt vc vp sph ace_profile cnonce exi token_introspection eat_nonce ueid sueids oemid hwmodel hwversion
        oemboot dbgstat location eat_profile submods uptime bootcount bootseed dloas swname swversion manifests measurements
        measres intuse cdniv cdnicrit cdniip cdniuc cdniets cdnistt cdnistd sig_val_claims authorization_details verified_claims
        rsn rcd rcdi crn msgi _claim_names _claim_sources rdap_allowed_purposes rdap_dnt_allowed geohash htm htu ath atc sub_id
        s_hash
        """.split()  # noqa: SIM905 - a list to be read
    )
    | PERSONAL
)
VALUES = st.one_of(st.text(max_size=8), st.integers(), st.none(), st.lists(st.text(max_size=4), max_size=3))
ABOUT = st.dictionaries(
    st.one_of(st.sampled_from(REGISTERED), st.sampled_from(sorted(RESERVED)), st.text(max_size=8)), VALUES, max_size=8
)
OURS = st.dictionaries(st.sampled_from(sorted(RESERVED)), VALUES, max_size=8)


def test_every_registered_name_is_personal_or_ours() -> None:
    """C17: none is forgotten."""
    assert not set(REGISTERED) - PERSONAL - RESERVED
    assert not PERSONAL & RESERVED


@settings(suppress_health_check=[HealthCheck.too_slow])  # the first draw is slow on a busy machine
@given(ABOUT, OURS)
def test_what_is_reserved_comes_from_us_alone(about: dict[str, object], ours: dict[str, object]) -> None:
    """C17: whatever a source calls its attributes, a reserved claim has our value or is not there."""
    found = assemble(about, ours)
    said = {name: value for name, value in ours.items() if value not in (None, "")}
    assert {name: value for name, value in found.items() if name in RESERVED} == said
    assert {name for name in found if name not in RESERVED} == set(about) - RESERVED
