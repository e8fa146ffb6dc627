"""Hardware attestation statements of device keys: a module per format.

    statement     shared by the formats: the trusted roots, the request, the result
    android_key   Android Key Attestation
    app_attest    Apple App Attest
    tpm           TPM 2.0 certify
    yubikey       YubiKey PIV attestation
    judge         the result of a statement in any format

May import: the standard library, cryptography, cbor2, `derived.rules`, `derived.errors` and `minting`'s readers of DER,
chains and key names.
"""
