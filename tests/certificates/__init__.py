"""Path validation and revocation status of cards.

    conftest        a PKI with a responder
    pkits           NIST PKITS as data
    test_bytes      malformed certificates
    test_icam       the ICAM test cards, if present
    test_paths      building paths
    test_pkits      NIST PKITS
    test_status     CRL and OCSP
    test_validate   each reason of a refusal

May import everything.
"""
