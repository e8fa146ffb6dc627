"""The console of identity managers.

    test_console   guards, cases, decisions
    test_needs     the yearly review

May import everything.
"""
