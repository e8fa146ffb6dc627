"""Verify a proof, make the bytes: one module per form a credential can take. No ORM, no clock, no HTTP.

A module for what is grown here yields a `proven.Proven`, and `issue.grow` does the rest.

May import: the standard library, joserfc, cryptography, the pure rules of `derived`.
"""
