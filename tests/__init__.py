"""The test suite: `make test` runs it (tests/run); docs/testing.md says how to run a part.

    environment    the environment of a run, set before Django reads it
    conftest       fixtures of every test
    world          a whole Ramet in this process, with people, clients and devices
    in_process     httpx's way into the application, through the edge's rules for header fields
    hop            the header field of the certificate host's proxy
    live           a Ramet served by processes of its own, with a worker
    lock           `make lock`: resolve the dependencies
    summary        the last words of a run: the slowest tests, statements that no test tried on PostgreSQL
    plugins        which tests run where, what they cost, which statements they send
    fixtures       what tests share
    upgrades       databases of former releases, migrated and used
    rules          pure rules, and the repository's own rules; no database
    usecases       one change against the database
    http           OpenID Connect, OAuth and pages over HTTP, in process
    login          the login page, sessions, throttling
    own            a person's changes to their own credentials
    lookup         tables of levels, from login to token
    webauthn       passkeys and security keys
    card           PIV and CAC cards, mutual TLS
    certificates   path validation and revocation status
    x509           derived certificates and their authority
    attestation    proof of hardware of device keys
    upstream       upstream OpenID providers
    scim           SCIM, sources, groups, the feed
    access         entitlements and requests for access
    console        the console of identity managers
    edge           header names, slow callers and proxies, against the real server
    witness        the witness outside the database, and restored backups
    races          parallel requests against a live Ramet
    secrecy        secrets in logs, pages, files and copies of the database
    fuzz           mutated requests
    browser        pages in Chromium
    demo           the demo and the device client
    conformance    third-party clients and checkers, and the OpenID suite's modules

May import everything.
"""
