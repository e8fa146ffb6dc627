"""The OpenID provider: authorization requests, tokens, and the endpoints of relying parties.

    lifetimes       the lifetimes of codes, tokens and token families
    proofs          client authentication, DPoP, mutual TLS, and Ramet's own JWTs
    requests        authorization requests: parsing, bounds, PAR, JAR, resources
    claims          claims, `acr`, and assurance claims
    issuing         token families, grants and tokens; the only user of Authlib's server
    authorization   the authorization endpoint, its decision, and the device flow
    endpoints       the other endpoints

Imports run down this list's order, from `endpoints` to `lifetimes`. May import `idp.login`, `idp.clients`,
`idp.models` and packages below them.
"""
