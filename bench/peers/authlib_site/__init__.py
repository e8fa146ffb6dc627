"""A provider on Authlib's Django integration, as its documentation builds one: three models, four grants, a handful of views."""
