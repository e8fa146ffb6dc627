"""The routes of the profile `conformance`: those of Ramet, and a protected resource."""

from __future__ import annotations

from django.urls import include, path

from idp.conformance import resource

handler400 = "idp.pages.bad_request"
handler404 = "idp.pages.not_found"
handler500 = "idp.pages.server_error"

urlpatterns = [
    path("", include("idp.urls")),
    path("conformance/resource", resource.resource, name="conformance-resource"),
]
