"""Tests of `idp`.

    test_closed       when the house cannot decide, the answer is a refusal
    test_command_line  `manage.py` and `ramet`: their Python, their version, bad and unknown variables
    test_edges        what arrives, and what is made of it: parameters, URIs, codes, passwords, reserved claims
    test_journey      the road through all three storeys, step by step, as the issue tells it
    test_machines     what programs call is served without what serves cookies: every view there needs none, and
    test_matrix       the route × gate matrix
    test_postgresql   the health check of a connection, without a statement
    test_routes       every route of the house is classified
    test_site         addresses at which browsers, search engines and strangers look at every site
    test_small_gates  small gates at the edge: CSP sources, addresses that are nobody's, unreadable files
    agreements        trust agreements and redress
    certificates      certificates of others: path validation and revocation status
    checks            the system checks
    clients           clients and their keys
    conformance       the configurations for the OpenID conformance suite
    console           the console of identity managers
    enrol             enrolment
    evidence          exports that are verified offline, and reports
    login             the login page, sessions, throttling
    oidc              openID Connect and OAuth
    policies          policy files and FIDO's metadata
    requests          requests for credentials: asking, deciding, collecting
    signals           the worker: mail, logout tokens, deliveries, purging
    upstreams         upstream OpenID providers
    witness           the witness of the ledger, kept outside of the database

May import everything.
"""
