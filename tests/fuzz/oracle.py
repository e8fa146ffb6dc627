"""What holds for every answer, whatever was asked."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from tests.fixtures.world import CALLBACK, ISSUER

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.fuzz.wire import Answer, Draft

SCIM_ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"
ENDS = (
    CALLBACK,
    "https://spa.example/cb",
    "https://app.example/out",
    "http://127.0.0.1:9/authorize",
    *(f"{ISSUER}/{path}/card/done" for path in ("login", "devices/roots", "invitation")),
)  # every address that is registered
CARDS = ("https://localhost:8443/certificate/",)
OAUTH = ("/oidc/token", "/oidc/par", "/oidc/introspect", "/oidc/revoke", "/oidc/userinfo")
DEVICE = ("/enrol/v1/challenges", "/enrol/v1/bindings")
_ERRORS = {
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "unauthorized_client",
    "unsupported_grant_type",
    "invalid_scope",
    "invalid_token",
    "insufficient_scope",
    "invalid_dpop_proof",
    "use_dpop_nonce",
    "invalid_target",
    "authorization_pending",
    "slow_down",
    "expired_token",
    "access_denied",
    "temporarily_unavailable",
    "unsupported_response_type",
    "invalid_request_object",
    "request_not_supported",
    "request_uri_not_supported",
    "registration_not_supported",
    "unmet_authentication_requirements",
}


def faults(draft: Draft, answer: Answer, *, secrets: Iterable[str]) -> list[str]:
    """Everything that is wrong with an answer; nothing is the only good answer."""
    found = []
    away = answer.status == 503 and draft.path.startswith(
        "/login/upstream/"
    )  # the other provider of these drafts never answers
    not_offered = answer.status == 501 and "/scim/v2/Me" in draft.path  # RFC 7644 §3.11
    if answer.status >= 500 and not (away or not_offered):
        found.append(f"status {answer.status}")
    if answer.status in {301, 302, 303, 307, 308}:
        found += _of_redirect(answer)
    if b"data-go" in answer.body:
        found += _of_posted_form(answer)
    if answer.status >= 400 and draft.method != "HEAD":
        found += _of_refusal(draft, answer)
        shown = _sent(draft)
        found += [
            "a secret in the answer" for secret in secrets if secret.encode() in answer.body and secret not in shown
        ]
    for name in ("x-content-type-options", "cache-control"):
        if name not in answer.headers:
            found.append(f"no {name}")
    if any(one in value for value in answer.headers.values() for one in "\r\n\x00"):
        found.append("a header of two lines")
    return found


def _sent(draft: Draft) -> str:
    return str(draft.query) + draft.body().decode("latin-1")


def _of_redirect(answer: Answer) -> list[str]:
    target = answer.headers["location"]
    parts = urlsplit(target)
    if not target.startswith("/") or target.startswith(("//", "/\\")):
        bare = f"{parts.scheme}://{parts.netloc}{parts.path}"
        if target.startswith(CARDS) and not parts.query:
            return []  # to the certificate host, with a ticket; and back from there, with a result
        if bare not in ENDS:
            return [f"a redirect to {target[:120]}"]
    if bare_is_end := target.startswith(ENDS[:2]):
        query = parse_qs(parts.query, keep_blank_values=True)
        if query.get("iss") != [ISSUER] or any(len(values) > 1 for values in query.values()):
            return [f"an answer without its one iss: {target[:200]}"]
        if ("code" in query) == ("error" in query):
            return [f"an answer that is neither code nor error: {target[:200]}"]
    return [] if bare_is_end or not parts.fragment else ["a redirect with a fragment"]


def _of_posted_form(answer: Answer) -> list[str]:
    """A form_post page ends where a redirect may end, and is a code or an error, with its one iss."""
    text = answer.body.decode()
    target = re.findall(r'<form method="post" action="([^"]*)" data-go>', text)
    names = re.findall(r'<input type="hidden" name="([^"]*)"', text)
    if len(target) != 1 or target[0] not in ENDS:
        return [f"a form that ends at {target}"]
    good = names.count("iss") == 1 and ("code" in names) != ("error" in names) and len(names) == len(set(names))
    return [] if good else [f"a form with {names}"]


def _of_refusal(draft: Draft, answer: Answer) -> list[str]:
    """The protocol's own form of error, wherever a route answered."""
    kind = answer.headers.get("content-type", "").split(";")[0]
    if answer.status == 405:
        return [] if "allow" in answer.headers else ["a 405 without Allow"]
    if answer.body in {b"unknown host", b"nothing here"} or draft.path.startswith("/certificate/"):
        return []
    if draft.path.startswith("/scim/v2/"):
        return _of_scim(answer, kind)
    if draft.path in OAUTH or draft.path in DEVICE:
        found = _object(answer)
        if kind != "application/json" or found.get("error") not in _ERRORS:
            return [f"not OAuth's form of an error: {kind} {answer.body[:200]!r}"]
        missing = answer.status == 401 and "www-authenticate" not in answer.headers
        return ["a 401 without its challenge"] if missing else []
    if draft.path.startswith("/scim") and kind == "application/scim+json":
        return _of_scim(answer, kind)
    return [] if kind in {"text/html", "application/json", "text/plain", ""} else [f"a page of type {kind}"]


def _of_scim(answer: Answer, kind: str) -> list[str]:
    found = _object(answer)
    good = (
        kind == "application/scim+json"
        and found.get("schemas") == [SCIM_ERROR]
        and found.get("status") == str(answer.status)
    )
    return [] if good else [f"not SCIM's form of an error: {kind} {answer.body[:200]!r}"]


def _object(answer: Answer) -> dict[str, object]:
    try:
        found = json.loads(answer.body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
