"""Tests of `derived`.

    authority  the certificate authority: keys, lists, answers, an authority run by others
    changes    changes of the ledger: issuance, renewal, revocation, suspension
    ledger     the ledger's rows, its audit chain and its outbox
    minting    what is minted, and what proves a key: pure functions over bytes
    rules      the rules of issuance: no database, no clock

May import everything.
"""
