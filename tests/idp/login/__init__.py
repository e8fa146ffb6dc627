"""The login page, sessions, throttling.

    test_card       signing in with a card
    test_choices    the login page offers exactly what suffices, and says what is missing
    test_gate       one gate in front of every anonymous look-up and every row that a stranger can cause
    test_guesses    guesses: per network, per known browser, and the hundredth in a row
    test_language   the language of pages and mail; no translation is missing
    test_login      the login pages and the sessions they make
    test_need       what is missing of a login, and what is offered: exactly what suffices
    test_presence   who is here: a session that rested too long, and tokens that prove nobody's presence
    test_pseudo_language  no plain English on a page
    test_strangers  strangers slow strangers, and disable nothing for the person
    test_tabs       several tabs of one browser, and forms that are sent twice
    test_upstream   signing in at an upstream: what a good answer is worth, and every answer that is worth nothing

May import everything.
"""
