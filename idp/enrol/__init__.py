"""Self-service: root credentials, derived credentials and devices of the person who is signed in.

    roots              bind, change and remove root credentials; invitations; recovery
    grown              derive credentials, one module or package per kind
    devices            My devices: the list, the tree, undo links
    passkey_ceremony   registration of passkeys, root or derived
    device_names       names that people give to devices

May import `idp.login`, `idp.clients`, `idp.models` and packages below them.
"""
