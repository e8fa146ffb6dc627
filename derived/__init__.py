"""The ledger of credentials: which may be issued, at which level, until when, and how each ends.

    rules        pure decisions: levels, kinds, eligibility, the cap, legal transitions, the operator's rulebook
    errors       the reasons of every refusal, and the exceptions that carry them
    clock        the only module that reads the clock
    wrapping     secrets at rest under the operator's key-encryption key
    models       the tables: accounts, credentials and their verifiers, the audit chain, the outbox, authorities
    minting      verify a proof and build the bytes of a credential
    ledger       locked reads and writes: the account lock, status, audit, outbox, single use
    keyring      the keys that sign tokens: creation, rotation, publication
    signers      the backends of an authority's key
    authority    the certification authority: certificates, CRLs, OCSP
    changes      every legal change of a credential or an account
    apps         the Django app

The two invariants are here, once: no credential outranks an ancestor (`rules.capping`, applied by `ledger.rows`), and
ending an account ends everything that belongs to it (`changes.revoke`). May import: the standard library, Django's
ORM (not in `rules` and `minting`), joserfc, cryptography and webauthn. Never imports `scim` or `idp`, and holds
nothing of HTTP.
"""
