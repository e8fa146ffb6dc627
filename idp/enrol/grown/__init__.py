"""Derived credentials: one module or package per kind, found by its name (docs/adding-a-kind.md).

    registry          find the modules of the kinds: pages, offers, code pages
    request           the request for a derived credential, from a session
    codes             codes that bind another device: two forms, guesses, one key, the desktop's decision
    binding           bind a device by a code
    binding_api       the device's side of a binding, as JSON
    device_key        device keys
    derived_passkey   derived passkeys
    certificate       derived certificates

May import `idp.login`, `idp.clients`, `idp.models` and packages below them.
"""
