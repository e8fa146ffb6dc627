"""Middle floor: who exists, and what each source says about them (SCIM 2.0, RFC 7643 and RFC 7644).

Floors inside (imports only run down)::

    urls
    views                                 HTTP in, SCIM JSON out
    provision | returns                   the only writer of records; who comes back on a manager's word
    settle | sources                      merging, and what follows from a write; who pushes, and what they are believed
    consequences | auth | directory       what each change does; a request names a source; the read side
    models                                Person, Source, Record, Group, Membership
    query                                 a list request, from an address or a body
    aggregate | body | columns | documents | index | normalise | ordering | patch | projection
    filter | operations | trust           the only door to scim2-filter-parser; the message of a PATCH; who is believed what
    tokens | tree                         how a filter is spelled, and what it means
    user                                  the User schema as data
    assurance | values                    our own extension; one value, checked and made canonical
    schema                                attributes, schemas, lookups
    errors                                RFC 7644 §3.12

Below `models` all is pure and imports no Django (but that `body` is handed a request, and `columns` is a column). `filter` stands below `patch`, and not beside `provision` as first drawn, because the
value paths of PATCH are filters too. A list is filtered by the same evaluator (`tree.matches`) over the source's own
records, so that SQLite and PostgreSQL cannot disagree.

`provision` is the only writer, and calls `derived` when a person comes or goes. May import `derived`; never `idp`.
"""
