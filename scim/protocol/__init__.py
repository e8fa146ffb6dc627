"""RFC 7643 and RFC 7644 on plain data: no ORM, no HTTP.

    schema         attributes, schemas, resource types, and case-insensitive lookups
    values         a value checked against its attribute and made canonical
    user           the User schema and its extensions
    group          the Group schema
    assurance      Ramet's extension of the User schema
    tokens         tokens of filters and paths
    tree           the meaning of a filter, and its evaluation
    filter         filters and paths to trees; the only module that uses scim2-filter-parser
    operations     PATCH messages
    patch          PATCH on a resource
    normalise      vendors' deviations, rewritten before the strict engine
    membership     the effect of a PATCH on a group's members
    endings        whether a refused body states that a person is no longer active
    dropping       unknown attributes taken out of a body
    ordering       the order of writes of a source
    projection     the attributes of a response
    aggregate      many sources merged into one profile
    trust          the attributes for which a source is trusted
    index          the indexed parts of a resource
    tables         people and groups in CSV, LDIF and JSON lines
    ldif           RFC 2849: a text as entries
    ldap_entries   entries of a directory as people and groups
    account_state  whether a directory says that an account is disabled
    targets        columns and attributes, and their places in a User
    tags           entity tags

`filter` is below `patch`, because the value paths of PATCH are filters too. `tree.matches` defines the meaning of a
filter once; `scim.http.select` compiles to SQL the part that SQL can express exactly, over columns that are folded
here and ordered by code points, so that SQLite and PostgreSQL agree. May import: the standard library,
scim2-filter-parser (in `filter` only) and `scim.errors`.
"""
