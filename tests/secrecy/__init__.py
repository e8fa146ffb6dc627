"""Marked secrets in every secret field, everything logged, errors forced: no secret is anywhere that it should not be (R16, I10)."""
