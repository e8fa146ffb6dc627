"""The pages of people who have a role.

    guards       who may open a page, and who may change something
    views        waiting cases, one case, one person, decisions
    access       requests for access, of people and of those who decide
    people       search for people, and a file of the results
    roles        who has which role; giving and ending by two
    reviews      the quarterly review of roles, and of emergency access
    needs        the yearly review of derived credentials
    agreements   trust agreements with applications, and cases of redress
    acts         suspend, resume, invite again, sign out, revoke, end
    recovery     a person who cannot sign in: two managers vouch, and an invitation goes out
    held         held people: let them end, or give them back
    refused      refused pushes: suspend the person, or dismiss the alarm
    deliveries   rows of the outbox that wait
    waiting      those rows in words, shared with `manage.py outbox`

The matrix of roles (`scim.access.roles`) says who may open which page. People sign in at AAL2 with something that
cannot be phished; each change needs a login of the last 20 minutes, and its event names them (ruling 24). Every page
works without scripts. May import `idp.login`, `scim.people`, `scim.access` and packages below them.
"""
