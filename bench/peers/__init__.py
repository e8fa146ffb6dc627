"""Other providers on Django, each as its documentation sets it up, in the smallest site that does it.

    site            what both sites share: Django's own default middleware, one database, granian as the server
    authlib_site    Authlib's Django integration (its documentation's models, grants and endpoints)
    oidc_provider_site  django-oidc-provider with its own urls

Both stand in Ramet's own environment: it uses these very packages as engines. `/__made` makes codes and tokens before the
clock runs, by the site's own models; it is loopback only, and no part of what is measured.
"""
