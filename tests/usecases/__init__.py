"""Whole moves against the database: mint, revoke, record."""
