"""The settings of `idp.settings`, under the profile `conformance`."""

from __future__ import annotations

from idp.settings import *  # noqa: F403 - a profile is the settings and a word more

RAMET_CONFORMANCE = True
# SCIM has no names for these; the suite asks for every claim of the profile scope.
RAMET_MORE_CLAIMS = {"website": "https://ramet.example/", "gender": "female", "birthdate": "1984-02-29"}
