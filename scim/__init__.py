"""The sources and the people: SCIM 2.0 (RFC 7643, RFC 7644) and its events (RFC 9967).

    errors     SCIM error responses (RFC 7644 §3.12)
    protocol   RFC 7643 and RFC 7644 on plain data: schemas, PATCH, filters, aggregation
    columns    text columns on which both databases agree
    models     the tables: people, sources, records, groups, access, receivers, feed events
    callers    authentication of a request: the source that sent it
    access     access to clients: groups, rules, requests
    feed       events for receivers
    people     every write: people, groups, sources, and their consequences
    http       SCIM over HTTP: URLs, parsing, lists, bulk
    apps       the Django app

`people.provision` and `people.groups` are the only writers; `provision` calls `derived.changes` when a person comes
or goes. May import `derived`; never `idp`.
"""
