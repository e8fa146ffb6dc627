"""Upstream OpenID providers: their metadata, keys and responses, and the value of their claims.

    registry    the upstreams that an operator trusts
    presets     known conventions of some providers
    documents   metadata and keys, fetched and kept
    trip        an authorization request to an upstream, and its response
    idtoken     verification of the ID token
    words       claims to an `Assertion`, by an exact table

The only package that uses Authlib's client. May import `idp.models`, `idp.config`, `idp.keys`, `idp.outbound`,
`derived` and packages below them.
"""
