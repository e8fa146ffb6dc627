"""A valid request of every route, in parts."""

from __future__ import annotations

import json
import secrets
from base64 import b64encode
from dataclasses import replace
from datetime import timedelta
from itertools import cycle
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from uuid import uuid4

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from demo.browser import Browser
from derived import clock
from derived.authority.keeping import certificate_of
from derived.models import Authority, Credential, IssuedCertificate, Request
from device.proofs import THUMBPRINT_URN
from idp.agreements.redress import open_case
from idp.models import ClientPolicy, RedressCase, RegistrationToken, Upstream
from idp.secrets import hash_secret
from scim.access import roles
from scim.models import Access, AccessRule, Match, RequestBatch, RoleName
from scim.people import directory
from tests.fixtures.card_reader import PLACE, SECRET, Reader
from tests.fixtures.certificate_authority import csr
from tests.fixtures.proxy_hop import NAME, said
from tests.fixtures.roles import appoint, with_a_key
from tests.fixtures.software_authenticator import SoftKey
from tests.fixtures.world import CALLBACK, CORE, ISSUER, PATCH, http
from tests.fuzz.valid_state import CSRF, PASSPHRASE, ValidState, fresh
from tests.fuzz.wire import FORM, JSON, SCIM, Draft, Jws

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from demo.person import Person as DemoPerson
    from scim.models import Person

GROUP_URN = "urn:ietf:params:scim:schemas:core:2.0:Group"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


def _page(valid_state: ValidState, path: str, browser: Browser | None = None, **fields: Any) -> Draft:
    form = [("csrfmiddlewaretoken", CSRF), *fields.items()]
    return Draft(
        "POST", path, form=form, content_type=FORM, cookies=valid_state.cookies(browser or valid_state.desktop)
    )


def _get(valid_state: ValidState, path: str, browser: Browser | None = None, **query: str) -> Draft:
    return Draft("GET", path, query=list(query.items()), cookies=valid_state.cookies(browser or valid_state.desktop))


def _json(path: str, document: Any) -> Draft:
    return Draft("POST", path, document=document, content_type=JSON)


def _scim(valid_state: ValidState, method: str, path: str, document: Any = None, **query: str) -> Draft:
    headers = {"Authorization": f"Bearer {valid_state.world.token}"}
    return Draft(method, f"/scim/v2{path}", list(query.items()), document=document, content_type=SCIM, headers=headers)


# --- OpenID -----------------------------------------------------------------------------------------------------------


def authorize(valid_state: ValidState) -> Draft:
    app = valid_state.random.choice([valid_state.app, valid_state.consent_app, valid_state.browser_app])
    extra = valid_state.random.choice(
        [
            {},
            {"prompt": "none"},
            {"max_age": "0"},
            {"acr_values": "phr x"},
            {"prompt": "login"},
            {"login_hint": "a@b.c"},
            {"prompt": "select_account"},
            {"response_mode": "form_post"},
            {"response_mode": "form_post", "prompt": "none"},
            {"id_token_hint": valid_state.tokens["id_token"]},
            {
                "claims": json.dumps(
                    {
                        "id_token": {"email": None, "acr": {"essential": True, "values": ["phr", "x"]}},
                        "userinfo": {"name": {"value": "x"}},
                    }
                )
            },
        ]
    )
    pairs = list({**app.parameters(**extra)}.items())
    browser = valid_state.random.choice([valid_state.desktop, Browser(http())])
    if valid_state.random.random() < 0.3:
        return Draft("POST", "/oidc/authorize", form=pairs, content_type=FORM, cookies=valid_state.cookies(browser))
    return Draft("GET", "/oidc/authorize", pairs, cookies=valid_state.cookies(browser))


def register(valid_state: ValidState) -> Draft:
    document = {
        "redirect_uris": ["https://dyn.example.org/cb"], "client_name": "Dynamic",
        "token_endpoint_auth_method": "client_secret_basic", "scope": "openid email",
        "contacts": ["a@b.example"], "grant_types": ["authorization_code"], "tls_client_auth_subject_dn": "CN=x",
        "jwks": {"keys": []},
    }  # fmt: skip
    token = secrets.token_urlsafe(16)
    RegistrationToken.objects.create(
        token_hash=hash_secret(token, kind="initial-access-token"),
        label="fuzz",
        uses_left=1,
        created_at=clock.now(),
        expires_at=clock.now() + timedelta(days=1),
    )
    kept = {
        name: document[name]
        for name in valid_state.random.sample(sorted(document), valid_state.random.randint(1, len(document)))
    }
    return replace(_json("/oidc/register", kept), headers={"Authorization": f"Bearer {token}"})


def registration(valid_state: ValidState) -> Draft:
    access = secrets.token_urlsafe(16)
    ClientPolicy.objects.filter(pk=valid_state.registered_app.party.policy.pk).update(
        disabled_at=None, registration_hash=hash_secret(access, kind="registration-access-token")
    )
    document = {
        "client_id": valid_state.registered_app.client_id,
        "redirect_uris": [],
        "client_name": "x" * 90,
    }  # never a good one: the app is needed
    path = f"/oidc/register/{valid_state.registered_app.client_id}"
    method = valid_state.random.choice(["GET", "PUT"])
    return Draft(
        method,
        path,
        document=document if method == "PUT" else None,
        content_type=JSON,
        headers={"Authorization": f"Bearer {access}"},
    )


def par(valid_state: ValidState) -> Draft:
    """A pushed request, or the browser's half of one."""
    form: list[tuple[str, Any]] = list(valid_state.app.parameters().items())
    headers: dict[str, Any] = {"Authorization": valid_state.basic()}
    if valid_state.random.random() < 0.4:
        headers["DPoP"] = valid_state.proof("/oidc/par")
    draft = Draft("POST", "/oidc/par", form=form, content_type=FORM, headers=headers)
    if valid_state.random.random() < 0.3:
        pushed = valid_state.app.post("/oidc/par", dict(form)).json()
        return Draft(
            "GET",
            "/oidc/authorize",
            [("client_id", valid_state.app.client_id), ("request_uri", pushed["request_uri"])],
            cookies=valid_state.cookies(valid_state.desktop),
        )
    return draft


def jar(valid_state: ValidState) -> Draft:
    """A signed request object, in the address or pushed."""
    app, key = valid_state.signing_app, valid_state.signing_key
    now = int(clock.now().timestamp())
    claims = {
        **app.parameters(),
        "iss": app.client_id,
        "aud": ISSUER,
        "iat": now,
        "nbf": now,
        "exp": now + 300,
        "jti": secrets.token_urlsafe(8),
    }
    request = Jws({"typ": "oauth-authz-req+jwt", "alg": "ES256"}, claims, key)
    fields: list[tuple[str, Any]] = [("client_id", app.client_id), ("request", request)]
    if valid_state.random.random() < 0.5:
        return Draft(
            "GET",
            "/oidc/authorize",
            [*fields, ("redirect_uri", CALLBACK)],
            cookies=valid_state.cookies(valid_state.desktop),
        )
    assertion = Jws(
        {"alg": "ES256"}, {"iss": app.client_id, "sub": app.client_id, "aud": ISSUER, **fresh(), "exp": now + 60}, key
    )
    form = [
        *fields,
        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
        ("client_assertion", assertion),
    ]
    return Draft("POST", "/oidc/par", form=form, content_type=FORM)


def authorize_go_on(valid_state: ValidState) -> Draft:
    return _get(valid_state, f"/oidc/authorize/{valid_state.flow()}")


def authorize_account(valid_state: ValidState) -> Draft:
    return _page(
        valid_state,
        f"/oidc/authorize/{valid_state.flow()}/account",
        account=valid_state.random.choice(["this", "other"]),
    )


def authorize_consent(valid_state: ValidState) -> Draft:
    return _page(
        valid_state,
        f"/oidc/authorize/{valid_state.flow()}/consent",
        decision=valid_state.random.choice(["allow", "deny"]),
    )


