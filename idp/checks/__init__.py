"""System checks at start-up, each with the remedy in a line.

    agreements         the site's file, and the trust agreements with clients
    configuration      settings, engines, the database, policy files
    certificate_host   the certificate host and its proxy
    pki_folder         the files in `RAMET_VAR/pki`
    proxies            the trusted proxies and their headers
    production         defaults that suit no public installation
    witness            the database against its witness

May import the packages that they check: `idp.config`, `idp.policies`, `idp.agreements`, `idp.certificates`,
`idp.login.hop`, `idp.witness`.
"""
