"""The OpenID provider, the logins, the pages, and the Django project.

    config         the typed configuration; the only reader of the environment
    settings       Django's settings, derived from it
    urls           every URL
    rsgi           the application that `manage.py serve` runs
    apps           the Django apps
    command_line   the entry of `manage.py` and `ramet`
    edge           every request and response: hosts, sizes, headers, the peer's address
    pages          rendering and error pages
    brand          the organisation's logo and colours
    home           the front page, and addresses that every site has
    published      discovery documents, keys, CRLs, OCSP
    health         liveness and readiness
    errors         each Reason as an OAuth error, an HTTP status, and words for people
    logs           the form of log lines
    secrets        random values and hashes
    keys           the keyring and the wrapper of this process
    uris           redirect URIs
    gate           limits on anonymous requests
    outbound       the guarded fetcher
    wire           connections to checked addresses
    renamed        former names of operator files
    models         the tables
    formats        the formats of dates in English
    postgresql     Django's backend for PostgreSQL, with a cheaper health check
    oidc           the OpenID provider
    login          logins and sessions
    enrol          binding of credentials
    requests       requests for credentials: the pages of those who ask, decide and collect
    console        pages of managers and owners
    agreements     trust agreements with relying parties, and redress
    clients        relying parties
    upstreams      other OpenID providers
    certificates   validation of certificates
    policies       policy files
    evidence       exports for auditors, and reports
    witness        the record outside the database, and restored backups
    signals        the worker: notices, logout tokens, feeds
    checks         system checks
    management     commands
    conformance    the profile for the OpenID conformance suite

May import `scim` and `derived`. Only `manage.py` and the tests import it.
"""