def token_of_code(valid_state: ValidState) -> Draft:
    form: list[tuple[str, Any]] = [
        ("grant_type", "authorization_code"),
        ("code", valid_state.fresh_code()),
        ("redirect_uri", CALLBACK),
        ("code_verifier", valid_state.app.verifier),
    ]
    headers: dict[str, Any] = {"Authorization": valid_state.basic()}
    if valid_state.random.random() < 0.3:
        form += [("client_id", valid_state.app.client_id), ("client_secret", str(valid_state.app.secret))]
        headers = {}
    if valid_state.random.random() < 0.4:
        headers["DPoP"] = valid_state.proof("/oidc/token")
    return Draft("POST", "/oidc/token", form=form, content_type=FORM, headers=headers)


def token_of_refresh(valid_state: ValidState) -> Draft:
    form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", valid_state.tokens["refresh_token"]),
        ("scope", "openid"),
    ]
    return Draft("POST", "/oidc/token", form=form, content_type=FORM, headers={"Authorization": valid_state.basic()})


def token_of_device(valid_state: ValidState) -> Draft:
    mine, client_id = valid_state.phone.enrolment, valid_state.field_app.client_id
    claims = {
        "iss": THUMBPRINT_URN + mine.key.jkt,
        "sub": mine.credential_id,
        "aud": ISSUER,
        "client_id": client_id,
        **fresh(),
    }
    claims["exp"] = claims["iat"] + 60
    assertion = Jws({"typ": "ramet-device+jwt", "alg": "ES256", "kid": mine.key.jkt}, claims, mine.key)
    form = [
        ("grant_type", GRANT),
        ("assertion", assertion),
        ("client_id", client_id),
        ("passphrase", PASSPHRASE),
        ("scope", "openid offline_access"),
        ("acr_values", "http://idmanagement.gov/ns/assurance/aal/2"),
    ]
    return Draft(
        "POST", "/oidc/token", form=form, content_type=FORM, headers={"DPoP": valid_state.proof("/oidc/token")}
    )


def token_of_device_code(valid_state: ValidState) -> Draft:
    code = valid_state.random.choice([valid_state.screen["device_code"], secrets.token_urlsafe(32)])
    form = [("grant_type", "urn:ietf:params:oauth:grant-type:device_code"), ("device_code", code), ("resource", ISSUER)]
    return Draft("POST", "/oidc/token", form=form, content_type=FORM, headers={"Authorization": valid_state.basic()})


def token_of_service(valid_state: ValidState) -> Draft:
    form = [("grant_type", "client_credentials"), ("scope", "introspect"), ("resource", ISSUER)]
    headers: dict[str, Any] = {"Authorization": valid_state.basic()}
    if valid_state.random.random() < 0.3:
        headers["DPoP"] = valid_state.proof("/oidc/token")
    return Draft("POST", "/oidc/token", form=form, content_type=FORM, headers=headers)


def device_authorization(valid_state: ValidState) -> Draft:
    form = [
        ("scope", "openid profile"),
        ("resource", ISSUER),
        ("acr_values", "http://idmanagement.gov/ns/assurance/aal/2 x"),
    ]
    return Draft(
        "POST",
        "/oidc/device_authorization",
        form=form,
        content_type=FORM,
        headers={"Authorization": valid_state.basic(), "User-Agent": "Screen/1"},
    )


def device_code(valid_state: ValidState) -> Draft:
    if valid_state.random.random() < 0.3:
        return _get(valid_state, "/device", valid_state.random.choice([valid_state.victims, Browser(http())]))
    return _page(
        valid_state,
        "/device",
        valid_state.victims,
        code=valid_state.random.choice([valid_state.screen["user_code"], "ABCD-EFGH"]),
    )


def device_approval(valid_state: ValidState) -> Draft:
    browser = valid_state.victims
    page = browser.get(f"{ISSUER}/device")
    if form := page.form_with("code"):
        browser.submit(page, form, values={"code": valid_state.screen["user_code"]})
    return _page(valid_state, "/device/approval", browser, decision=valid_state.random.choice(["allow", "deny", ""]))


def userinfo(valid_state: ValidState) -> Draft:
    if valid_state.random.random() < 0.5:
        return Draft(
            "GET",
            "/oidc/userinfo",
            headers={"Authorization": f"Bearer {valid_state.tokens['access_token']}", "Origin": "https://spa.example"},
        )
    headers = {
        "Authorization": f"DPoP {valid_state.mobile_tokens[0]}",
        "DPoP": valid_state.proof("/oidc/userinfo", "GET"),
    }
    return Draft("GET", "/oidc/userinfo", headers=headers)


def introspect(valid_state: ValidState) -> Draft:
    token = valid_state.random.choice(
        [valid_state.tokens["access_token"], valid_state.tokens["refresh_token"], valid_state.tokens["id_token"]]
    )
    return Draft(
        "POST",
        "/oidc/introspect",
        form=[("token", token), ("token_type_hint", "access_token")],
        content_type=FORM,
        headers={"Authorization": valid_state.basic()},
    )


def revoke(valid_state: ValidState) -> Draft:
    token = valid_state.random.choice(
        [secrets.token_urlsafe(32), valid_state.tokens["id_token"], valid_state.mobile_tokens[0]]
    )
    return Draft(
        "POST",
        "/oidc/revoke",
        form=[("token", token)],
        content_type=FORM,
        headers={"Authorization": valid_state.basic()},
    )


def logout(valid_state: ValidState) -> Draft:
    query = {
        "id_token_hint": valid_state.tokens["id_token"],
        "post_logout_redirect_uri": "https://app.example/out",
        "state": "s",
        "client_id": valid_state.app.client_id,
    }
    if valid_state.random.random() < 0.3:
        return Draft(
            "POST",
            "/oidc/logout",
            form=list(query.items()),
            content_type=FORM,
            cookies=valid_state.cookies(valid_state.victims),
        )
    return _get(valid_state, "/oidc/logout", valid_state.victims, **query)


def language(valid_state: ValidState) -> Draft:
    return _page(valid_state, "/language", language="fr", next="/devices")


def logout_confirmed(valid_state: ValidState) -> Draft:
    fields = {
        "client_id": valid_state.app.client_id,
        "post_logout_redirect_uri": "https://app.example/out",
        "state": "s",
    }
    return _page(valid_state, "/oidc/logout/confirmed", valid_state.victims, **fields)


# --- logging in -------------------------------------------------------------------------------------------------------


def login(valid_state: ValidState) -> Draft:
    if valid_state.random.random() < 0.3:
        return _get(valid_state, "/login", Browser(http()), flow=secrets.token_urlsafe(32), next="/devices")
    return _page(
        valid_state,
        "/login",
        Browser(http()),
        username=valid_state.person.username,
        password=valid_state.person.password,
    )


def _half(person: DemoPerson) -> Browser:
    """A browser that has just shown the password."""
    browser = Browser(http())
    page = browser.get(f"{ISSUER}/login")
    browser.submit(page, page.forms()[0], values={"username": person.username, "password": person.password})
    return browser


def login_totp(valid_state: ValidState) -> Draft:
    return _page(valid_state, "/login/totp", _half(valid_state.person), totp="123456")


def login_recover(valid_state: ValidState) -> Draft:
    return _page(valid_state, "/login/recover", _half(valid_state.victim), code=valid_state.victim.recovery_codes[0])


def login_recover_totp(valid_state: ValidState) -> Draft:
    browser = _half(valid_state.victim)
    page = browser.get(f"{ISSUER}/login/recover")
    if form := page.form_with("code"):
        browser.submit(page, form, values={"code": valid_state.victim.recovery_codes[0]})
    return _page(valid_state, "/login/recover/totp", browser, totp="123456")


def login_help(valid_state: ValidState) -> Draft:
    return _page(valid_state, "/login/help", Browser(http()), username=valid_state.victim.username)


def login_mailed(valid_state: ValidState) -> Draft:
    return _page(valid_state, "/login/mailed", Browser(http()), username=valid_state.victim.username)


