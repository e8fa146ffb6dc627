"""One module per grant type: each turns a proof of authority into a `Grant`; `oidc.tokens` turns that into tokens."""
