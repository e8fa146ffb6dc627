"""One change against the database.

    grown               a verified proof of every derived kind
    unsafe_urls         a URLconf that must not start
    test_audit_chain    the keyed chain, the triggers, the tree of a checkpoint
    test_client_terms   a client's terms
    test_compromise     a compromised root
    test_grown          issuance of every derived kind
    test_ledger         the ledger, the audit chain, keys, the outbox
    test_machine        a stateful model of logins and changes
    test_outbox         delivery
    test_pgbouncer  no session setting stays behind PgBouncer
    test_production     an https issuer, and modes of files
    test_purging        purging
    test_signals        logout tokens, system checks, commands

May import everything.
"""
