"""A person's changes to their own credentials.

    test_passwords        passwords and authenticator apps
    test_roots            rename, remove, report a loss
    test_under_the_lock   the checks under the lock

May import everything.
"""
