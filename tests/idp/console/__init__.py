"""The console of identity managers.

    test_console  the console: appointed managers only, two factors, freshly signed in; records side by side
    test_matrix   every role, every page, every command: the matrix exactly; roles by two people
    test_people   what finds a person, pages that meet, and a file without formulas
    test_roles    roles by two, their quarterly review, and the review of emergency access
    test_acts     suspend, resume, invite, sign out, revoke, end; twenty people an hour; two managers
    test_recovery  a person who cannot sign in comes back: two managers vouch, an invitation goes out
    test_needs    who still needs what: due once a year, kept or ended by somebody else, on record; orphans are named

May import everything.
"""
