"""Middle floor: who exists, and what each source says about them (SCIM 2.0, RFC 7643 and RFC 7644).

Floors inside (imports only run down)::

    urls
    views                                 HTTP in, SCIM JSON out
    provision                             the only writer
    settle | auth | directory             what follows from a write; a token names a source; the read side
    models                                Person, Source, Record, Group, Membership
    query                                 a list request, from an address or a body
    aggregate | body | columns | documents | index | normalise | patch | projection
    filter | operations                   the only door to scim2-filter-parser; the message of a PATCH
    tokens | tree                         how a filter is spelled, and what it means
    user | values                         the User schema as data; one value, checked and made canonical
    schema                                attributes, schemas, lookups
    errors                                RFC 7644 §3.12

Below `models` all is pure and imports no Django (but that `body` is handed a request, and `columns` is a column). `filter` stands below `patch`, and not beside `provision` as first drawn, because the
value paths of PATCH are filters too. A list is filtered by the same evaluator (`tree.matches`) over the source's own
records, so that SQLite and PostgreSQL cannot disagree.

`provision` is the only writer, and calls `derived` when a person comes or goes. May import `derived`; never `idp`.
"""
