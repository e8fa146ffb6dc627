"""Client authentication, DPoP, mutual TLS and our own JWTs."""
