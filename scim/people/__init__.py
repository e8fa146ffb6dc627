"""Every write about people, groups and sources, each a transaction.

    provision      create, replace, patch and delete people
    groups         create, replace, patch and delete groups
    bodies         a source's body, normalised and without unknown attributes
    sources        register sources, their credentials and their trust
    directory      the read side: a source's view of its records and groups
    searching      find people by the beginning of something of theirs
    settle         merge all records of a person, and apply the consequences
    consequences   the table of changes and their consequences
    candidates     find the person of a record by identifiers
    matching       join records of a person, and split them
    waiting_returns  records whose `active: true` waits for a manager
    cases          possible matches that hang together, decided at once
    returns        decisions of a manager: readmit, adopt
    acting         acts on one person by somebody with a role, and their hourly limit
    appointing     roles are given and ended by two people
    opening        emergency access of two people, and its review
    reviewing      the quarterly review of roles
    recovering     vouched recovery of a person who cannot sign in, by two managers
    brake          hold the people whom a source ends beyond its limit
    held           decisions of a manager about held people
    refusals       refused pushes, and the alarm about one that would have ended somebody
    notices        mail to everybody in a role
    two_managers   the first approval of an act that needs two people
    disabling      disable a source, which takes back what it said, and enable it
    importing      people from a file

May import: `derived`, `scim.feed`, `scim.access` and packages below them.
"""
