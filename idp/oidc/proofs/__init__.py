"""Proofs that a client sends with a request.

    client_auth   client authentication
    dpop          DPoP proofs (RFC 9449)
    nonce         DPoP nonces
    mutual_tls    client certificates (RFC 8705)
    bound         the key or certificate to which tokens are bound
    own_jwts      JWTs that Ramet signed

May import `idp.clients`, `idp.certificates`, `idp.login` and packages below them.
"""
