"""Ground floor: what may be minted, how strong, until when, and how it ends.

The rules (`assurance`, `kinds`, `capping`, `eligibility`, `lifecycle`, `errors`) are pure: standard library only, no
Django, no clock; `now` is passed in. Around them stand the ledger (`models`), the one way in (`issue`), the one way
out (`revoke`), the other legal moves (`suspend`), the read side (`status`) and the record (`audit`, `outbox`).

Knows no HTTP. May import: the standard library, Django's ORM (not in the rules), joserfc and cryptography.
Never imports `scim` or `idp`.
"""
