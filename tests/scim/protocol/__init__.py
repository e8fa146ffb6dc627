"""The SCIM protocol: filters, PATCH, schemas.

    test_aggregate  many sources, one profile: precedence, provenance, and the most restrictive `active`
    test_filter     filters: the shared cases, the limits, and an oracle that none of us wrote
    test_patch      the PATCH engine by itself: atomic, pure, idempotent, and strict where guessing would hurt
    test_schema     the parts of RFC 7643 that a User does not use, and the filter over them

May import everything.
"""
