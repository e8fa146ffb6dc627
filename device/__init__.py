"""The reference device client: enrol a phone, tablet or VPN client as a derived credential, and use it.

    client      the protocol, step by step (docs/device-protocol.md)
    proofs      every JWS that the device key signs
    key         the device key; on a phone the Secure Enclave or the Android Keystore
    tpm         the same in a TPM 2.0, with its attestation
    keeping     the file that stores the key and its binding
    transport   HTTP: discovery, DPoP, nonces, errors
    est         a certificate over EST (RFC 7030)
    errors      the tree of errors

Written against docs/device-protocol.md and the public HTTP interface only, so that it can be ported. May import the
standard library, httpx, cryptography and joserfc; never Django, `idp`, `scim` or `derived`.
"""
