"""Authorization requests, from parameters to a validated `Ask`.

    gate               bounds on parameters before parsing
    engine             Authlib's grammar of authorization requests and PKCE
    jar                signed request objects (RFC 9101)
    claims_parameter   the `claims` parameter
    ask                the validated request, as stored
    target             resources and audiences (RFC 8707)
    intake             validation of every request, however it arrives
    pushed             pushed requests that a browser names (RFC 9126)
    answers            authorization responses by redirect or form
    refusals           one log line for each refused request

May import `idp.oidc.proofs`, `idp.clients` and packages below them.
"""
