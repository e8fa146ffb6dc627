"""The authorization endpoint and the device flow.

    authorize     the authorization endpoint and its pages
    decision      every gate between a request and a code, as a pure function
    device_flow   the device authorization grant (RFC 8628)

May import `idp.oidc.issuing` and packages below it, `idp.login` and `idp.clients`.
"""