def login_mailed_codes(valid_state: ValidState) -> Draft:
    browser = Browser(http())
    page = browser.get(f"{ISSUER}/login/mailed")
    if form := page.form_with("username"):
        browser.submit(page, form, values={"username": valid_state.victim.username})
    return _page(valid_state, "/login/mailed/codes", browser, first="AAAA-AAAA-AAAA", second="B", password="", saved="")


def login_recover_password(valid_state: ValidState) -> Draft:
    given = {"password": "seven mossy stones", "password_again": "seven mossy stones"}
    return _page(valid_state, "/login/recover/password", _half(valid_state.victim), **given)


def login_pass(valid_state: ValidState) -> Draft:
    given = {"username": valid_state.victim.username, "code": "AAAA-AAAA-AAAA"}
    return _page(valid_state, "/login/pass", Browser(http()), **given)


def console_act(valid_state: ValidState) -> Draft:
    act = valid_state.random.choice(["suspend", "resume", "invite", "revoke", "sign-out", "end"])
    path = f"/console/people/{_managed(valid_state).id}/act"
    return _page(valid_state, path, act=act, because="", credential=str(uuid4()))


def console_pass(valid_state: ValidState) -> Draft:
    return _page(valid_state, f"/console/people/{_managed(valid_state).id}/pass", place="front desk")


def login_device(valid_state: ValidState) -> Draft:
    browser, key = Browser(http()), valid_state.phone.enrolment.key
    page = browser.get(f"{ISSUER}/login/device")
    challenge = page.html.split('data-challenge="', 1)[-1].split('"', 1)[0]
    proof = Jws(
        {"typ": "ramet-login+jwt", "alg": "ES256", "kid": key.jkt}, {"aud": ISSUER, "nonce": challenge, **fresh()}, key
    )
    return _page(valid_state, "/login/device", browser, challenge=challenge, proof=proof, passphrase=PASSPHRASE)


def sessions_end_others(valid_state: ValidState) -> Draft:
    return _page(valid_state, "/sessions/end-others", valid_state.victims)


def session_end(valid_state: ValidState) -> Draft:
    return _page(valid_state, f"/sessions/{uuid4()}/end", valid_state.victims)


# --- enrolment --------------------------------------------------------------------------------------------------------


def invitation(valid_state: ValidState) -> Draft:
    if valid_state.random.random() < 0.4:
        return _get(valid_state, valid_state.invitation, Browser(http()))
    return _page(
        valid_state,
        valid_state.invitation,
        Browser(http()),
        password="a fern in the wood",
        password_again="a fern in the wood",
    )


def invitation_totp(valid_state: ValidState) -> Draft:
    return _page(valid_state, valid_state.invitation + "/totp", valid_state.enrolling, totp="123456")


def devices(valid_state: ValidState) -> Draft:
    return _get(valid_state, "/devices")


def device_add(valid_state: ValidState) -> Draft:
    return _page(valid_state, "/devices/add", valid_state.victims)


def device_adding(valid_state: ValidState) -> Draft:
    return _get(valid_state, valid_state.page.path)


def device_adding_status(valid_state: ValidState) -> Draft:
    return _get(valid_state, valid_state.page.path + "/status")


def device_confirm(valid_state: ValidState) -> Draft:
    return _page(valid_state, valid_state.page.path + "/confirm", number="42")


def device_refuse(valid_state: ValidState) -> Draft:
    return _page(
        valid_state, valid_state.page.path.replace(valid_state.page.path.split("/")[-1], str(uuid4())) + "/refuse"
    )


def device_remove(valid_state: ValidState) -> Draft:
    return _page(
        valid_state, f"/devices/{valid_state.victims_phone.enrolment.credential_id}/remove", valid_state.victims
    )


def device_suspend(valid_state: ValidState) -> Draft:
    phone = valid_state.victims_phone.enrolment.credential_id
    return _page(valid_state, f"/devices/{phone}/suspend", valid_state.victims)


def device_lift(valid_state: ValidState) -> Draft:
    phone = valid_state.victims_phone.enrolment.credential_id
    return _page(valid_state, f"/devices/{phone}/lift", valid_state.victims)


def device_rename(valid_state: ValidState) -> Draft:
    return _page(valid_state, f"/devices/{valid_state.phone.enrolment.credential_id}/rename", name="My phone")


def _root(valid_state: ValidState) -> str:
    row = Credential.objects.filter(account__person__login_name=valid_state.victim.username, root=None).first()
    return f"/devices/roots/{row.id if row else uuid4()}"


def root_rename(valid_state: ValidState) -> Draft:
    return _page(valid_state, _root(valid_state) + "/rename", valid_state.victims, name="My key")


def root_codes(valid_state: ValidState) -> Draft:
    return _page(valid_state, _root(valid_state) + "/codes", valid_state.victims)


def recovery_codes_download(valid_state: ValidState) -> Draft:
    code = valid_state.random.choice(["ABCD-EFGH-JKMN-PQRS", "abcd", "ABCD-EFGH-JKMN-PQR\r\nX"])
    return _page(valid_state, "/recovery-codes/download", Browser(http()), code=code)


def root_remove(valid_state: ValidState) -> Draft:
    return _page(valid_state, _root(valid_state) + "/remove", valid_state.victims)


def root_enable(valid_state: ValidState) -> Draft:
    return _page(valid_state, _root(valid_state) + "/enable", valid_state.victims)


def root_report(valid_state: ValidState) -> Draft:
    return _page(valid_state, f"/devices/roots/{uuid4()}/report", valid_state.victims, used="yes", since="2026-11-20")


def roots_password_add(valid_state: ValidState) -> Draft:
    return _page(
        valid_state, "/devices/roots/password/add", password="a fern in the wood", password_again="a fern in the wood"
    )


def roots_password_add_app(valid_state: ValidState) -> Draft:
    return _page(valid_state, "/devices/roots/password/add/app", totp="123456")


def root_password(valid_state: ValidState) -> Draft:
    return _page(
        valid_state, _root(valid_state) + "/password", valid_state.victims, password="short", password_again="short"
    )


def root_app(valid_state: ValidState) -> Draft:
    return _page(valid_state, _root(valid_state) + "/app", valid_state.victims, totp="123456")


def enrol(valid_state: ValidState) -> Draft:
    return _get(valid_state, "/enrol")


def enrol_challenge(valid_state: ValidState) -> Draft:
    code = (
        {"code": valid_state.short_code, "username": valid_state.person.username}
        if valid_state.random.random() < 0.4
        else {"code": valid_state.code}
    )
    return _json("/enrol/v1/challenges", {**code, "jwk": valid_state.key.public_jwk})


def enrol_bind(valid_state: ValidState) -> Draft:
    header = {"typ": "ramet-binding+jwt", "alg": "ES256", "jwk": valid_state.key.public_jwk}
    proof = Jws(header, {"aud": ISSUER, "nonce": valid_state.challenge, **fresh()}, valid_state.key)
    body = {
        "code": valid_state.code,
        "proof": proof,
        "device_name": "Phone",
        "passphrase": PASSPHRASE,
        "clients": [valid_state.field_app.client_id],
    }
    return _json("/enrol/v1/bindings", body)


def enrol_status(valid_state: ValidState) -> Draft:
    binding = valid_state.page.path.split("/")[-1]
    header = {"typ": "ramet-binding-status+jwt", "alg": "ES256", "kid": valid_state.key.jkt}
    return _json(
        f"/enrol/v1/bindings/{binding}",
        {"proof": Jws(header, {"aud": ISSUER, "sub": binding, **fresh()}, valid_state.key)},
    )


def undo(valid_state: ValidState) -> Draft:
    return (
        _page(valid_state, valid_state.undo, Browser(http()))
        if valid_state.random.random() < 0.5
        else _get(valid_state, valid_state.undo, Browser(http()))
    )


# --- passkeys ---------------------------------------------------------------------------------------------------------


def _challenge(browser: Browser, page_path: str, options_path: str) -> dict[str, Any]:
    """The options that the script of a page fetches; what is not given now is made up."""
    page = browser.get(ISSUER + page_path)
    form = page.form_with("response")
    token = form.fields["csrfmiddlewaretoken"] if form else CSRF
    answer = browser._http.post(ISSUER + options_path, data={"csrfmiddlewaretoken": token}, headers={"Origin": ISSUER})
    if answer.status_code == 200:
        return dict(answer.json())
    return {
        "challenge": secrets.token_urlsafe(32),
        "rpId": "localhost",
        "rp": {"id": "localhost"},
        "user": {"id": "AAAA"},
    }


