"""Other OpenID providers: their metadata, their keys, their answers, and exactly what their words are worth.

`presets` knows what some providers are known to say; `registry` keeps the rows; `documents` fetches metadata and keys;
`trip` sends a browser there and takes the code that comes back; `idtoken` verifies; `words` maps claims to an `Assertion`.

The only door to Authlib's client. May import `idp.models`, `idp.config`, `idp.keys`, `idp.outbound`, `derived` and below.
"""
