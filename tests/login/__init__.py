"""The login page, sessions and throttling.

    test_choices    the offered ways to sign in
    test_guesses    throttling of guesses
    test_strangers  wrong tries in unknown browsers
    test_presence   idle sessions, and tokens without presence

May import everything.
"""
