"""Endpoints beside authorization and token.

    test_answers       what relying parties are told: by userinfo, by introspection, signed or plain, and by the
    test_logout        RP-initiated logout
    test_par           pushed authorization requests
    test_registration  clients that register themselves

May import everything.
"""