def _answer(valid_state: ValidState, options: dict[str, Any]) -> Any:
    """A registration or an assertion, sometimes with a part of it gone wrong."""
    key = SoftKey(user_handle=secrets.token_bytes(16))
    made = key.create(options) if "user" in options else key.get(options)
    if valid_state.random.random() < 0.5:
        part = valid_state.random.choice([made, made["response"]])
        name = valid_state.random.choice(list(part))
        part[name] = valid_state.random.choice(
            [None, 7, [], {}, "", "AAAA", str(part[name])[:-4], "\u0000", "[" * 4000]
        )
    return json.dumps(made)


def login_passkey(valid_state: ValidState) -> Draft:
    browser = Browser(http())
    return _page(
        valid_state,
        "/login/passkey",
        browser,
        response=_answer(valid_state, _challenge(browser, "/login/passkey", "/login/passkey/options")),
    )


def login_passkey_options(valid_state: ValidState) -> Draft:
    return _page(valid_state, "/login/passkey/options", Browser(http()))


def login_second_passkey(valid_state: ValidState) -> Draft:
    browser = _half(valid_state.person)
    options = _challenge(browser, "/login/second/passkey", "/login/second/passkey/options")
    return _page(valid_state, "/login/second/passkey", browser, response=_answer(valid_state, options))


def login_second_passkey_options(valid_state: ValidState) -> Draft:
    return _page(valid_state, "/login/second/passkey/options", _half(valid_state.person))


def root_passkey_add(valid_state: ValidState) -> Draft:
    options = _challenge(valid_state.victims, "/devices/roots/passkey/add", "/devices/roots/passkey/options")
    return _page(
        valid_state,
        "/devices/roots/passkey/add",
        valid_state.victims,
        response=_answer(valid_state, options),
        name="Key",
    )


def root_passkey_options(valid_state: ValidState) -> Draft:
    return _page(valid_state, "/devices/roots/passkey/options", valid_state.victims)


def root_passkey(valid_state: ValidState) -> Draft:
    return _get(valid_state, f"/devices/roots/passkey/{uuid4()}")


def derived_passkey_add(valid_state: ValidState) -> Draft:
    options = _challenge(valid_state.victims, "/devices/passkey/add", "/devices/passkey/options")
    return _page(
        valid_state, "/devices/passkey/add", valid_state.victims, response=_answer(valid_state, options), name="Key"
    )


def derived_passkey_options(valid_state: ValidState) -> Draft:
    return _page(valid_state, "/devices/passkey/options", valid_state.victims)


def family_end(valid_state: ValidState) -> Draft:
    return _page(valid_state, f"/devices/apps/{uuid4()}/end", valid_state.victims)


def apps(valid_state: ValidState) -> Draft:
    return _get(valid_state, "/apps", valid_state.victims)


def change_password(valid_state: ValidState) -> Draft:
    return _get(valid_state, "/.well-known/change-password", valid_state.victims)


def app(valid_state: ValidState) -> Draft:
    return _get(valid_state, f"/apps/{valid_state.random.choice([1, 2, 10**20])}", valid_state.victims)


def redress(valid_state: ValidState) -> Draft:
    about = valid_state.random.choice(["", "app:1", "act:1", "act:x", "x"])
    return _page(valid_state, "/redress", valid_state.victims, about=about, words="My name is spelled wrong.")


def console_agreements(valid_state: ValidState) -> Draft:
    _managed(valid_state)
    return _get(valid_state, "/console/agreements")


def console_redress(valid_state: ValidState) -> Draft:
    _managed(valid_state)
    return _get(valid_state, "/console/redress")


def console_redress_case(valid_state: ValidState) -> Draft:
    person = _managed(valid_state)
    if RedressCase.objects.filter(account=person.account_id, answered_at__isnull=True).count() < 5:
        open_case(person, "My name is spelled wrong.", now=clock.now())
    case = RedressCase.objects.filter(answered_at__isnull=True).first()
    return _page(valid_state, f"/console/redress/{case.pk if case else 7}", answer="It was an error.")


def app_withdraw(valid_state: ValidState) -> Draft:
    return _page(valid_state, f"/apps/{valid_state.random.randint(1, 9)}/withdraw", valid_state.victims)


def derived_passkey(valid_state: ValidState) -> Draft:
    return _get(valid_state, f"/devices/passkey/{uuid4()}")


def enrol_passkey(valid_state: ValidState) -> Draft:
    return _get(valid_state, "/enrol/passkey", Browser(http()))


def _code_of_a_passkey(valid_state: ValidState) -> str:
    """A code of the victim's, or one that is none."""
    page = valid_state.victims.get(f"{ISSUER}/devices/passkey/add")
    forms = [one for one in page.forms() if one.action.endswith("/devices/add")]
    shown = valid_state.victims.submit(page, forms[0]) if forms else page
    return shown.by_id("binding-code") if "binding-code" in shown.html else "ABCD-EFGH"


def enrol_passkey_options(valid_state: ValidState) -> Draft:
    return _page(
        valid_state,
        "/enrol/passkey/options",
        Browser(http()),
        code=_code_of_a_passkey(valid_state),
        username=valid_state.person.username,
    )


def enrol_passkey_answer(valid_state: ValidState) -> Draft:
    browser, code = Browser(http()), _code_of_a_passkey(valid_state)
    page = browser.get(f"{ISSUER}/enrol/passkey")
    form = page.form_with("code")
    token = form.fields["csrfmiddlewaretoken"] if form else CSRF
    headers = {"Origin": ISSUER, "Referer": page.url}
    answer = browser._http.post(
        f"{ISSUER}/enrol/passkey/options", data={"csrfmiddlewaretoken": token, "code": code}, headers=headers
    )
    options = (
        answer.json()
        if answer.status_code == 200
        else {"challenge": "AAAA", "rp": {"id": "localhost"}, "user": {"id": "AAAA"}}
    )
    return _page(
        valid_state, "/enrol/passkey/answer", browser, code=code, name="Phone", response=_answer(valid_state, options)
    )


def enrol_passkey_status(valid_state: ValidState) -> Draft:
    return _page(valid_state, f"/enrol/passkey/{uuid4()}", Browser(http()))


def invitation_passkey(valid_state: ValidState) -> Draft:
    path, browser = valid_state.invitation + "/passkey", Browser(http())
    return _page(
        valid_state,
        path,
        browser,
        response=_answer(valid_state, _challenge(browser, path, path + "/options")),
        name="Key",
    )


def invitation_passkey_options(valid_state: ValidState) -> Draft:
    return _page(valid_state, valid_state.invitation + "/passkey/options", Browser(http()))


# --- cards ------------------------------------------------------------------------------------------------------------


def _ticket(browser: Browser, path: str, **values: str) -> str:
    """The path on the certificate host that a browser is sent to, or one that nobody was."""
    page = browser.get(ISSUER + path)
    form = next((one for one in page.forms() if one.method == "post" and "username" not in one.fields), None)
    sent = browser.submit(page, form, values=values, stop_at=f"https://{PLACE}").stopped_at if form else ""
    return sent.removeprefix(f"https://{PLACE}") or f"/certificate/{secrets.token_urlsafe(32)}"


def _result(browser: Browser, path: str) -> str:
    """What comes back from the certificate host, now and then."""
    sent = Reader().browser()
    sent._http.cookies = browser._http.cookies
    back = sent.get(f"https://{PLACE}{_ticket(browser, path)}", stop_at=ISSUER).stopped_at
    return back.partition("result=")[2] or secrets.token_urlsafe(32)


def _on_the_certificate_host(valid_state: ValidState, path: str, **headers: str) -> Draft:
    return Draft("GET", path, cookies=valid_state.cookies(Browser(http())), headers={"Host": PLACE, **headers})


