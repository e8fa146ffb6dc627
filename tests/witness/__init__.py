"""The witness outside the database (ruling 30, C90, R17).

    test_restore    a restored backup, with the real server and worker
    test_writing    positions, checkpoints and the operator's chain, in process
    test_verify     a changed ledger against its witness

May import everything.
"""
