"""Parallel requests against a live Ramet: single use is single use, and nothing outlives its person.

    conftest            the live Ramet
    inside              a process with its environment, which prepares people and reads the ledger
    pushed              its commands about sources
    watched             its commands about the account lock
    test_assertions     client assertions and key sets
    test_certificates   orders, renewals, new names
    test_deactivation   a termination against an issuance
    test_guesses        guesses
    test_lock           the account lock
    test_once           single-use objects
    test_scim           sources
    test_start          processes that start together

May import everything.
"""
