"""Tests of `scim`.

    access    entitlements and requests for access
    feed      the feed of SCIM events
    http      the SCIM service over HTTP
    people    records of sources and the people they are about
    protocol  the SCIM protocol: filters, PATCH, schemas

May import everything.
"""
