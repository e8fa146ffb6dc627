"""django-oidc-provider as its documentation installs it: its urls, one RSA key (it knows no other), one client."""
