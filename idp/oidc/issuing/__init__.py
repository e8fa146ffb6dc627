"""Tokens, families and grants."""
