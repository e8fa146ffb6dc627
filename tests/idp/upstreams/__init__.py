"""Upstream OpenID providers.

    test_lower_level  an upstream is capped or disabled: levels fall at once, and what is too weak then waits
    test_management   `manage.py upstream`: what may be registered, and what is shown of it
    test_words        what words are worth, by themselves: exact tables, exact types, caps, and the presets

May import everything.
"""
