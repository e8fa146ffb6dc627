"""Proofs of clients and keys.

    test_client_auth  how clients prove themselves, at every endpoint that asks
    test_dpop         every way in which a DPoP proof can be wrong, at the token endpoint and at a resource
    test_mutual_tls   relying parties that prove themselves with a certificate, and tokens bound to it
    test_signatures   signatures as an attacker makes them, at every place where a stranger's JWS is verified

May import everything.
"""
