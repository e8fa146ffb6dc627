"""Passkeys and security keys: the rules, the real attestations, and the whole life over HTTP."""
