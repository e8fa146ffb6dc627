"""Third-party clients and checkers, and the modules of the OpenID conformance suite.

    conftest             one `make run` for all
    django_desk          a Django project for mozilla-django-oidc
    stage                `make run`, and people who log in
    suite                requests of the suite's modules
    test_apache          Apache with mod_auth_openidc
    test_apps_page       the snippets of docs/apps.md
    test_openid_client   npm's openid-client
    test_scim_checkers   scim2-tester and scim-sanity
    test_suite_openid    the OpenID Connect plans
    test_suite_fapi      the FAPI 2.0 plans

May import everything.
"""
