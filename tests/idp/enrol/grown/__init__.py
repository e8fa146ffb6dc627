"""Derived credentials: device keys, passkeys, certificates.

    test_attested_device_keys  device keys with proof of hardware, over the protocol: what they are worth, and a
    test_derived_passkeys      passkeys that grow from a root, over HTTP: made here or on a phone, used once
    test_device_keys           invitations and bindings
    certificate                derived certificates

May import everything.
"""