def login_card(valid_state: ValidState) -> Draft:
    return _page(valid_state, "/login/card", Browser(http()))


def login_card_done(valid_state: ValidState) -> Draft:
    browser = Browser(http())
    return _get(valid_state, "/login/card/done", browser, result=_result(browser, "/login/card"))


def certificate_present(valid_state: ValidState) -> Draft:
    shown = valid_state.random.choice(
        ["-----BEGIN%20CERTIFICATE-----%0AAAAA%0A-----END%20CERTIFICATE-----%0A", "%00", "x" * 3000, ""]
    )
    certificate = f"pem={shown}"
    if valid_state.random.random() < 0.5:
        certificate = "der=" + valid_state.random.choice(["AAAA", "AAAA,AAAA", "MAA=; chain=MAAwAA==", "A" * 9000])
    headers = {NAME: f"secret={SECRET}; resumed={valid_state.random.choice(['.', 'r'])}; {certificate}"}
    return _on_the_certificate_host(valid_state, _ticket(Browser(http()), "/login/card"), **headers)


def certificate_probe(valid_state: ValidState) -> Draft:
    return _on_the_certificate_host(
        valid_state, f"/certificate/probe/{secrets.token_urlsafe(32)}", **{NAME: "secret=AAAA"}
    )


def _by_certificate(draft: Draft) -> Draft:
    """The same on the certificate host, with something for a certificate."""
    shown = said(SECRET, pem=b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    path = "/certificate" + draft.path if draft.path.startswith(("/oidc/", "/scim/")) else draft.path
    return replace(draft, path=path, headers={**draft.headers, "Host": PLACE, **shown})


def certificate_token(valid_state: ValidState) -> Draft:
    return _by_certificate(token_of_refresh(valid_state))


def certificate_par(valid_state: ValidState) -> Draft:
    return _by_certificate(
        Draft(
            "POST",
            "/oidc/par",
            form=list(valid_state.app.parameters().items()),
            content_type=FORM,
            headers={"Authorization": valid_state.basic()},
        )
    )


def certificate_userinfo(valid_state: ValidState) -> Draft:
    return _by_certificate(userinfo(valid_state))


def certificate_introspect(valid_state: ValidState) -> Draft:
    return _by_certificate(introspect(valid_state))


def certificate_revoke(valid_state: ValidState) -> Draft:
    return _by_certificate(revoke(valid_state))


def root_card_add(valid_state: ValidState) -> Draft:
    return _page(valid_state, "/devices/roots/card/add", valid_state.victims, replaces=str(uuid4()))


def root_card_done(valid_state: ValidState) -> Draft:
    return _get(
        valid_state,
        "/devices/roots/card/done",
        valid_state.victims,
        result=_result(valid_state.victims, "/devices/roots/card/add"),
    )


def invitation_card(valid_state: ValidState) -> Draft:
    return _page(valid_state, valid_state.invitation + "/card", Browser(http()))


def invitation_card_done(valid_state: ValidState) -> Draft:
    browser = Browser(http())
    return _get(
        valid_state, "/invitation/card/done", browser, result=_result(browser, valid_state.invitation + "/card")
    )


# --- certificates -----------------------------------------------------------------------------------------------------


def _certificate_key() -> Any:
    return ec.generate_private_key(ec.SECP256R1())


def _ordered(valid_state: ValidState) -> str:
    """The path of an order of the victim's, mostly one that is open."""
    page = valid_state.victims.get(f"{ISSUER}/devices/certificates/add")
    form = next((one for one in page.forms() if "way" in one.fields), None)
    if form is None or valid_state.random.random() < 0.3:
        return f"/devices/certificates/orders/{uuid4()}"
    return valid_state.victims.submit(
        page, form, values={"name": "Router", "passphrase": PASSPHRASE, "way": "device"}
    ).path


def _request_for(valid_state: ValidState, path: str) -> str:
    """A certificate request of the victim, mostly with the challenge of their login."""
    page = valid_state.victims.get(f"{ISSUER}{path}")
    found = [one.text for one in page._read().elements if one.id == "request-challenge"]
    return csr(_certificate_key(), subject=found[0] if found and valid_state.random.random() < 0.8 else "vpn").decode()


def certificate_add(valid_state: ValidState) -> Draft:
    request = _request_for(valid_state, "/devices/certificates/add")
    way = valid_state.random.choice(["request", "request", "device", "file"])
    return _page(
        valid_state,
        "/devices/certificates/add",
        valid_state.victims,
        name="VPN",
        passphrase=PASSPHRASE,
        way=way,
        request=request,
        transport="t" * 12,
    )


def certificate(valid_state: ValidState) -> Draft:
    row = IssuedCertificate.objects.order_by("?").first()
    return _get(
        valid_state,
        f"/devices/certificates/{row.pk if row else uuid4()}{valid_state.random.choice(['', '/pem'])}",
        valid_state.victims,
    )


def certificate_order(valid_state: ValidState) -> Draft:
    return _get(valid_state, _ordered(valid_state), valid_state.victims)


def certificate_confirm(valid_state: ValidState) -> Draft:
    return _page(
        valid_state, _ordered(valid_state) + "/confirm", valid_state.victims, fingerprint="0000 0000 0000 0000"
    )


def certificate_refuse(valid_state: ValidState) -> Draft:
    return _page(valid_state, _ordered(valid_state) + "/refuse", valid_state.victims)


_TOLD = cycle(["cacerts", "csrattrs"])


def est(_house: ValidState) -> Draft:
    return Draft("GET", "/.well-known/est/" + next(_TOLD))


_ENROLLING = cycle(["simpleenroll", "simplereenroll", "simpleenroll"])


def est_enroll(valid_state: ValidState) -> Draft:
    typed = valid_state.random.choice([valid_state.short_code, valid_state.code, "AAAA-AAAA"])
    der = x509.load_pem_x509_csr(csr(_certificate_key(), subject=typed)).public_bytes(Encoding.DER)
    code = f"{valid_state.victim.username}:{typed}"
    headers = {"Authorization": "Basic " + b64encode(code.encode()).decode()}
    operation = next(_ENROLLING)
    if operation == "simplereenroll":
        headers = {"Host": PLACE, NAME: f"secret={SECRET}; resumed=.; der=AAAA"}
    return Draft(
        "POST", f"/.well-known/est/{operation}", raw=b64encode(der), content_type="application/pkcs10", headers=headers
    )


def certificate_reissue(valid_state: ValidState) -> Draft:
    row = IssuedCertificate.objects.order_by("?").first()
    path = f"/devices/certificates/{row.pk if row else uuid4()}/reissue"
    return _page(valid_state, path, valid_state.victims, request=_request_for(valid_state, path))


def certificate_attest(valid_state: ValidState) -> Draft:
    code = valid_state.random.choice([valid_state.short_code, valid_state.code, "AAAA-AAAA"])
    der = x509.load_pem_x509_csr(csr(_certificate_key(), subject=code)).public_bytes(Encoding.DER)
    said = {
        "code": code,
        "username": valid_state.victim.username,
        "request": b64encode(der).decode(),
        "attestation": {"format": "tpm", "x5c": ["AAAA"]},
    }
    return _json("/enrol/v1/certificates/attestations", said)


def pki(valid_state: ValidState) -> Draft:
    row = Authority.objects.first()
    name = row.name if row else "0" * 16
    return Draft(
        "GET",
        "/pki/"
        + valid_state.random.choice(
            [f"{name}.crl", f"{name}-0.crl", f"{name}.cer", "lists.pem", "authorities.pem", "x"]
        ),
    )


def ocsp(valid_state: ValidState) -> Draft:
    row = Authority.objects.first()
    if row is None:
        return Draft("POST", "/pki/ocsp", raw=b"hello", content_type="application/ocsp-request")
    issuer = certificate_of(row)
    raw = (
        x509.ocsp.OCSPRequestBuilder()
        .add_certificate(issuer, issuer, hashes.SHA256())
        .build()
        .public_bytes(Encoding.DER)
    )
    if valid_state.random.random() < 0.5:
        return Draft("GET", "/pki/ocsp/" + quote(b64encode(raw).decode(), safe=""))
    return Draft("POST", "/pki/ocsp", raw=raw, content_type="application/ocsp-request")


# --- SCIM -------------------------------------------------------------------------------------------------------------


def _user(valid_state: ValidState, name: str) -> dict[str, Any]:
    return {
        "schemas": [CORE],
        "userName": name,
        "externalId": f"e-{name}",
        "name": {"givenName": "V", "familyName": "W"},
        "active": True,
        "emails": [{"value": name, "type": "work", "primary": True}],
        "phoneNumbers": [{"value": "tel:+1-201-555-0123", "type": "work"}],
        "meta": {"version": str(valid_state.number)},
    }


def _victim(valid_state: ValidState) -> str:
    return f"/Users/{valid_state.world.ids[valid_state.victim.username]}"


def scim_users(valid_state: ValidState) -> Draft:
    queries = [
        {"filter": f'userName eq "{valid_state.victim.username}"'},
        {"startIndex": "1", "count": "2"},
        {"attributes": "userName,emails.value"},
        {},
    ]
    return _scim(valid_state, "GET", "/Users", **valid_state.random.choice(queries))


def scim_search(valid_state: ValidState) -> Draft:
    body = {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],
        "filter": f'userName eq "{valid_state.victim.username}"',
        "attributes": ["userName", "emails.value"],
        "startIndex": 1,
        "count": 2,
    }
    return _scim(
        valid_state, "POST", valid_state.random.choice(["/.search", "/Users/.search", "/Groups/.search"]), body
    )


