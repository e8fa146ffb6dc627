"""The test suite: `make test` runs it (tests/run); docs/testing.md says how to run a part.

    environment    the environment of a run, set before Django reads it
    conftest       fixtures of every test
    lock           `make lock`: resolve the dependencies
    messages       `make messages`: collect the texts that people read, compile the translations
    summary        the last words of a run: the slowest tests, statements that no test tried on PostgreSQL
    plugins        which tests run where, what they cost, which statements they send
    fixtures       what tests share: a Ramet in this process, servers, authenticators, an authority, clients
    derived        the tests of `derived`, room by room
    scim           the tests of `scim`, room by room
    idp            the tests of `idp`, room by room
    device         the tests of the reference device client
    demo           the demo
    repository     rules about the repository's own text
    browser        pages in Chromium
    conformance    third-party clients and checkers, and the OpenID suite's modules
    edge           header names, slow callers and proxies, against the real server
    fuzz           mutated requests
    peers          programs and servers that others wrote
    races          parallel requests against a live Ramet
    secrecy        secrets in logs, pages, files and copies of the database
    upgrades       databases of former releases, migrated and used

May import everything.
"""
