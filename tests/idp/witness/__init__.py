"""The witness of the ledger, kept outside of the database.

    test_checkpoints  checkpoints with the tree of public heads, two workers, texts of policies
    test_endings  an ending is appended at once, and neither waits nor fails
    test_restore  A backup is restored while the witness stays: nothing is served until an operator accepts it
    test_rewritten  Events that SQL removed, and later Events that do not cover them
    test_verify   A ledger that was changed by SQL, against its witness; also by somebody who holds the chain key
    test_writing  positions, checkpoints, the operator's chain and an accepted restore, in process

May import everything.
"""
