"""A Django site with django-scim2, as its documentation sets one up; it runs in an environment of its own."""
