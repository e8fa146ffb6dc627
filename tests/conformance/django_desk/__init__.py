"""A Django project without a login of its own; a test copies it and appends the snippets of docs/apps.md.

    settings   as small as they can be
    urls       pages that show who is signed in
    serve      the server

Runs in a process of its own, and imports nothing of Ramet.
"""
