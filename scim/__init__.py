"""Middle floor: who exists, and what each source says about them (SCIM 2.0, RFC 7643 and RFC 7644).

Floors inside (imports only run down)::

    urls
    feed_views                            what whoever follows us reads
    views                                 HTTP in, SCIM JSON out
    following                             all that a receiver may see, to begin with
    importing | bulk | delivery           files of people, through the same door; many operations in one request; what waits for a receiver
    provision | listing                   the writer of people; a page of a list
    matching | returns                    joins and splits; who comes back on a manager's word
    settle | sources | groups | select    merging, and what follows from a write; who pushes; the writer of groups; filters as SQL
    candidates | consequences | receivers | directory  whose record is this; what each change does; who follows us; one record or
                                          group, as its source sees it
    requests                              asking for access, a yes for a time, removal on change
    auth | entitlements | feed            a request names a source; who may enter which client, and as what; the writer of events
    belonging                             which groups a person is in, through groups inside groups
    models                                Person, Source, Record, Group, Membership, Receiver
    answers | query                       the form of every answer; a list request, from an address or a body
    documents                             what this server says it can do
    aggregate | body | columns | events | index | membership | normalise | ordering | patch | projection
    filter | operations | trust           the only door to scim2-filter-parser; the message of a PATCH; who is believed what
    tokens | tree                         how a filter is spelled, and what it means
    tables                                people in files, as resources
    group | user                          the schemas as data
    assurance | values                    our own extension; one value, checked and made canonical
    schema                                attributes, schemas, lookups
    cursors | patience | tags             where a reader of a list has got to; how long one statement may take; entity tags
    errors                                RFC 7644 §3.12

Below `models` all is pure and imports no Django (but that `body` is handed a request, `columns` is a column, and `patience` tells the database). `filter` stands below `patch`, and not beside `provision` as first drawn, because the
value paths of PATCH are filters too. What a filter means is said once, by `tree.matches`; `select` says in SQL what it
can say exactly, over columns that are folded here and ordered by code points, so that SQLite and PostgreSQL agree.

`provision` and `groups` are the only writers; `provision` calls `derived` when a person comes or goes. May import `derived`; never `idp`.
"""
