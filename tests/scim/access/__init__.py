"""Entitlements and requests for access.

    test_entitlements  who may enter a client: asked at every way in, lost by a mover at their next step, approved
    test_requests      asking for access, deciding on it, and losing it again: the pages, and every way in
    test_roles         the matrix of roles: live roles only, supervisors by a source, separation of duties
    test_same_human    nobody approves for themselves by any road: shared addresses, matches, cards, identifiers

May import everything.
"""
