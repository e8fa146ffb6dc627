"""Django's backend for PostgreSQL, with a health check that sends nothing.

    base   the connection (Django looks for this name)

May import Django and psycopg only.
"""
