"""A Django site with django-scim2, as documented; it runs in its own environment."""
