"""A provider on Authlib's Django integration, as documented: three models, four grants, five views."""
