"""Verify a proof and build the bytes: a module per form of credential.

    proven            the result of each module for a new credential, which `issue.derive` records
    device_key        device keys: JWKs and the proofs that they sign
    passkey           WebAuthn registrations and assertions
    derived_passkey   a registration as a derived passkey
    fido              FIDO attestation and metadata
    hardware          attestation statements of device keys
    csr               the public key of a certificate signing request
    weak              keys that no certificate may be issued for
    certificate       the profile of derived authentication certificates
    profile           the comparison of an issued certificate with its order
    authority         CA certificates, CRLs and OCSP responses
    signing           signatures by a key outside this process
    chains            paths from an attestation certificate to a root
    der               a strict DER reader

May import: the standard library, joserfc, cryptography, webauthn, pyOpenSSL, `derived.rules` and `derived.errors`. No
ORM, no clock, no HTTP.
"""
