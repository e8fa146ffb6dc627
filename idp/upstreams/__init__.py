"""Other OpenID providers: their metadata, their keys, their answers, and exactly what their words are worth.

The only door to Authlib's client. May import `idp.models`, `idp.config`, `idp.keys`, `idp.outbound`, `derived` and below.
"""
