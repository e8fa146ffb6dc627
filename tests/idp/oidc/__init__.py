"""OpenID Connect and OAuth.

    authorization  authorization requests and the decisions on them
    claims         claims, `acr` and levels
    endpoints      endpoints beside authorization and token
    issuing        token issuance
    proofs         proofs of clients and keys
    requests       parameters of requests

May import everything.
"""
