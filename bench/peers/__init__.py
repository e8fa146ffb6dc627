"""Other providers on Django, each in the smallest site that follows its documentation.

    site                 shared by both: Django's default middleware, one database, granian
    application          the WSGI application of the site that the environment names
    authlib_site         Authlib's Django integration (the documentation's models, grants and endpoints)
    oidc_provider_site   django-oidc-provider with its own URLs

Both run in Ramet's environment, which has these packages. `/__made` makes codes and tokens by the site's own models
before the clock starts; it is on loopback only and not measured.
"""
