"""Passkeys and security keys.

    authenticator      an authenticator and its browser in software
    captured           registrations of real authenticators
    conftest           the live Ramet of the races
    life               a person's steps with keys
    test_attestation   attestation
    test_ceremonies    each falsified part of a ceremony
    test_derived       derived passkeys
    test_life          the life of a key
    test_metadata      FIDO's metadata
    test_races         a challenge is single-use

May import everything.
"""
