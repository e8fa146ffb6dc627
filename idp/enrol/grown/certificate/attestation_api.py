"""Proof of hardware for a certificate that a device requests by a code (docs/certificates.md; X-7).

The device posts it here with the request that it then sends over EST, which stays unchanged. It precedes the desktop's
decision, and holds for this code and key only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.urls import path

from derived import clock
from derived.minting import csr
from idp.enrol.grown import codes
from idp.enrol.grown.binding_api import json_api, text_of
from idp.enrol.grown.certificate import by_code as ordering
from idp.login import throttle
from idp.secrets import matches_code

if TYPE_CHECKING:
    from django.http import HttpRequest


@json_api
def attest(request: HttpRequest, document: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """{code, username, request, attestation} → the proven level; the request then goes to EST's simpleenroll."""
    code, username, now = text_of(document, "code"), text_of(document, "username", required=False), clock.now()
    key = csr.from_base64(text_of(document, "request"), lambda text: matches_code(text, code))
    order = throttle.counting_names(
        request, "est", codes.name_of_short(code, username), lambda: ordering.located(code, username, now=now), now=now
    )
    kept = ordering.attest(order, key, document.get("attestation"), code, network=throttle.network(request), now=now)
    return 202, {"level": kept.level, "asks_each_time": kept.verifies_user, "next": "/.well-known/est/simpleenroll"}


urlpatterns = [path("enrol/v1/certificates/attestations", attest, name="certificate-attest")]
