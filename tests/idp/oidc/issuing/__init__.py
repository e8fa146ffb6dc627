"""Token issuance.

    test_client_credentials  client credentials: a service's own token, about nobody
    test_statements          how many SQL statements a token costs: the budget of performance.md, which no change
    test_tokens              codes, refresh tokens, access tokens: bound, spent once, and dead with what they grew

May import everything.
"""