def scim_create(valid_state: ValidState) -> Draft:
    return _scim(valid_state, "POST", "/Users", _user(valid_state, f"made-{secrets.token_hex(4)}@example.org"))


def scim_user(valid_state: ValidState) -> Draft:
    return _scim(valid_state, valid_state.random.choice(["GET", "DELETE"]), _victim(valid_state), attributes="userName")


def scim_put(valid_state: ValidState) -> Draft:
    return _scim(valid_state, "PUT", _victim(valid_state), _user(valid_state, valid_state.victim.username))


def scim_patch(valid_state: ValidState) -> Draft:
    operations: list[dict[str, Any]] = [
        {"op": "replace", "path": 'emails[type eq "work"].value', "value": "x@example.org"},
        {"op": "Add", "value": {"nickName": "Vee"}},
        {"op": "remove", "path": "name.middleName"},
        {"op": "replace", "path": "active", "value": True},
    ]
    return _scim(
        valid_state,
        "PATCH",
        _victim(valid_state),
        {"schemas": [PATCH], "Operations": valid_state.random.sample(operations, 2)},
    )


def _group(valid_state: ValidState) -> dict[str, Any]:
    members = [{"value": valid_state.world.ids[valid_state.victim.username], "type": "User"}]
    return {
        "schemas": [GROUP_URN],
        "displayName": "Guides",
        "externalId": f"g-{secrets.token_hex(4)}",
        "members": members,
    }


def _made_group(valid_state: ValidState) -> str:
    nobody = {**_group(valid_state), "members": []}  # the victim may be gone by now
    return f"/Groups/{valid_state.world.scim('POST', '/Groups', nobody).json()['id']}"


def scim_groups(valid_state: ValidState) -> Draft:
    if valid_state.random.random() < 0.5:
        return _scim(valid_state, "POST", "/Groups", _group(valid_state))
    queries = [
        {"filter": 'displayName eq "Guides"', "sortBy": "displayName"},
        {"cursor": "", "count": "1"},
        {"sortBy": "meta.created", "sortOrder": "descending"},
    ]
    return _scim(
        valid_state, "GET", valid_state.random.choice(["/Groups", "/Users", "/"]), **valid_state.random.choice(queries)
    )


def scim_group(valid_state: ValidState) -> Draft:
    path, member = _made_group(valid_state), valid_state.world.ids[valid_state.victim.username]
    operations: list[dict[str, Any]] = [
        {"op": "add", "path": "members", "value": [{"value": member}]},
        {"op": "remove", "path": f'members[value eq "{member}"]'},
        {"op": "replace", "value": {"displayName": "Others"}},
        {"op": "remove", "path": 'members[type eq "Group"]'},
    ]
    return valid_state.random.choice(
        [
            lambda: _scim(
                valid_state, "PATCH", path, {"schemas": [PATCH], "Operations": valid_state.random.sample(operations, 2)}
            ),
            lambda: _scim(valid_state, "PUT", path, _group(valid_state)),
            lambda: _scim(
                valid_state, valid_state.random.choice(["GET", "DELETE"]), path, excludedAttributes="members"
            ),
        ]
    )()


def scim_bulk(valid_state: ValidState) -> Draft:
    operations = [
        {
            "method": "POST",
            "path": "/Users",
            "bulkId": "u",
            "data": _user(valid_state, f"bulk-{secrets.token_hex(4)}@example.org"),
        },
        {
            "method": "POST",
            "path": "/Groups",
            "bulkId": "g",
            "data": {"schemas": [GROUP_URN], "displayName": "b", "members": [{"value": "bulkId:u"}]},
        },
        {
            "method": "PATCH",
            "path": _victim(valid_state),
            "data": {"schemas": [PATCH], "Operations": [{"op": "replace", "value": {"title": "T"}}]},
        },
        {"method": "DELETE", "path": "/Users/bulkId:u"},
    ]
    body = {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],
        "failOnErrors": 1,
        "Operations": operations,
    }
    return _scim(valid_state, "POST", "/Bulk", body)


def scim_feed(valid_state: ValidState) -> Draft:
    asked = [
        {
            "maxEvents": 2,
            "returnImmediately": True,
            "ack": [f"{valid_state.receiver.id:x}-{uuid4().hex}"],
            "setErrs": {"x": {"err": "invalid_key"}},
        },
        {},
    ]
    return _feed(valid_state, "POST", "/Events", valid_state.random.choice(asked))


def scim_feed_read(valid_state: ValidState) -> Draft:
    person = directory.find(valid_state.world.source, valid_state.world.ids[valid_state.person.username]).person_id
    path = valid_state.random.choice(["/Users", "/Groups", f"/Users/{person}", f"/Groups/{uuid4()}"])
    return _feed(
        valid_state, "GET", path, **valid_state.random.choice([{"count": "2"}, {"cursor": "", "count": "1"}, {}])
    )


def _feed(valid_state: ValidState, method: str, path: str, document: Any = None, **query: str) -> Draft:
    headers = {"Authorization": f"Bearer {valid_state.feed_token}"}
    return Draft(
        method, f"/scim/v2/Feed{path}", list(query.items()), document=document, content_type=JSON, headers=headers
    )


def scim_document(valid_state: ValidState) -> Draft:
    return _scim(valid_state, "GET", valid_state.random.choice(["/ResourceTypes/User", f"/Schemas/{CORE}"]))


def scim_me(valid_state: ValidState) -> Draft:
    return _scim(valid_state, valid_state.random.choice(["GET", "PATCH", "POST"]), "/Me")


_DOCUMENTS = cycle(
    [
        "/ServiceProviderConfig",
        "/ResourceTypes",
        "/ResourceTypes/Group",
        "/Schemas",
        f"/Schemas/{CORE}",
        "/Nope",
        "/Me",
        "/",
        "",
    ]
)


def scim_documents(valid_state: ValidState) -> Draft:
    return _scim(valid_state, "GET", next(_DOCUMENTS))


_AT_BOTH_HOSTS: Iterator[tuple[str, str]] = cycle(
    [
        ("GET", "/"), ("GET", ""), ("POST", "/.search"), ("POST", "/Users/.search"), ("POST", "/Groups/.search"),
        ("GET", "/Users"), ("GET", "/Users/x"), ("GET", "/Groups"),
        ("PATCH", "/Groups/x"), ("POST", "/Bulk"), ("GET", "/Me"), ("GET", "/ServiceProviderConfig"),
        ("GET", "/ResourceTypes"), ("GET", "/ResourceTypes/User"),
        ("GET", "/Schemas"), ("GET", f"/Schemas/{CORE}"), ("GET", "/Feed/Users"), ("GET", "/Feed/Users/x"),
        ("GET", "/Feed/Groups"), ("GET", "/Feed/Groups/x"),
    ]
)  # fmt: skip


