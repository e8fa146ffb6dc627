"""Security events about people and groups for receivers (RFC 9967, RFC 8936).

    writing     each change as an event, written in its transaction
    events      the content of events, and a receiver's view of it; pure
    receivers   registration, credentials, visible attributes
    delivery    pending events, acknowledgements, retention

May import: `scim.callers`, `scim.models`, `scim.protocol` and `derived`. HTTP is in `scim.http`, signatures in
`idp.signals`.
"""
