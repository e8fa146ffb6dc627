"""The operator's commands (`manage.py NOUN VERB`).

    verbs      the base of every command: verbs under one noun, tables, `--json`
    terms      options for a client's terms
    presets    the terms and settings of common libraries, for `client add --preset`
    callers    shared by `source` and `feed`: callers with several credentials
    commands   one module per command

May import everything but `idp.urls`.
"""