def certificate_scim(valid_state: ValidState) -> Draft:
    """Each of SCIM's addresses in its turn, by a source that shows a certificate too."""
    method, path = next(_AT_BOTH_HOSTS)
    return _by_certificate(
        _scim(
            valid_state, method, path, {"schemas": [PATCH], "Operations": []} if method in {"POST", "PATCH"} else None
        )
    )


_PUBLIC = cycle([
    "/", "/livez", "/readyz", "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server",
    "/oidc/jwks", "/static/ramet/ramet.css", "/nowhere", "/favicon.ico", "/robots.txt", "/.well-known/security.txt",
    "/.well-known/ramet-checkpoint-keys", "/brand/0.css", "/brand/logo/0",
])  # fmt: skip


def public(_house: ValidState) -> Draft:
    return Draft("GET", next(_PUBLIC))


# --- another provider -------------------------------------------------------------------------------------------------


def _upstream() -> str:
    """A registered upstream whose metadata is known already: no request of these leaves this machine."""
    place = "http://127.0.0.1:9"
    known = {
        "issuer": place,
        "authorization_endpoint": f"{place}/authorize",
        "token_endpoint": f"{place}/token",
        "jwks_uri": f"{place}/jwks",
        "iss_promised": False,
    }
    values = {
        "name": "Elsewhere",
        "issuer": place,
        "client_id": "ramet",
        "auth_method": "none",
        "levels": {"high": [2, 0]},
        "algs": ["ES256"],
        "metadata": known,
        "metadata_at": clock.now(),
        "created_at": clock.now(),
    }
    Upstream.objects.update_or_create(slug="elsewhere", defaults=values)
    return "elsewhere"


def login_upstream(valid_state: ValidState) -> Draft:
    path = f"/login/upstream/{_upstream()}"
    return (
        _get(valid_state, path, Browser(http()))
        if valid_state.random.random() < 0.3
        else _page(valid_state, path, Browser(http()))
    )


def upstream_callback(valid_state: ValidState) -> Draft:
    browser = Browser(http())
    page = browser.get(f"{ISSUER}/login/upstream/{_upstream()}")
    away = browser.submit(page, page.forms()[-1], stop_at="http://127.0.0.1:9/authorize").stopped_at
    state = away.partition("state=")[2].partition("&")[0]
    answered = valid_state.random.choice(
        [{"error": "access_denied"}, {"code": "c", "iss": "https://other.example"}, {"iss": "http://127.0.0.1:9"}]
    )
    return _get(valid_state, "/login/upstream/elsewhere/callback", browser, state=state, **answered)


def root_upstream_add(valid_state: ValidState) -> Draft:
    path = f"/devices/roots/upstream/{_upstream()}/add"
    return _get(valid_state, path) if valid_state.random.random() < 0.3 else _page(valid_state, path)


# --- the console ------------------------------------------------------------------------------------------------------


def _managed(valid_state: ValidState) -> Person:
    """The person whom nobody ends, as an identity manager."""
    found = directory.person_by_login_name(valid_state.person.username)
    assert found is not None
    if not roles.has(found, RoleName.MANAGER, now=clock.now()):
        appoint(valid_state.person.username, RoleName.MANAGER)
    with_a_key(valid_state.person.username)
    victim = directory.person_by_login_name(valid_state.victim.username)
    return victim or found


def console(valid_state: ValidState) -> Draft:
    _managed(valid_state)
    return _get(valid_state, "/console")


def console_match(valid_state: ValidState) -> Draft:
    person = _managed(valid_state)
    record = person.records.order_by("created_at")[0]
    case = Match.objects.get_or_create(
        record=record, person=person, defaults={"state": "waiting", "created_at": clock.now()}
    )[0]
    path = f"/console/matches/{case.id}"
    return _get(valid_state, path) if valid_state.random.random() < 0.5 else _page(valid_state, path, decision="apart")


def console_person(valid_state: ValidState) -> Draft:
    return _get(valid_state, f"/console/people/{_managed(valid_state).id}")


def console_readmit(valid_state: ValidState) -> Draft:
    return _page(valid_state, f"/console/people/{_managed(valid_state).id}/readmit")


def console_recovery(valid_state: ValidState) -> Draft:
    form = {"checked": "in_person", "words": "staff card with photo"}
    return _page(valid_state, f"/console/people/{_managed(valid_state).id}/recovery", **form)


def console_enable(valid_state: ValidState) -> Draft:
    person, row = _managed(valid_state), Credential.objects.order_by("?").first()
    return _page(valid_state, f"/console/people/{person.id}/credentials/{row.id if row else uuid4()}/enable")


def console_check_confirm(valid_state: ValidState) -> Draft:
    person, check = _managed(valid_state), uuid4()
    return _page(valid_state, f"/console/people/{person.id}/checks/{check}/confirm")


def console_check(valid_state: ValidState) -> Draft:
    return _page(
        valid_state,
        f"/console/people/{_managed(valid_state).id}/checks",
        how="in_person",
        place="Desk",
        compared="face",
        against="the card",
    )


def console_adopt(valid_state: ValidState) -> Draft:
    record = _managed(valid_state).records.order_by("created_at")[0]
    return _page(valid_state, f"/console/records/{record.id}/adopt")


def _access(person: Person) -> Access:
    rule = AccessRule.objects.create(client_key="nobody's", kind="everyone", by_request=True, created_at=clock.now())
    return Access.objects.create(
        person=person,
        epoch=person.account.epoch,
        rule=rule,
        purpose="x",
        requested_by=f"person:{person.id}",
        requested_at=clock.now(),
    )


def console_evidence(valid_state: ValidState) -> Draft:
    """Evidence, and a report."""
    _managed(valid_state)
    return _get(valid_state, "/console/evidence", report="statistics", first="2026-01-01", last="2026-12-31")


def console_evidence_download(valid_state: ValidState) -> Draft:
    """A report as a file; an export signs a checkpoint, which its own tests do."""
    _managed(valid_state)
    return _page(valid_state, "/console/evidence/download", report="statistics", first="2026-01-01", last="2026-12-31")


def console_needs(valid_state: ValidState) -> Draft:
    _managed(valid_state)
    return _get(valid_state, "/console/needs")


def console_held(valid_state: ValidState) -> Draft:
    _managed(valid_state)
    decision = valid_state.random.choice(["end", "give-back", "x"])
    return _page(
        valid_state, "/console/held", source=valid_state.random.choice(["", "hr"]), person="", decision=decision
    )


def console_people(valid_state: ValidState) -> Draft:
    _managed(valid_state)
    choose = valid_state.random.choice
    more = {"value": choose(["a", "", "\U0010ffff"]), "record": choose(["", "x", str(uuid4())])}
    return _get(
        valid_state, "/console/people", q=choose(["v", "%", "\ud7ff", ""]), state=choose(["active", "x"]), **more
    )


def console_roles(valid_state: ValidState) -> Draft:
    _managed(valid_state)
    values = {"act": valid_state.random.choice(["give", "agree", "end", "x"]), "number": "1", "because": "a reason"}
    role = valid_state.random.choice(["auditor", "owner", "emergency"])
    return _page(
        valid_state, "/console/roles", **values, name=valid_state.victim.username, role=role, days="30", client=""
    )


def console_reviews(valid_state: ValidState) -> Draft:
    _managed(valid_state)
    decision = valid_state.random.choice(["keep", "end", "reviewed", "x"])
    form = {"number": valid_state.random.choice(["1", "x", "9" * 30]), "because": "nobody needs it"}
    if decision == "x":
        return _get(valid_state, "/console/reviews")
    return _page(valid_state, "/console/reviews", **form, decision=decision)


def console_refused(valid_state: ValidState) -> Draft:
    _managed(valid_state)
    number = valid_state.random.choice(["1", "x", str(2**70)])
    return _page(
        valid_state, "/console/refused", push=number, decision=valid_state.random.choice(["suspend", "dismiss", "x"])
    )


