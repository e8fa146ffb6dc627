"""What the worker delivers: mail, back-channel logout tokens. May import `idp.oidc`, `idp.clients`, `idp.models` and below."""
