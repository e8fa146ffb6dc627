"""The endpoints beside authorization.

    tokens          the token, userinfo, introspection and revocation endpoints
    resource        an access token, verified and read from the ledger
    introspection   token introspection (RFC 7662, RFC 9701)
    par             pushed authorization requests (RFC 9126)
    logout          RP-initiated logout
    registration    dynamic client registration (RFC 7591, RFC 7592)
    cors            cross-origin headers
    scim_callers    access tokens and certificates of SCIM sources

May import the rest of `idp.oidc`, `idp.login`, `idp.clients`, `idp.certificates` and `scim`.
"""
