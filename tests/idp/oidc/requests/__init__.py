"""Parameters of requests.

    test_jar       signed request objects
    test_refusals  one log line for each refused request
    test_requests  what a request may ask for, and how its answer comes back: PKCE, nonce, form_post, claims, accounts
    test_targets   what an access token is for, what it looks like, how long it lives

May import everything.
"""
