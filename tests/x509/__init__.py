"""Derived certificates and their authority.

    conftest            an authority for each test
    office              people who request certificates
    outside_ca          an external authority with `openssl ca`
    peers               OpenVPN and FreeRADIUS
    test_attested       attested keys, policy …3.41
    test_authority      keys, CRLs, OCSP
    test_cards          certificates derived from a card
    test_enrolment      page, PKCS #12, EST, renewal, login
    test_outside        an external authority
    test_peers          certificates at other programs
    test_profile        the profile
    test_renamed        a changed name
    test_requests       hostile requests
    test_third_review   findings of a third review

May import everything.
"""
