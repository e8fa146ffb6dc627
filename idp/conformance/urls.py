"""The routes of the profile `conformance`: those of Ramet, and a protected resource."""

from __future__ import annotations

from django.urls import path

from idp.conformance import resource
from idp.urls import handler400, handler404, handler500
from idp.urls import urlpatterns as routes

__all__ = ["handler400", "handler404", "handler500", "urlpatterns"]

urlpatterns = [*routes, path("conformance/resource", resource.resource, name="conformance-resource")]
