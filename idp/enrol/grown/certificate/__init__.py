"""Derived certificates.

    pages             request, download, correct the name
    form              the request and the attestation of the form
    issuing           record, sign, release; renewal; PKCS #12
    by_code           a certificate for another device, by a code
    est               EST (RFC 7030)
    attestation_api   proof of hardware over a code

May import `idp.enrol.grown.codes` and packages below `idp.enrol`.
"""
