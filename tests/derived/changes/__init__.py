"""Changes of the ledger: issuance, renewal, revocation, suspension.

    test_any_sequence  any sequence of logins, enrolments, refreshes, step-ups, clock moves and revocations
    test_by_person     what a page allowed is asked again with the account locked
    test_compromise    A root whose key was compromised takes with it what its holder made since, wherever that
    test_issue         the one way in for every kind that is grown here, against the database

May import everything.
"""
