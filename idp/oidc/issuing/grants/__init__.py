"""Grant types: each turns a proof of authority into a `Granted`, which `issuing.tokens` turns into tokens.

    base                 checks that every grant type shares
    authorization_code   codes (RFC 6749 §4.1, RFC 7636)
    refresh_token        refresh tokens, with rotation
    device_code          device codes (RFC 8628)
    device_key           assertions by a device key (RFC 7523)
    client_credentials   a client's own tokens (RFC 6749 §4.4)

May import the other modules of `idp.oidc.issuing` except `provider`.
"""
