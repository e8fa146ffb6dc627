"""The ledger's rows, its audit chain and its outbox.

    test_audit_chain  the keyed audit chain: no rewriting by SQL goes unseen, and the database refuses the
    test_ledger       the ledger's moves against the database: the record, the cascade, the lock's clock, keys
    test_replay       rows that were changed by SQL without an event
    test_prepared_sql  constants in the text, bound rows, the kept cursor

May import everything.
"""
