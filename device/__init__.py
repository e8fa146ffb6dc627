"""The reference device client: what a phone, a tablet or a VPN client does to become, and to use, a derived credential.

It is written against `docs/device-protocol.md` and the public HTTP interface only, so that it can be ported: `key.py`
is what lives in the Secure Enclave or Android Keystore, `proofs.py` is every JWS that the key signs, `client.py` is the
protocol step by step, `transport.py` is its HTTP, `keeping.py` is what the device remembers, `est.py` is a certificate over EST, `errors.py` is what can
go wrong. `tpm.py` keeps the key in a TPM 2.0 instead of a file, and lets the TPM say so.

It imports the standard library, httpx, cryptography and joserfc; never Django, `idp`, `scim` or `derived`.
"""
