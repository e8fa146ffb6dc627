"""The other endpoints."""
