"""The operator's commands (`manage.py NOUN VERB`).

    verbs      the base of every command: verbs under one noun, tables, `--json`
    terms      options for a client's terms
    callers    shared by `source` and `feed`: callers with several credentials
    commands   one module per command

May import everything but `idp.urls`.
"""
