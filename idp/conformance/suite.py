"""The suite's configuration, plan by plan: the server, the clients, and the tasks of its scripted browser."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.urls import reverse

from idp.config import config
from idp.conformance import CODE, PERSON
from idp.conformance.fixtures import PASSWORD

if TYPE_CHECKING:
    from collections.abc import Mapping

    from idp.conformance.fixtures import Static

_FAPI = (
    "[client_auth_type=private_key_jwt][sender_constrain=dpop][fapi_profile=plain_fapi]"
    "[openid=openid_connect][authorization_request_type=simple]"
)
_STATIC = "[server_metadata=discovery][client_registration=static_client]"
PLANS = {
    "config": "oidcc-config-certification-test-plan",
    "basic": f"oidcc-basic-certification-test-plan{_STATIC}",
    "form-post": f"oidcc-formpost-basic-certification-test-plan{_STATIC}",
    "logout": (
        "oidcc-rp-initiated-logout-certification-test-plan[response_type=code][client_registration=static_client]"
    ),
    "backchannel": (
        "oidcc-backchannel-rp-initiated-logout-certification-test-plan[response_type=code]"
        "[client_registration=static_client]"
    ),
    "fapi": f"fapi2-security-profile-final-test-plan{_FAPI}",
    "signing": (
        f"fapi2-message-signing-final-test-plan{_FAPI}[fapi_request_method=signed_non_repudiation]"
        "[fapi_response_mode=plain_response]"
    ),
}
_SUBMIT = ["click", "css", "main form button[type=submit]"]


def configurations(alias: str, found: Mapping[str, Static]) -> dict[str, dict[str, Any]]:
    """The suite's JSON, by the short name of a plan."""
    server = {"discoveryUrl": config().issuer + reverse("discovery")}
    common = {"alias": alias, "description": "Ramet", "server": server, "browser": _browser(alias)}
    secrets = {
        "client": _secret(found["basic"]),
        "client2": _secret(found["basic2"]),
        "client_secret_post": _secret(found["post"]),
    }
    basic = {**common, **secrets, "override": _overrides(alias)}
    return {
        "config": {"server": server},
        "basic": basic,
        "form-post": {**basic, "browser": _browser(alias, posted=True), "override": _overrides(alias, posted=True)},
        "logout": basic,
        "backchannel": {**basic, "client": _secret(found["backchannel"])},
        "fapi": {**common, **_fapi(alias, found["fapi"], found["fapi2"])},
        "signing": {**common, **_fapi(alias, found["signing"], found["signing2"])},
    }


def _secret(client: Static) -> dict[str, Any]:
    return {"client_id": client.client_id, "client_secret": client.secret}


def _fapi(alias: str, first: Static, second: Static) -> dict[str, Any]:
    one, two = ({"client_id": each.client_id, "scope": "openid", "jwks": each.jwks} for each in (first, second))
    return {
        "client": one,
        "client2": two,
        "resource": {"resourceUrl": config().issuer + reverse("userinfo")},
        "override": {"fapi2-security-profile-final-user-rejects-authentication": {"browser": _rejecting(alias)}},
    }


def _task(name: str, path: str, *commands: list[Any], optional: bool = True) -> dict[str, Any]:
    where = path if path.startswith("*") else f"{config().issuer}{path}*"
    return {"task": name, "match": where, "optional": optional, "commands": list(commands)}


def _begun(path: str, *tasks: dict[str, Any], **more: object) -> dict[str, Any]:
    return {"match": f"{config().issuer}{path}*", **more, "tasks": list(tasks)}


def _shot(selector: str, words: str) -> list[Any]:
    """Wait for text on a page, and take a screenshot if the module requires one."""
    return ["wait", "css", selector, 10, words, "update-image-placeholder-optional"]


def _login(alias: str, *, posted: bool = False, seen: bool = False, asked: bool = False) -> list[dict[str, Any]]:
    """The tasks of a login. posted: the answer is a form. seen: a screenshot of the login page. asked: with consent."""
    type_it = [["text", "id", "username", PERSON], ["text", "id", "password", PASSWORD], _SUBMIT]
    return [
        _task("User name and password", "/login", *([_shot("main", ".*")] if seen else []), *type_it),
        _task("The fixed second factor", "/login/totp", ["text", "id", "totp", CODE], _SUBMIT),
        *(
            [_task("Consent", "/oidc/authorize", ["click", "css", "main form button[value=allow]"], optional=False)]
            if asked
            else []
        ),
        *([_task("An answer by form_post", "/oidc/authorize", ["click", "id", "continue"])] if posted else []),
        _task("Back at the suite", f"*/test/a/{alias}/callback*", ["wait", "id", "submission_complete", 10]),
    ]


def _browser(alias: str, *, posted: bool = False) -> list[dict[str, Any]]:
    """The tasks on every page; the suite skips those whose page does not appear."""
    out = [
        _task("Sign out", "/oidc/logout", _shot("main", ".*"), _SUBMIT),
        _task("Signed out", "/oidc/logout/confirmed", _shot("main", ".*")),
        _task("Back at the suite", f"*/test/a/{alias}/post_logout_redirect*"),
    ]
    return [_begun("/oidc/authorize", *_login(alias, posted=posted)), _begun("/oidc/logout", *out)]


def _overrides(alias: str, *, posted: bool = False) -> dict[str, Any]:
    """The tasks of modules that require screenshots."""
    error = [
        _begun(
            "/oidc/authorize",
            _task("The error page", "/oidc/authorize", _shot("main h1", ".*cannot go on.*"), optional=False),
        )
    ]
    again = [
        _begun("/oidc/authorize", *_login(alias, posted=posted), **{"match-limit": 1}),
        _begun("/oidc/authorize", *_login(alias, posted=posted, seen=True)),
    ]
    bad = [
        _browser(alias)[0],
        _begun(
            "/oidc/logout",
            _task("The error page", "/oidc/logout", _shot("main h1", ".*did not work.*"), optional=False),
        ),
    ]
    asked = [
        _browser(alias)[0],
        _begun("/oidc/logout", _task("The question", "/oidc/logout", _shot("main h1", ".*Sign out.*"), optional=False)),
    ]
    consented = [_begun("/oidc/authorize", *_login(alias, posted=posted, asked=True))]
    out = [
        _browser(alias)[0],
        _begun(
            "/oidc/logout",
            _task("Signed out at once", "/oidc/logout", _shot("main h1", ".*signed out.*"), optional=False),
        ),
    ]
    logout = "oidcc-rp-initiated-logout"
    return {
        **{name: {"browser": error} for name in ("oidcc-ensure-registered-redirect-uri",)},
        "oidcc-refresh-token": {"browser": consented},  # asks with prompt=consent
        **{name: {"browser": again} for name in ("oidcc-prompt-login", "oidcc-max-age-1")},
        **{f"{logout}-{name}": {"browser": bad} for name in ("bad-post-logout-redirect-uri", "no-id-token-hint")},
        f"{logout}-modified-id-token-hint": {"browser": asked},
        f"{logout}-no-post-logout-redirect-uri": {"browser": out},
    }


def _rejecting(alias: str) -> list[dict[str, Any]]:
    """The tasks of a person who cancels the login."""
    tasks = [
        _task("Go back", "/login", ["click", "name", "decision"]),
        _task("Back at the suite", f"*/test/a/{alias}/callback*"),
    ]
    return [_begun("/oidc/authorize", *tasks)]
