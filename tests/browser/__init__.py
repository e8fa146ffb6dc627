"""Pages in real Chromium, against a served Ramet and the demo relying party.

    conftest                one Chromium and one served Ramet
    place                   the served Ramet, HR and two relying parties
    visitor                 a person who checks every opened page with axe and in screenshots
    test_login              login and logout
    test_invitation         from the mail to the first session
    test_consent            consent
    test_passkeys           passkeys with virtual authenticators
    test_derived_passkeys   derived passkeys on two devices
    test_tablet             a tablet becomes a derived credential
    test_card               a card, through nginx
    test_certificates       certificates
    test_upstream           an upstream provider
    test_without_scripts    pages without JavaScript

May import everything.
"""
