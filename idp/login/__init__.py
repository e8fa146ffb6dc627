"""Signing in: the ways, the login transaction, and the session of a browser.

    ways             the ways of signing in, as the login page lists them
    choices          the ways that the login page offers
    need             the requirements of a login for a request; pure
    purpose          the request or page that a login is for, sealed, in every page and form of it
    flow             a login transaction in a browser
    session          the session of a browser, read from the database at every request
    repeats          a login form that is sent twice at once
    browser_store    Django's sessions, stored under the hash of their key
    throttle         limits on guessing
    password         passwords and device passphrases: rules and hashing
    totp             codes of an authenticator app (RFC 6238)
    passkey          passkeys and security keys
    device           keys of the person's own devices
    card             PIV and CAC cards, by the certificate host
    hop              the trusted proxy of the certificate host
    probe            a check that the proxy strips forged headers
    temporary_pass   temporary passes, and their page
    asking           ask the identity team for help with signing in
    upstream         logins at another provider
    approved         the operator's rules at each login
    withdrawn        keys whose model is no longer trusted
    language         the language of a page and of a person's mail
    page_context     the context of every template
    views            pages: user name and password, second factor, device key, sign out
    card_views       pages of card logins
    passkey_views    pages of passkey logins
    upstream_views   pages of upstream logins

May import `idp.clients`, `idp.certificates`, `idp.upstreams`, `idp.policies`, `derived` and `scim`.
"""