def console_deliveries(valid_state: ValidState) -> Draft:
    _managed(valid_state)
    return _page(valid_state, "/console/deliveries", number=valid_state.random.choice(["1", "0", "x", "9" * 40]))


def console_needs_decide(valid_state: ValidState) -> Draft:
    return _page(
        valid_state,
        f"/console/needs/{_managed(valid_state).id}",
        decision=valid_state.random.choice(["keep", "end", "x"]),
    )


def _asked(valid_state: ValidState) -> Request:
    """A request of the person whom nobody ends."""
    person = directory.person_by_login_name(valid_state.person.username)
    assert person is not None
    found = Request.objects.filter(account=person.account_id, state="waiting").first()
    return found or Request.objects.create(
        account=person.account,
        epoch=person.account.epoch,
        state="waiting",
        requested_by=f"person:{person.id}",
        requester=person.account,
        kind="certificate",
        about="x",
        device_name="",
        purpose="work",
        approval="one",
        created_at=clock.now(),
        expires_at=clock.now() + timedelta(days=7),
    )


def requests(valid_state: ValidState) -> Draft:
    return _get(valid_state, "/requests", after=valid_state.random.choice(["", "x_y", "2026-12-01_1"]))


def request_ask(valid_state: ValidState) -> Draft:
    kind = valid_state.random.choice(["device_key", "certificate", "x"])
    form = {
        "kind": kind,
        "form_factor": "phone",
        "purpose": "work on the road",
        "until": "2027-01-01",
        "login_name": "",
    }
    return _page(valid_state, "/requests/new", **form)


def request_page(valid_state: ValidState) -> Draft:
    action = valid_state.random.choice(["", "/withdraw", "/collect"])
    path = f"/requests/{_asked(valid_state).id}{action}"
    return _page(valid_state, path) if action == "/withdraw" else _get(valid_state, path)


def request_decisions(valid_state: ValidState) -> Draft:
    row = _asked(valid_state)
    claims = {"iss": "desk", "aud": ISSUER, "sub": str(row.id), "decision": "approve", **fresh()}
    claims |= {"exp": claims["iat"] + 60, "terms": row.terms_hash}
    token = Jws({"typ": "ramet-decision+jwt", "alg": "ES256"}, claims, valid_state.signing_key).compact()
    return Draft("POST", "/requests/decisions", raw=token.encode(), content_type="application/jwt")


def console_batches(valid_state: ValidState) -> Draft:
    _managed(valid_state)
    act = valid_state.random.choice(["try", "import", "x"])
    return _page(valid_state, "/console/batches", act=act, source=valid_state.random.choice(["", "hr", "x"]))


def console_batch(valid_state: ValidState) -> Draft:
    person = _managed(valid_state)
    batch = RequestBatch.objects.first() or RequestBatch.objects.create(
        by="x", person=person, digest="0" * 64, created_at=clock.now()
    )
    act = valid_state.random.choice(["pause", "resume", "approve", "x"])
    return _page(valid_state, f"/console/batches/{batch.id}", act=act, terms="x")


def console_requests(valid_state: ValidState) -> Draft:
    _managed(valid_state)
    row = _asked(valid_state)
    if valid_state.random.random() < 0.5:
        return _get(valid_state, "/console/requests", after=valid_state.random.choice(["", "x"]))
    decision = valid_state.random.choice(["approve", "refuse", "x"])
    return _page(valid_state, f"/console/requests/{row.id}", decision=decision, words="not now", terms=row.terms_hash)


def access(valid_state: ValidState) -> Draft:
    return _get(valid_state, "/access")


def access_ask(valid_state: ValidState) -> Draft:
    rule = AccessRule.objects.create(client_key="nobody's", kind="everyone", by_request=True, created_at=clock.now())
    return _page(valid_state, f"/access/ask/{rule.id}", purpose=valid_state.random.choice(["", "work"]))


def access_withdraw(valid_state: ValidState) -> Draft:
    _managed(valid_state)
    mine = directory.person_by_login_name(valid_state.person.username)
    assert mine is not None
    return _page(valid_state, f"/access/{_access(mine).id}/withdraw")


def access_review(valid_state: ValidState) -> Draft:
    _managed(valid_state)
    return _get(valid_state, "/access/review")


def access_decide(valid_state: ValidState) -> Draft:
    return _page(
        valid_state,
        f"/access/review/{_access(_managed(valid_state)).id}",
        decision=valid_state.random.choice(["approve", "refuse"]),
        days="30",
        reason="no",
    )


DRAFTS: list[Callable[[ValidState], Draft]] = [
    root_rename,
    root_codes,
    recovery_codes_download,
    root_remove,
    root_enable,
    root_report,
    roots_password_add,
    roots_password_add_app,
    root_password,
    root_app,
    authorize,
    authorize,
    register,
    registration,
    par,
    par,
    jar,
    jar,
    authorize_go_on,
    authorize_account,
    authorize_consent,
    token_of_code,
    token_of_code,
    token_of_refresh,
    token_of_device,
    token_of_device,
    token_of_device_code,
    token_of_service,
    device_authorization,
    device_code,
    device_approval,
    userinfo,
    introspect,
    revoke,
    logout,
    language,
    logout_confirmed,
    login,
    login_totp,
    login_recover,
    login_recover_totp,
    login_recover_password,
    login_help,
    login_mailed,
    login_mailed_codes,
    login_pass,
    console_pass,
    console_act,
    login_device,
    sessions_end_others,
    session_end,
    invitation,
    invitation_totp,
    devices,
    device_add,
    device_adding,
    device_adding_status,
    device_confirm,
    device_refuse,
    device_remove,
    device_rename,
    device_suspend,
    device_lift,
    enrol,
    enrol_challenge,
    enrol_bind,
    enrol_bind,
    enrol_status,
    undo,
    scim_users,
    scim_users,
    scim_search,
    scim_search,
    scim_create,
    scim_user,
    scim_put,
    scim_patch,
    scim_patch,
    scim_groups,
    scim_group,
    scim_group,
    scim_bulk,
    scim_bulk,
    scim_feed,
    scim_feed,
    scim_feed_read,
    scim_feed_read,
    scim_document,
    scim_me,
    scim_documents,
    scim_documents,
    scim_documents,
    *[public] * 4,
    public,
    public,
    login_upstream,
    upstream_callback,
    root_upstream_add,
    login_passkey,
    login_passkey_options,
    login_second_passkey,
    login_second_passkey_options,
    root_passkey_add,
    root_passkey_options,
    root_passkey,
    family_end,
    apps,
    app,
    app_withdraw,
    redress,
    change_password,
    derived_passkey_add,
    derived_passkey_options,
    derived_passkey,
    enrol_passkey,
    enrol_passkey_options,
    enrol_passkey_answer,
    enrol_passkey_status,
    invitation_passkey,
    invitation_passkey_options,
    login_card,
    login_card_done,
    certificate_present,
    certificate_probe,
    certificate_token,
    certificate_par,
    certificate_userinfo,
    certificate_introspect,
    certificate_revoke,
    *[certificate_scim] * 5,
    root_card_add,
    root_card_done,
    invitation_card,
    invitation_card_done,
    certificate_add,
    certificate,
    certificate_order,
    certificate_confirm,
    certificate_refuse,
    certificate_reissue,
    certificate_attest,
    est,
    est_enroll,
    pki,
    ocsp,
    console,
    console_match,
    console_person,
    console_enable,
    console_readmit,
    console_recovery,
    console_adopt,
    console_check,
    console_check_confirm,
    console_held,
    console_people,
    console_roles,
    console_reviews,
    console_refused,
    console_agreements,
    console_redress,
    console_redress_case,
    console_deliveries,
    console_evidence,
    console_evidence_download,
    console_needs,
    console_needs_decide,
    requests,
    request_ask,
    request_page,
    console_requests,
    request_decisions,
    console_batches,
    console_batch,
    access,
    access_ask,
    access_withdraw,
    access_review,
    access_decide,
]
