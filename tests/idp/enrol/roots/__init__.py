"""Root credentials: passwords, passkeys, cards, upstream identities, recovery.

    test_cards           binding a card: by invitation, under a login, in the place of an old one, by a manager
    test_passkeys        the whole life of a key over HTTP: bound, used, copied, locked out, replayed
    test_passwords       adding a password and an app, another password, another app; recovery in person
    test_recovery        A lost authenticator app
    test_lost_ways       codes to two addresses, a temporary pass, asking for help
    test_roots           renaming, removing and reporting one's own ways of signing in
    test_saved_codes     recovery codes: how many are left, new ones, as a file; the way out of another app
    test_upstream_links  linking: with proof, by a fresh root sign-in, for one account, in one browser, once

May import everything.
"""
