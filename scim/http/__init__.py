"""SCIM over HTTP (RFC 7644, RFC 9865).

    urls            the URLs, under `scim/v2/`
    views           people, groups, searches, discovery
    pushes          refused writes, kept for the operator
    bulk            several operations in a request
    listing         a page of a list, by index or by cursor
    select          filters compiled to SQL
    query           list requests, from parameters or a body
    body            checks of request bodies
    cursors         positions in lists, authenticated
    patience        a time limit for SQL statements
    documents       the discovery documents
    answers         the form of responses and errors
    feed_views      the feed's resources, for receivers
    feed_snapshot   the full state for a receiver

May import: the rest of `scim`, and Django's HTTP.
"""
