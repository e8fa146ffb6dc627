"""A URLconf that nobody should have: the registry's own views, two levels deep."""

from django.urls import include, path

urlpatterns = [path("a/", include([path("openid/", include("oidc_provider.urls", namespace="oidc_provider"))]))]
