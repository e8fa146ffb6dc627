"""Token families, grant types and tokens.

    grants       a module per grant type
    families     open a token family, and its consent and entitlement checks
    live         whether a family is live, at every use of its tokens
    statements   prepared SQL with everything that a token depends on
    tokens       access tokens, ID tokens and refresh tokens from a grant
    server       the token endpoint on Authlib's server
    provider     the assembled server

May import `idp.oidc.claims` and packages below it, `idp.login`, `idp.clients` and `derived`.
"""
