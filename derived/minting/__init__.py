"""Verify a proof and build the bytes: a module per form of credential.

No ORM, no clock, no HTTP.
A module for a derived kind yields a `proven.Proven`, which `issue.grow` records.
May import: the standard library, joserfc, cryptography, the pure rules of `derived`.
"""
