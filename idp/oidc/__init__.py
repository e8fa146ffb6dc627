"""The OpenID provider: authorization, tokens, and what relying parties may ask.

`server.py` is the only door to Authlib. May import `idp.login`, `idp.clients`, `idp.models` and below.
"""
