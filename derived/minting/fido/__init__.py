"""FIDO: whether an attestation proves an authenticator model, and the metadata about models.

    attestation   the judgement of a WebAuthn attestation
    metadata      the metadata service's file, and the operator's policy on models

May import: the standard library, cryptography, `derived.errors` and `minting.chains`.
"""
