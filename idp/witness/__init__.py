"""The witness: a record outside the database of how far the audit chain has come, and of what ended (ruling 30).

    lines           a line of the witness: position, heads of chains, endings, a signed checkpoint
    folder          the witness as files below `RAMET_VAR/witness`; the interface for another kind of witness
    known           the heads and endings that the lines of a witness name
    standing        compare the database with its witness; a database that is older serves nothing
    operator_chain  the chain of sources, clients, roles, keys and policy files
    withdrawn       what an operator took away: sources, clients, secrets, keys, managers
    writing         append positions and checkpoints
    endings         append each ending at once, in the process that committed it
    verifying       read a witness, and check signatures, order and root
    restored        accept a restored backup: end sessions, families and codes, and apply the endings again

Everything here reads the ledger; only `restored` and `operator_chain` change it. May import `derived`, `scim`,
`idp.models`, `idp.keys` and `idp.config`.
"""
