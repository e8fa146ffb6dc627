"""Parallel requests against a live Ramet: single use is single use, and nothing outlives its person.

    test_assertions    clients that sign, a hundred at the same moment: an assertion serves once, and their keys
    test_certificates  certificates with a hundred at the same moment: one code, one decision, one renewal, one
    test_deactivation  HR ends a person while something is being minted for them: whoever comes first, nothing is
    test_guesses       A hundred guesses at the same moment are a hundred guesses, however they are spelled
    test_lock          the account lock is what it is said to be: BEGIN IMMEDIATE on SQLite, FOR UPDATE in a
    test_once          what may be used once is used once, with a hundred at the same moment
    test_passkeys      A challenge serves once, with a hundred completions at the same moment
    test_requests      one collection of an approved request, and one of two decisions
    test_scim          sources that say the same, or the opposite, at the same moment
    test_start         many processes that start together agree on one signing key and one development

May import everything.
"""
