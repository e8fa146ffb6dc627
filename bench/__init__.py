"""Requests per second of one worker on one core, beside other providers on the same machine, at the same time.

    operations     the measured operations: requests that are prepared before the clock starts
    load           send prepared requests over kept-alive loopback connections
    cores          which core serves and which one loads
    memory         the resident memory of a worker
    postgresql     a PostgreSQL for one run
    ramet          Ramet, served as an operator serves it
    inside         a process with Ramet's environment that makes codes and tokens
    peer           another provider in a process of its own
    node           node-oidc-provider (bench/node)
    django_peers   the providers on Django (bench/peers)
    peers          the sites of those providers
    scim           the SCIM benchmark
    table          medians and ratios as Markdown

`python -m bench` runs it all. No test reads its figures. May import everything.
"""
