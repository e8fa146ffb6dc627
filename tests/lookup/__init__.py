"""Tables of levels, from login to token.

    test_kinds    kind × root × evidence
    test_lookup   the assurance look-up of the standards

May import everything.
"""
