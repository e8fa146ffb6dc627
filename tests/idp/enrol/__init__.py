"""Enrolment.

    devices  the page of a person's devices
    grown    derived credentials: device keys, passkeys, certificates
    roots    root credentials: passwords, passkeys, cards, upstream identities, recovery

May import everything.
"""
