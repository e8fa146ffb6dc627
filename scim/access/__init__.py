"""Access of people to clients.

    appointments   giving and ending roles, and the separation of duties
    belonging      the groups of a person, through nested groups
    entitlements   rules, access questions, who decides on requests
    roles          the matrix of roles, and the one question `may`
    approving      who asks for whom, and who decides on a request for a credential
    same_human     whether two people may be one human being
    requests       requests for access, and their decisions

May import: `scim.models`, `scim.protocol` and `derived`.
"""
