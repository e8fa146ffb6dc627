"""Access of people to clients.

    belonging      the groups of a person, through nested groups
    entitlements   rules, access questions, owners
    same_human     whether two people may be one human being
    requests       requests for access, and their decisions

May import: `scim.models`, `scim.protocol` and `derived`.
"""
