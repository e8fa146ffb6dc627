"""Pages in real Chromium, against a served Ramet and the demo relying party.

    conftest               chromium, a served Ramet, and people who come to it; all of it ends with the last
    test_card              A card in a real browser: Chromium shows its certificate to a real nginx, and comes
    test_certificates      A certificate from the pages: pasted, and for another device without any script; held
    test_consent           A relying party that was registered to ask first
    test_console_cases     a leaver who is still active, and one case of three records, in the console
    test_derived_passkeys  passkeys that grow from a root, in Chromium with a virtual authenticator on each of two
    test_disabled          a disabled password comes back: from outside, in My devices, in the console
    test_invitation        from the mail to the first session: password, authenticator app, recovery codes
    test_oidc_client_ts    npm's oidc-client-ts, by the snippet of docs/apps.md
    test_lost_ways         a person who has lost everything asks, two managers vouch, an invitation comes
    test_login             signing in with password and code, at Ramet and for a relying party, and signing out
    test_passkeys          the whole life of a key with Chromium's virtual authenticators
    test_tabs              the scripts of the login pages: a form is sent once, and waiting tabs go on
    test_requests          a supervisor asks, a manager approves, the new starter collects
    test_tablet            A tablet becomes a derived credential, logs its person in, and ends
    test_upstream          linking another provider, and signing in there: the policy of each page lets the
    test_without_scripts   whatever needs no key works in a browser that runs no scripts
    visitor                A person at a Chromium of their own, who looks at every page they come to: with axe

May import everything.
"""
