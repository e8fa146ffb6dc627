"""The URLs of SCIM, under `scim/v2/` (RFC 7644 §3.2)."""

from __future__ import annotations

from django.urls import path, re_path

from scim.http import feed_views, views
from scim.protocol.group import GROUP
from scim.protocol.user import USER

app_name = "scim"

_ONE = r"(?P<unverified_id>[^/]+)/?\Z"  # some clients add a slash after an id

urlpatterns = [
    path("", views.all_resources, name="everything"),
    path(".search", views.search, name="search"),
    path("Users/.search", views.search, {"kinds": [USER]}, name="users-search"),
    path("Groups/.search", views.search, {"kinds": [GROUP]}, name="groups-search"),
    path("Users", views.users, name="users"),
    re_path(f"^Users/{_ONE}", views.user, name="user"),
    path("Groups", views.all_groups, name="groups"),
    re_path(f"^Groups/{_ONE}", views.group, name="group"),
    path("Bulk", views.bulk_operations, name="bulk"),
    path("Feed/Users", feed_views.feed_list, {"kind": USER.name}, name="feed-users"),
    re_path(f"^Feed/Users/{_ONE}", feed_views.feed_resource, {"kind": USER.name}, name="feed-user"),
    path("Feed/Groups", feed_views.feed_list, {"kind": GROUP.name}, name="feed-groups"),
    re_path(f"^Feed/Groups/{_ONE}", feed_views.feed_resource, {"kind": GROUP.name}, name="feed-group"),
    path("Me", views.me_not_offered, name="me"),
    path("ServiceProviderConfig", views.service_provider_config, name="service-provider-config"),
    path("ResourceTypes", views.resource_types, name="resource-types"),
    path("ResourceTypes/<str:unverified_name>", views.resource_types, name="resource-type"),
    path("Schemas", views.schemas, name="schemas"),
    path("Schemas/<str:unverified_name>", views.schemas, name="schema"),
    re_path(r"^(?P<rest>[\s\S]*)\Z", views.unknown_url),
]
