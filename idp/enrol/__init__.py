"""Self-service: invitations, binding codes, devices. May import `idp.login`, `idp.clients`, `idp.models` and below."""
