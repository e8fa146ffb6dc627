"""The demonstrations: a relying party, the narrated journey (`make demo`), and the stage that `make run` sets up.

Everything here stands outside the house, like any user of it: it speaks HTTP to a Ramet that runs in another process,
and calls `manage.py`. It imports `device` (the reference client) and never `idp`, `scim` or `derived`.
"""
