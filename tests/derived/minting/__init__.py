"""What is minted, and what proves a key: pure functions over bytes.

    test_certificate_profile   the profile, row by row: X-1 to X-6, C91; by parsing, and by openssl's strictest
    test_certificate_requests  hostile requests: of a request only the key is used, its proof must hold, and the
    test_device_proofs         proofs by a device key: mutate each part and it is refused
    test_fido_attestation      what an attestation proves: real keys against FIDO's metadata, and forgers against it
    test_hardware              what proves that a device key is in hardware, and what does not: real samples, and
    test_passkey_ceremonies    the rules of a ceremony, one falsified part at a time: each is refused, and the

May import everything.
"""
