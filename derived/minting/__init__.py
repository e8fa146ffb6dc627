"""Verify a proof, make the bytes: one module per form a credential can take. No ORM, no clock, no HTTP.

May import: the standard library, joserfc, cryptography, `derived.errors`, `derived.assurance`.
"""
