"""Entitlements, group membership and requests for access."""
