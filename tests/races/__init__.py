"""Races over HTTP against a live Ramet: whatever may happen once happens once, and nothing outlives its person."""
