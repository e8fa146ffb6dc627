"""Claims of tokens, userinfo and introspection.

    acr         the authentication context class that answers a request; pure
    assurance   the claims of the scope `assurance`
    words       scopes in words, for the people who allow them
    claims      scopes to claims, and the reserved claims

May import `idp.oidc.requests`, `idp.login`, `idp.clients` and packages below them.
"""
