"""Is this certificate one that we trust for authentication, now? Paths, policies, revocation, and what a card says of itself.

The only door to pyhanko-certvalidator. May import `idp.models`, `idp.config`, `idp.outbound`, `derived` and below.
"""
