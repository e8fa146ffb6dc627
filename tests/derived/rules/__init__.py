"""The rules of issuance: no database, no clock.

    test_derivation  what may be minted, and how strong
    test_requests    the states of a request, and the approvals that the rules ask for
    test_roots       what a root is worth, and who may add or change one
    test_rulebook    who may be issued what: labels, and the operator's table

May import everything.
"""
