"""The profile for the OpenID conformance suite.

    test_suite   the configurations that are written for the suite

May import everything.
"""
