"""The settings of `idp.settings`, under the profile `conformance`."""

from __future__ import annotations

from idp.settings import *  # noqa: F403 - a profile is the settings and a few more
from idp.settings import INSTALLED_APPS

RAMET_CONFORMANCE = True
ROOT_URLCONF = "idp.conformance.urls"
INSTALLED_APPS = [*INSTALLED_APPS, "idp.conformance.apps.ConformanceConfig"]
# SCIM has no names for these; the suite asks for every claim of the profile scope.
RAMET_MORE_CLAIMS = {"website": "https://ramet.example/", "gender": "female", "birthdate": "1984-02-29"}
