"""Top floor: the OpenID provider, the logins, the pages, and the Django project.

May import `scim` and `derived`. Nothing imports it but `manage.py` and the tests.
"""
