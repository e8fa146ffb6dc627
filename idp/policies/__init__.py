"""The operator's policy files, read again whenever they change.

    issuance        the issuance rules of `var/issuance.toml`
    site            the organisation's settings of the site, `var/site.toml`
    colours         its two colours as a palette that people can read
    attestation     trusted roots of hardware attestation, and the operator's lists
    fido_metadata   FIDO metadata, and the operator's policy on models

A file that cannot be read refuses, never permits. May import `derived`, `idp.config` and `scim.access`.
"""
