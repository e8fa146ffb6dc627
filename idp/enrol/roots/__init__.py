"""Root credentials of the person who is signed in, and the first one by an invitation.

    pages              list, rename, remove, report a loss
    passwords          password with TOTP
    passkeys           passkeys and security keys
    cards              PIV and CAC cards
    upstream_links     identities at upstream providers
    saved_codes        recovery codes: shown once, counted, replaced, as a file
    lost_ways          pages for people who cannot sign in
    mailed_codes       recovery codes that are mailed to two addresses
    recovery           a lost authenticator app
    invitations        links that bind the first root
    invitation_pages   the pages of an invitation

May import `idp.login`, `idp.clients`, `idp.models` and packages below them.
"""
