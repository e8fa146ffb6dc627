"""The suite's configuration, plan by plan: the server, the clients, and the tasks of its scripted browser."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.urls import reverse

from idp.config import config
from idp.conformance import CODE, PASSWORD, PERSON

if TYPE_CHECKING:
    from collections.abc import Mapping

    from idp.conformance.fixtures import Static


def _fapi_variants(*, profile: str = "plain_fapi", openid: str = "openid_connect", mtls: bool = False) -> str:
    auth, constrain = ("mtls", "mtls") if mtls else ("private_key_jwt", "dpop")
    return (
        f"[client_auth_type={auth}][sender_constrain={constrain}][fapi_profile={profile}]"
        f"[openid={openid}][authorization_request_type=simple]"
    )


_FAPI = "fapi2-security-profile-final-test-plan"
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
    "fapi": f"{_FAPI}{_fapi_variants()}",
    "fapi-oauth": f"{_FAPI}{_fapi_variants(openid='plain_oauth')}",
    "fapi-credentials": f"{_FAPI}{_fapi_variants(profile='fapi_client_credentials_grant', openid='plain_oauth')}",
    "fapi-mtls": f"{_FAPI}{_fapi_variants(mtls=True)}",
    "signing": (
        f"fapi2-message-signing-final-test-plan{_fapi_variants()}[fapi_request_method=signed_non_repudiation]"
        "[fapi_response_mode=plain_response]"
    ),
}
FAPI_SCOPE = "openid profile email offline_access"
OAUTH_SCOPE = "profile email offline_access"
_ONCE = {"match-limit": 1}
_LOGOUT = "oidcc-rp-initiated-logout"
_BAD_ADDRESSES = ("bad-post-logout-redirect-uri", "query-added-to-post-logout-redirect-uri")
_WITHOUT_A_HINT = ("no-id-token-hint", "modified-id-token-hint", "bad-id-token-hint")
_SUBMIT = ["click", "css", "main form button[type=submit]"]


def configurations(suite: str, alias: str, found: Mapping[str, Static]) -> dict[str, dict[str, Any]]:
    """The suite's JSON, by the short name of a plan; suite: its URL. `fapi-mtls` is missing without a certificate host.

    Tasks end at the suite by its whole URL, because the query of an authorization request holds the redirect URI.
    """
    base = base_of(suite, alias)
    server = {
        "discoveryUrl": config().issuer + reverse("discovery"),
        "allow_unexpected_metadata_fields": ["ramet_challenge_endpoint", "ramet_binding_endpoint"],
    }
    common = {"alias": alias, "description": "Ramet", "server": server, "browser": _browser(base)}
    secrets = {
        "client": _secret(found["basic"]),
        "client2": _secret(found["basic2"]),
        "client_secret_post": _secret(found["post"]),
    }
    basic = {**common, **secrets, "override": _overrides(base)}
    made: dict[str, dict[str, Any]] = {
        "config": {"server": server},
        "basic": basic,
        "form-post": {**basic, "browser": _browser(base, posted=True), "override": _overrides(base, posted=True)},
        "logout": basic,
        "backchannel": {**basic, "client": _secret(found["backchannel"])},
        "fapi": {**common, **_fapi(base, found["fapi"], found["fapi2"])},
        "fapi-oauth": {
            **common,
            **_fapi(base, found["fapi"], found["fapi2"], scope=OAUTH_SCOPE, resource=_at("conformance-resource")),
        },
        "fapi-credentials": {
            **common,
            **_fapi(base, found["machine"], found["machine2"], scope="scim", resource=_at("scim:users")),
        },
        "signing": {**common, **_fapi(base, found["signing"], found["signing2"])},
    }
    if "mtls" in found:
        userinfo = config().certificate_url + reverse("certificate-userinfo")
        made["fapi-mtls"] = {**common, **_fapi(base, found["mtls"], found["mtls2"], resource=userinfo)}
    return made


def base_of(suite: str, alias: str) -> str:
    """The URL of an alias at the suite."""
    return f"{suite.rstrip('/')}/test/a/{alias}"


def _at(route: str, *args: str) -> str:
    return config().issuer + reverse(route, args=args)


def _secret(client: Static) -> dict[str, Any]:
    return {"client_id": client.client_id, "client_secret": client.secret}


def _fapi(base: str, first: Static, second: Static, *, scope: str = FAPI_SCOPE, resource: str = "") -> dict[str, Any]:
    made: dict[str, Any] = {"resource": {"resourceUrl": resource or _at("userinfo")}, "override": _fapi_overrides(base)}
    for number, each in (("", first), ("2", second)):
        made[f"client{number}"] = {"client_id": each.client_id, "scope": scope}
        if each.jwks is not None:
            made[f"client{number}"]["jwks"] = each.jwks
        if each.certificate is not None:
            made[f"mtls{number}"] = {"cert": each.certificate[0], "key": each.certificate[1]}
    return made


def _fapi_overrides(base: str) -> dict[str, Any]:
    """The tasks of FAPI modules that do more, or less, than sign in."""
    sign_in = _begun("/oidc/authorize", *_login(base))
    error = _begun("/oidc/authorize", _error_page("/oidc/authorize", ".*cannot go on.*"))
    look = _begun("/oidc/authorize", _task("The login page", "/login", _shot("main", ".*")), **_ONCE)
    tasks = {
        "user-rejects-authentication": [_begun("/oidc/authorize", *_refusal(base))],
        "refresh-token": [_begun("/oidc/authorize", *_login(base, asked=True))],  # asks with prompt=consent
        "par-attempt-reuse-request_uri": [{**sign_in, **_ONCE}, error],
        "par-attempt-to-use-expired-request_uri": [error],
        "par-attempt-to-use-request_uri-for-different-client": [error],
        "par-ensure-reused-request-uri-prior-to-auth-completion-succeeds": [look, sign_in],
    }
    return {f"fapi2-security-profile-final-{name}": {"browser": browser} for name, browser in tasks.items()}


def _task(name: str, path: str, *commands: list[Any], optional: bool = True) -> dict[str, Any]:
    """A task on pages whose URL begins so; path: of the issuer, or a whole URL."""
    where = path if "://" in path else f"{config().issuer}{path}"
    return {"task": name, "match": f"{where}*", "optional": optional, "commands": list(commands)}


def _error_page(path: str, words: str) -> dict[str, Any]:
    return _task("The error page", path, _shot("main h1", words), optional=False)


def _at_the_suite(base: str) -> dict[str, Any]:
    return _task("Back at the suite", f"{base}/callback", ["wait", "id", "submission_complete", 10])


def _begun(path: str, *tasks: dict[str, Any], **more: object) -> dict[str, Any]:
    return {"match": f"{config().issuer}{path}*", **more, "tasks": list(tasks)}


def _shot(selector: str, words: str) -> list[Any]:
    """Wait for text on a page, and take a screenshot if the module requires one."""
    return ["wait", "css", selector, 10, words, "update-image-placeholder-optional"]


def _login(base: str, *, posted: bool = False, seen: bool = False, asked: bool = False) -> list[dict[str, Any]]:
    """The tasks of a login. posted: the answer is a form. seen: a screenshot of the login page. asked: with consent."""
    type_it = [["text", "id", "username", PERSON], ["text", "id", "password", PASSWORD], _SUBMIT]
    allow = ["click", "css", "main form button[value=allow]"]
    return [
        _task("User name and password", "/login", *([_shot("main", ".*")] if seen else []), *type_it),
        _task("The fixed second factor", "/login/totp", ["text", "id", "totp", CODE], _SUBMIT),
        *([_task("Consent", "/oidc/authorize", allow, optional=False)] if asked else []),
        *([_task("An answer by form_post", "/oidc/authorize", ["click", "id", "continue"])] if posted else []),
        _at_the_suite(base),
    ]


def _refusal(base: str) -> list[dict[str, Any]]:
    """The tasks of a person who cancels the login."""
    return [_task("Go back", "/login", ["click", "name", "decision"]), _at_the_suite(base)]


def _browser(base: str, *, posted: bool = False) -> list[dict[str, Any]]:
    """The tasks on every page; the suite skips those whose page does not appear."""
    out = [
        _task("Sign out", "/oidc/logout", _SUBMIT),
        _task("Signed out", "/oidc/logout/confirmed", _shot("main h1", ".*signed out.*")),
        _task("Back at the suite", f"{base}/post_logout_redirect"),
    ]
    return [_begun("/oidc/authorize", *_login(base, posted=posted)), _begun("/oidc/logout", *out)]


def _overrides(base: str, *, posted: bool = False) -> dict[str, Any]:
    """The tasks of modules that require screenshots."""
    sign_in = _begun("/oidc/authorize", *_login(base, posted=posted))
    again = [{**sign_in, **_ONCE}, _begun("/oidc/authorize", *_login(base, posted=posted, seen=True))]
    bad = [sign_in, _begun("/oidc/logout", _error_page("/oidc/logout", ".*did not work.*"))]
    question = _task("The question", "/oidc/logout", _shot("main h1", ".*Sign out.*"), optional=False)
    at_once = _task("Signed out at once", "/oidc/logout", _shot("main h1", ".*signed out.*"), optional=False)
    signed_out = _task("Signed out", "/oidc/logout/confirmed", _shot("main h1", ".*signed out.*"), optional=False)
    confirmed = [
        sign_in,
        _begun("/oidc/logout", _task("Sign out", "/oidc/logout", _SUBMIT, optional=False), signed_out),
    ]
    browsers = {
        "oidcc-ensure-registered-redirect-uri": [
            _begun("/oidc/authorize", _error_page("/oidc/authorize", ".*cannot go on.*"))
        ],
        # asks with prompt=consent
        "oidcc-refresh-token": [_begun("/oidc/authorize", *_login(base, posted=posted, asked=True))],
        "oidcc-prompt-login": again,
        "oidcc-max-age-1": again,
        **{f"{_LOGOUT}-{name}": bad for name in _BAD_ADDRESSES},
        **{f"{_LOGOUT}-{name}": [sign_in, _begun("/oidc/logout", question)] for name in _WITHOUT_A_HINT},
        **{f"{_LOGOUT}-{name}": confirmed for name in ("no-params", "only-state")},
        f"{_LOGOUT}-no-post-logout-redirect-uri": [sign_in, _begun("/oidc/logout", at_once)],
    }
    return {name: {"browser": browser} for name, browser in browsers.items()}
