"""The ledger of credentials: which may be issued, at which level, until when, and how each ends.

The rules (`assurance`, `kinds`, `capping`, `eligibility`, `lifecycle`, `errors`) are pure: standard library only, no
Django, no clock; `now` is passed in. Around them: the ledger (`models`), issuance (`issue`), revocation (`revoke`),
suspension (`suspend`), queries (`status`), and the audit chain and the outbox (`audit`, `outbox`).
May import: the standard library, Django's ORM (not in the rules), joserfc and cryptography. Never imports `scim` or
`idp`, and holds nothing of HTTP.
"""
