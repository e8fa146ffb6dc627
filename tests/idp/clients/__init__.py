"""Clients and their keys.

    test_client_keys   keys at a client's own address: the one guarded fetcher, and what is kept of it
    test_client_terms  what an operator may say about a client, now and later

May import everything.
"""
