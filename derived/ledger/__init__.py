"""Locked reads and writes of the ledger, used by every change.

    prepared_sql        SQL compiled once from a queryset, then only bound and executed
    locking             the account lock, transactions and their retries
    single_use          codes, `jti`s and time steps that are consumed exactly once
    chain_key           the key of the audit chain, wrapped in the database
    audit               the hash chain of an account
    merkle              one hash over many leaves (RFC 9162)
    public_heads        the heads of chains that anybody can compute, for checkpoints and exports
    replay              the rows of an account as its Events tell them, to find rows changed by SQL
    outbox              messages to the outside, written with the change that causes them
    status              the read side: whether a credential is live, and its present level
    rows                a ledger row with its Event and its notice
    accounts            create, vouch for and reopen accounts
    bound_keys          names of public keys, each bound once
    exclusive_holders   cards and upstream identities that belong to a single account at a time

May import: Django's ORM, `derived.models` and packages below them. The caller holds the account's lock.
"""
