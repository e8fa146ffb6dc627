"""Marked secrets in every secret field, forced errors, and a search for them (R16, I10).

    journey        use and misuse of every secret
    test_secrecy   logs, errors, files, a copy of the database

May import everything.
"""
