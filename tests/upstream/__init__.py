"""Upstream OpenID providers.

    conftest            an upstream, and a linked person
    liar                an upstream that gives false answers
    test_linking        linking
    test_login          login
    test_lower          a cap or a disabled upstream
    test_management     `manage.py upstream`
    test_second_ramet   another Ramet as upstream
    test_words          tables of levels

May import everything.
"""
