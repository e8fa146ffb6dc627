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
from derived.models import Authority, Credential, IssuedCertificate
from device.proofs import THUMBPRINT_URN
from idp.models import ClientPolicy, RegistrationToken, Upstream
from idp.secrets import hash_secret
from scim.models import Access, AccessRule, Manager, Match
from scim.people import directory
from tests.card.desk import PLACE, SECRET, Reader
from tests.fuzz.house import CSRF, PASSPHRASE, House, fresh
from tests.fuzz.wire import FORM, JSON, SCIM, Draft, Jws
from tests.hop import NAME, said
from tests.webauthn.authenticator import SoftKey
from tests.world import CALLBACK, CORE, ISSUER, PATCH, http
from tests.x509.office import csr

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from demo.person import Person as DemoPerson
    from scim.models import Person

GROUP_URN = "urn:ietf:params:scim:schemas:core:2.0:Group"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


def _page(house: House, path: str, browser: Browser | None = None, **fields: Any) -> Draft:
    form = [("csrfmiddlewaretoken", CSRF), *fields.items()]
    return Draft("POST", path, form=form, content_type=FORM, cookies=house.cookies(browser or house.desktop))


def _get(house: House, path: str, browser: Browser | None = None, **query: str) -> Draft:
    return Draft("GET", path, query=list(query.items()), cookies=house.cookies(browser or house.desktop))


def _json(path: str, document: Any) -> Draft:
    return Draft("POST", path, document=document, content_type=JSON)


def _scim(house: House, method: str, path: str, document: Any = None, **query: str) -> Draft:
    headers = {"Authorization": f"Bearer {house.world.token}"}
    return Draft(method, f"/scim/v2{path}", list(query.items()), document=document, content_type=SCIM, headers=headers)


# --- OpenID -----------------------------------------------------------------------------------------------------------


def authorize(house: House) -> Draft:
    app = house.random.choice([house.app, house.consent_app, house.browser_app])
    extra = house.random.choice(
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
            {"id_token_hint": house.tokens["id_token"]},
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
    browser = house.random.choice([house.desktop, Browser(http())])
    if house.random.random() < 0.3:
        return Draft("POST", "/oidc/authorize", form=pairs, content_type=FORM, cookies=house.cookies(browser))
    return Draft("GET", "/oidc/authorize", pairs, cookies=house.cookies(browser))


def register(house: House) -> Draft:
    document = {
        "redirect_uris": ["https://dyn.example.org/cb"], "client_name": "Dynamic", "token_endpoint_auth_method": "client_secret_basic", "scope": "openid email",
        "contacts": ["a@b.example"], "grant_types": ["authorization_code"], "tls_client_auth_subject_dn": "CN=x", "jwks": {"keys": []},
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
        name: document[name] for name in house.random.sample(sorted(document), house.random.randint(1, len(document)))
    }
    return replace(_json("/oidc/register", kept), headers={"Authorization": f"Bearer {token}"})


def registration(house: House) -> Draft:
    access = secrets.token_urlsafe(16)
    ClientPolicy.objects.filter(pk=house.registered_app.party.policy.pk).update(
        disabled_at=None, registration_hash=hash_secret(access, kind="registration-access-token")
    )
    document = {
        "client_id": house.registered_app.client_id,
        "redirect_uris": [],
        "client_name": "x" * 90,
    }  # never a good one: the app is needed
    path = f"/oidc/register/{house.registered_app.client_id}"
    method = house.random.choice(["GET", "PUT"])
    return Draft(
        method,
        path,
        document=document if method == "PUT" else None,
        content_type=JSON,
        headers={"Authorization": f"Bearer {access}"},
    )


def par(house: House) -> Draft:
    """A pushed request, or the browser's half of one."""
    form: list[tuple[str, Any]] = list(house.app.parameters().items())
    headers: dict[str, Any] = {"Authorization": house.basic()}
    if house.random.random() < 0.4:
        headers["DPoP"] = house.proof("/oidc/par")
    draft = Draft("POST", "/oidc/par", form=form, content_type=FORM, headers=headers)
    if house.random.random() < 0.3:
        pushed = house.app.post("/oidc/par", dict(form)).json()
        return Draft(
            "GET",
            "/oidc/authorize",
            [("client_id", house.app.client_id), ("request_uri", pushed["request_uri"])],
            cookies=house.cookies(house.desktop),
        )
    return draft


def jar(house: House) -> Draft:
    """A signed request object, in the address or pushed."""
    app, key = house.signing_app, house.signing_key
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
    if house.random.random() < 0.5:
        return Draft(
            "GET", "/oidc/authorize", [*fields, ("redirect_uri", CALLBACK)], cookies=house.cookies(house.desktop)
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


def authorize_go_on(house: House) -> Draft:
    return _get(house, f"/oidc/authorize/{house.flow()}")


def authorize_account(house: House) -> Draft:
    return _page(house, f"/oidc/authorize/{house.flow()}/account", account=house.random.choice(["this", "other"]))


def authorize_consent(house: House) -> Draft:
    return _page(house, f"/oidc/authorize/{house.flow()}/consent", decision=house.random.choice(["allow", "deny"]))


def token_of_code(house: House) -> Draft:
    form: list[tuple[str, Any]] = [
        ("grant_type", "authorization_code"),
        ("code", house.fresh_code()),
        ("redirect_uri", CALLBACK),
        ("code_verifier", house.app.verifier),
    ]
    headers: dict[str, Any] = {"Authorization": house.basic()}
    if house.random.random() < 0.3:
        form += [("client_id", house.app.client_id), ("client_secret", str(house.app.secret))]
        headers = {}
    if house.random.random() < 0.4:
        headers["DPoP"] = house.proof("/oidc/token")
    return Draft("POST", "/oidc/token", form=form, content_type=FORM, headers=headers)


def token_of_refresh(house: House) -> Draft:
    form = [("grant_type", "refresh_token"), ("refresh_token", house.tokens["refresh_token"]), ("scope", "openid")]
    return Draft("POST", "/oidc/token", form=form, content_type=FORM, headers={"Authorization": house.basic()})


def token_of_device(house: House) -> Draft:
    mine, client_id = house.phone.enrolment, house.field_app.client_id
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
    return Draft("POST", "/oidc/token", form=form, content_type=FORM, headers={"DPoP": house.proof("/oidc/token")})


def token_of_device_code(house: House) -> Draft:
    code = house.random.choice([house.screen["device_code"], secrets.token_urlsafe(32)])
    form = [("grant_type", "urn:ietf:params:oauth:grant-type:device_code"), ("device_code", code), ("resource", ISSUER)]
    return Draft("POST", "/oidc/token", form=form, content_type=FORM, headers={"Authorization": house.basic()})


def token_of_service(house: House) -> Draft:
    form = [("grant_type", "client_credentials"), ("scope", "introspect"), ("resource", ISSUER)]
    headers: dict[str, Any] = {"Authorization": house.basic()}
    if house.random.random() < 0.3:
        headers["DPoP"] = house.proof("/oidc/token")
    return Draft("POST", "/oidc/token", form=form, content_type=FORM, headers=headers)


def device_authorization(house: House) -> Draft:
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
        headers={"Authorization": house.basic(), "User-Agent": "Screen/1"},
    )


def device_code(house: House) -> Draft:
    if house.random.random() < 0.3:
        return _get(house, "/device", house.random.choice([house.victims, Browser(http())]))
    return _page(house, "/device", house.victims, code=house.random.choice([house.screen["user_code"], "ABCD-EFGH"]))


def device_approval(house: House) -> Draft:
    browser = house.victims
    page = browser.get(f"{ISSUER}/device")
    if form := page.form_with("code"):
        browser.submit(page, form, values={"code": house.screen["user_code"]})
    return _page(house, "/device/approval", browser, decision=house.random.choice(["allow", "deny", ""]))


def userinfo(house: House) -> Draft:
    if house.random.random() < 0.5:
        return Draft(
            "GET",
            "/oidc/userinfo",
            headers={"Authorization": f"Bearer {house.tokens['access_token']}", "Origin": "https://spa.example"},
        )
    headers = {"Authorization": f"DPoP {house.mobile_tokens[0]}", "DPoP": house.proof("/oidc/userinfo", "GET")}
    return Draft("GET", "/oidc/userinfo", headers=headers)


def introspect(house: House) -> Draft:
    token = house.random.choice([house.tokens["access_token"], house.tokens["refresh_token"], house.tokens["id_token"]])
    return Draft(
        "POST",
        "/oidc/introspect",
        form=[("token", token), ("token_type_hint", "access_token")],
        content_type=FORM,
        headers={"Authorization": house.basic()},
    )


def revoke(house: House) -> Draft:
    token = house.random.choice([secrets.token_urlsafe(32), house.tokens["id_token"], house.mobile_tokens[0]])
    return Draft(
        "POST", "/oidc/revoke", form=[("token", token)], content_type=FORM, headers={"Authorization": house.basic()}
    )


def logout(house: House) -> Draft:
    query = {
        "id_token_hint": house.tokens["id_token"],
        "post_logout_redirect_uri": "https://app.example/out",
        "state": "s",
        "client_id": house.app.client_id,
    }
    if house.random.random() < 0.3:
        return Draft(
            "POST", "/oidc/logout", form=list(query.items()), content_type=FORM, cookies=house.cookies(house.victims)
        )
    return _get(house, "/oidc/logout", house.victims, **query)


def logout_confirmed(house: House) -> Draft:
    fields = {"client_id": house.app.client_id, "post_logout_redirect_uri": "https://app.example/out", "state": "s"}
    return _page(house, "/oidc/logout/confirmed", house.victims, **fields)


# --- logging in -------------------------------------------------------------------------------------------------------


def login(house: House) -> Draft:
    if house.random.random() < 0.3:
        return _get(house, "/login", Browser(http()), flow=secrets.token_urlsafe(32), next="/devices")
    return _page(house, "/login", Browser(http()), username=house.person.username, password=house.person.password)


def _half(person: DemoPerson) -> Browser:
    """A browser that has just shown the password."""
    browser = Browser(http())
    page = browser.get(f"{ISSUER}/login")
    browser.submit(page, page.forms()[0], values={"username": person.username, "password": person.password})
    return browser


def login_totp(house: House) -> Draft:
    return _page(house, "/login/totp", _half(house.person), totp="123456")


def login_recover(house: House) -> Draft:
    return _page(house, "/login/recover", _half(house.victim), code=house.victim.recovery_codes[0])


def login_recover_totp(house: House) -> Draft:
    browser = _half(house.victim)
    page = browser.get(f"{ISSUER}/login/recover")
    if form := page.form_with("code"):
        browser.submit(page, form, values={"code": house.victim.recovery_codes[0]})
    return _page(house, "/login/recover/totp", browser, totp="123456")


def login_device(house: House) -> Draft:
    browser, key = Browser(http()), house.phone.enrolment.key
    page = browser.get(f"{ISSUER}/login/device")
    challenge = page.html.split('data-challenge="', 1)[-1].split('"', 1)[0]
    proof = Jws(
        {"typ": "ramet-login+jwt", "alg": "ES256", "kid": key.jkt}, {"aud": ISSUER, "nonce": challenge, **fresh()}, key
    )
    return _page(house, "/login/device", browser, proof=proof, passphrase=PASSPHRASE)


def sessions_end_others(house: House) -> Draft:
    return _page(house, "/sessions/end-others", house.victims)


def session_end(house: House) -> Draft:
    return _page(house, f"/sessions/{uuid4()}/end", house.victims)


# --- enrolment --------------------------------------------------------------------------------------------------------


def invitation(house: House) -> Draft:
    if house.random.random() < 0.4:
        return _get(house, house.invitation, Browser(http()))
    return _page(
        house, house.invitation, Browser(http()), password="a fern in the wood", password_again="a fern in the wood"
    )


def invitation_totp(house: House) -> Draft:
    return _page(house, house.invitation + "/totp", house.enrolling, totp="123456")


def devices(house: House) -> Draft:
    return _get(house, "/devices")


def device_add(house: House) -> Draft:
    return _page(house, "/devices/add", house.victims)


def device_adding(house: House) -> Draft:
    return _get(house, house.page.path)


def device_adding_status(house: House) -> Draft:
    return _get(house, house.page.path + "/status")


def device_confirm(house: House) -> Draft:
    return _page(house, house.page.path + "/confirm", number="42")


def device_refuse(house: House) -> Draft:
    return _page(house, house.page.path.replace(house.page.path.split("/")[-1], str(uuid4())) + "/refuse")


def device_remove(house: House) -> Draft:
    return _page(house, f"/devices/{house.victims_phone.enrolment.credential_id}/remove", house.victims)


def device_rename(house: House) -> Draft:
    return _page(house, f"/devices/{house.phone.enrolment.credential_id}/rename", name="My phone")


def _root(house: House) -> str:
    row = Credential.objects.filter(account__person__login_name=house.victim.username, root=None).first()
    return f"/devices/roots/{row.id if row else uuid4()}"


def root_rename(house: House) -> Draft:
    return _page(house, _root(house) + "/rename", house.victims, name="My key")


def root_remove(house: House) -> Draft:
    return _page(house, _root(house) + "/remove", house.victims)


def root_enable(house: House) -> Draft:
    return _page(house, _root(house) + "/enable", house.victims)


def root_report(house: House) -> Draft:
    return _page(house, f"/devices/roots/{uuid4()}/report", house.victims, used="yes", since="2026-11-20")


def roots_password_add(house: House) -> Draft:
    return _page(
        house, "/devices/roots/password/add", password="a fern in the wood", password_again="a fern in the wood"
    )


def roots_password_add_app(house: House) -> Draft:
    return _page(house, "/devices/roots/password/add/app", totp="123456")


def root_password(house: House) -> Draft:
    return _page(house, _root(house) + "/password", house.victims, password="short", password_again="short")


def root_app(house: House) -> Draft:
    return _page(house, _root(house) + "/app", house.victims, totp="123456")


def enrol(house: House) -> Draft:
    return _get(house, "/enrol")


def enrol_challenge(house: House) -> Draft:
    code = (
        {"code": house.short_code, "username": house.person.username}
        if house.random.random() < 0.4
        else {"code": house.code}
    )
    return _json("/enrol/v1/challenges", {**code, "jwk": house.key.public_jwk})


def enrol_bind(house: House) -> Draft:
    header = {"typ": "ramet-binding+jwt", "alg": "ES256", "jwk": house.key.public_jwk}
    proof = Jws(header, {"aud": ISSUER, "nonce": house.challenge, **fresh()}, house.key)
    body = {
        "code": house.code,
        "proof": proof,
        "device_name": "Phone",
        "passphrase": PASSPHRASE,
        "clients": [house.field_app.client_id],
    }
    return _json("/enrol/v1/bindings", body)


def enrol_status(house: House) -> Draft:
    binding = house.page.path.split("/")[-1]
    header = {"typ": "ramet-binding-status+jwt", "alg": "ES256", "kid": house.key.jkt}
    return _json(
        f"/enrol/v1/bindings/{binding}", {"proof": Jws(header, {"aud": ISSUER, "sub": binding, **fresh()}, house.key)}
    )


def undo(house: House) -> Draft:
    return (
        _page(house, house.undo, Browser(http()))
        if house.random.random() < 0.5
        else _get(house, house.undo, Browser(http()))
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


def _answer(house: House, options: dict[str, Any]) -> Any:
    """A registration or an assertion, sometimes with a part of it gone wrong."""
    key = SoftKey(user_handle=secrets.token_bytes(16))
    made = key.create(options) if "user" in options else key.get(options)
    if house.random.random() < 0.5:
        part = house.random.choice([made, made["response"]])
        name = house.random.choice(list(part))
        part[name] = house.random.choice([None, 7, [], {}, "", "AAAA", str(part[name])[:-4], "\u0000", "[" * 4000])
    return json.dumps(made)


def login_passkey(house: House) -> Draft:
    browser = Browser(http())
    return _page(
        house,
        "/login/passkey",
        browser,
        response=_answer(house, _challenge(browser, "/login/passkey", "/login/passkey/options")),
    )


def login_passkey_options(house: House) -> Draft:
    return _page(house, "/login/passkey/options", Browser(http()))


def login_second_passkey(house: House) -> Draft:
    browser = _half(house.person)
    options = _challenge(browser, "/login/second/passkey", "/login/second/passkey/options")
    return _page(house, "/login/second/passkey", browser, response=_answer(house, options))


def login_second_passkey_options(house: House) -> Draft:
    return _page(house, "/login/second/passkey/options", _half(house.person))


def root_passkey_add(house: House) -> Draft:
    options = _challenge(house.victims, "/devices/roots/passkey/add", "/devices/roots/passkey/options")
    return _page(house, "/devices/roots/passkey/add", house.victims, response=_answer(house, options), name="Key")


def root_passkey_options(house: House) -> Draft:
    return _page(house, "/devices/roots/passkey/options", house.victims)


def root_passkey(house: House) -> Draft:
    return _get(house, f"/devices/roots/passkey/{uuid4()}")


def derived_passkey_add(house: House) -> Draft:
    options = _challenge(house.victims, "/devices/passkey/add", "/devices/passkey/options")
    return _page(house, "/devices/passkey/add", house.victims, response=_answer(house, options), name="Key")


def derived_passkey_options(house: House) -> Draft:
    return _page(house, "/devices/passkey/options", house.victims)


def family_end(house: House) -> Draft:
    return _page(house, f"/devices/apps/{uuid4()}/end", house.victims)


def derived_passkey(house: House) -> Draft:
    return _get(house, f"/devices/passkey/{uuid4()}")


def enrol_passkey(house: House) -> Draft:
    return _get(house, "/enrol/passkey", Browser(http()))


def _code_of_a_passkey(house: House) -> str:
    """A code of the victim's, or one that is none."""
    page = house.victims.get(f"{ISSUER}/devices/passkey/add")
    forms = [one for one in page.forms() if one.action.endswith("/devices/add")]
    shown = house.victims.submit(page, forms[0]) if forms else page
    return shown.by_id("binding-code") if "binding-code" in shown.html else "ABCD-EFGH"


def enrol_passkey_options(house: House) -> Draft:
    return _page(
        house, "/enrol/passkey/options", Browser(http()), code=_code_of_a_passkey(house), username=house.person.username
    )


def enrol_passkey_answer(house: House) -> Draft:
    browser, code = Browser(http()), _code_of_a_passkey(house)
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
    return _page(house, "/enrol/passkey/answer", browser, code=code, name="Phone", response=_answer(house, options))


def enrol_passkey_status(house: House) -> Draft:
    return _page(house, f"/enrol/passkey/{uuid4()}", Browser(http()))


def invitation_passkey(house: House) -> Draft:
    path, browser = house.invitation + "/passkey", Browser(http())
    return _page(
        house, path, browser, response=_answer(house, _challenge(browser, path, path + "/options")), name="Key"
    )


def invitation_passkey_options(house: House) -> Draft:
    return _page(house, house.invitation + "/passkey/options", Browser(http()))


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


def _on_the_certificate_host(house: House, path: str, **headers: str) -> Draft:
    return Draft("GET", path, cookies=house.cookies(Browser(http())), headers={"Host": PLACE, **headers})


def login_card(house: House) -> Draft:
    return _page(house, "/login/card", Browser(http()))


def login_card_done(house: House) -> Draft:
    browser = Browser(http())
    return _get(house, "/login/card/done", browser, result=_result(browser, "/login/card"))


def certificate_present(house: House) -> Draft:
    shown = house.random.choice(
        ["-----BEGIN%20CERTIFICATE-----%0AAAAA%0A-----END%20CERTIFICATE-----%0A", "%00", "x" * 3000, ""]
    )
    certificate = f"pem={shown}"
    if house.random.random() < 0.5:
        certificate = "der=" + house.random.choice(["AAAA", "AAAA,AAAA", "MAA=; chain=MAAwAA==", "A" * 9000])
    headers = {NAME: f"secret={SECRET}; resumed={house.random.choice(['.', 'r'])}; {certificate}"}
    return _on_the_certificate_host(house, _ticket(Browser(http()), "/login/card"), **headers)


def certificate_probe(house: House) -> Draft:
    return _on_the_certificate_host(house, f"/certificate/probe/{secrets.token_urlsafe(32)}", **{NAME: "secret=AAAA"})


def _by_certificate(draft: Draft) -> Draft:
    """The same on the certificate host, with something for a certificate."""
    shown = said(SECRET, pem=b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    path = "/certificate" + draft.path if draft.path.startswith(("/oidc/", "/scim/")) else draft.path
    return replace(draft, path=path, headers={**draft.headers, "Host": PLACE, **shown})


def certificate_token(house: House) -> Draft:
    return _by_certificate(token_of_refresh(house))


def certificate_par(house: House) -> Draft:
    return _by_certificate(
        Draft(
            "POST",
            "/oidc/par",
            form=list(house.app.parameters().items()),
            content_type=FORM,
            headers={"Authorization": house.basic()},
        )
    )


def certificate_userinfo(house: House) -> Draft:
    return _by_certificate(userinfo(house))


def certificate_introspect(house: House) -> Draft:
    return _by_certificate(introspect(house))


def certificate_revoke(house: House) -> Draft:
    return _by_certificate(revoke(house))


def root_card_add(house: House) -> Draft:
    return _page(house, "/devices/roots/card/add", house.victims, replaces=str(uuid4()))


def root_card_done(house: House) -> Draft:
    return _get(
        house, "/devices/roots/card/done", house.victims, result=_result(house.victims, "/devices/roots/card/add")
    )


def invitation_card(house: House) -> Draft:
    return _page(house, house.invitation + "/card", Browser(http()))


def invitation_card_done(house: House) -> Draft:
    browser = Browser(http())
    return _get(house, "/invitation/card/done", browser, result=_result(browser, house.invitation + "/card"))


# --- certificates -----------------------------------------------------------------------------------------------------


def _certificate_key() -> Any:
    return ec.generate_private_key(ec.SECP256R1())


def _ordered(house: House) -> str:
    """The path of an order of the victim's, mostly one that is open."""
    page = house.victims.get(f"{ISSUER}/devices/certificates/add")
    form = next((one for one in page.forms() if "way" in one.fields), None)
    if form is None or house.random.random() < 0.3:
        return f"/devices/certificates/orders/{uuid4()}"
    return house.victims.submit(page, form, values={"name": "Router", "passphrase": PASSPHRASE, "way": "device"}).path


def certificate_add(house: House) -> Draft:
    request = csr(_certificate_key()).decode()
    way = house.random.choice(["request", "request", "device", "file"])
    return _page(
        house,
        "/devices/certificates/add",
        house.victims,
        name="VPN",
        passphrase=PASSPHRASE,
        way=way,
        request=request,
        transport="t" * 12,
    )


def certificate(house: House) -> Draft:
    row = IssuedCertificate.objects.order_by("?").first()
    return _get(
        house, f"/devices/certificates/{row.pk if row else uuid4()}{house.random.choice(['', '/pem'])}", house.victims
    )


def certificate_order(house: House) -> Draft:
    return _get(house, _ordered(house), house.victims)


def certificate_confirm(house: House) -> Draft:
    return _page(house, _ordered(house) + "/confirm", house.victims, fingerprint="0000 0000 0000 0000")


def certificate_refuse(house: House) -> Draft:
    return _page(house, _ordered(house) + "/refuse", house.victims)


_TOLD = cycle(["cacerts", "csrattrs"])


def est(_house: House) -> Draft:
    return Draft("GET", "/.well-known/est/" + next(_TOLD))


_ENROLLING = cycle(["simpleenroll", "simplereenroll", "simpleenroll"])


def est_enroll(house: House) -> Draft:
    der = x509.load_pem_x509_csr(csr(_certificate_key())).public_bytes(Encoding.DER)
    code = f"{house.victim.username}:{house.random.choice([house.short_code, house.code, 'AAAA-AAAA'])}"
    headers = {"Authorization": "Basic " + b64encode(code.encode()).decode()}
    operation = next(_ENROLLING)
    if operation == "simplereenroll":
        headers = {"Host": PLACE, NAME: f"secret={SECRET}; resumed=.; der=AAAA"}
    return Draft(
        "POST", f"/.well-known/est/{operation}", raw=b64encode(der), content_type="application/pkcs10", headers=headers
    )


def certificate_reissue(house: House) -> Draft:
    row = IssuedCertificate.objects.order_by("?").first()
    return _page(
        house,
        f"/devices/certificates/{row.pk if row else uuid4()}/reissue",
        house.victims,
        request=csr(_certificate_key()).decode(),
    )


def certificate_attest(house: House) -> Draft:
    der = x509.load_pem_x509_csr(csr(_certificate_key())).public_bytes(Encoding.DER)
    code = house.random.choice([house.short_code, house.code, "AAAA-AAAA"])
    said = {
        "code": code,
        "username": house.victim.username,
        "request": b64encode(der).decode(),
        "attestation": {"format": "tpm", "x5c": ["AAAA"]},
    }
    return _json("/enrol/v1/certificates/attestations", said)


def pki(house: House) -> Draft:
    row = Authority.objects.first()
    name = row.name if row else "0" * 16
    return Draft(
        "GET",
        "/pki/"
        + house.random.choice([f"{name}.crl", f"{name}-0.crl", f"{name}.cer", "lists.pem", "authorities.pem", "x"]),
    )


def ocsp(house: House) -> Draft:
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
    if house.random.random() < 0.5:
        return Draft("GET", "/pki/ocsp/" + quote(b64encode(raw).decode(), safe=""))
    return Draft("POST", "/pki/ocsp", raw=raw, content_type="application/ocsp-request")


# --- SCIM -------------------------------------------------------------------------------------------------------------


def _user(house: House, name: str) -> dict[str, Any]:
    return {
        "schemas": [CORE],
        "userName": name,
        "externalId": f"e-{name}",
        "name": {"givenName": "V", "familyName": "W"},
        "active": True,
        "emails": [{"value": name, "type": "work", "primary": True}],
        "phoneNumbers": [{"value": "tel:+1-201-555-0123", "type": "work"}],
        "meta": {"version": str(house.number)},
    }


def _victim(house: House) -> str:
    return f"/Users/{house.world.ids[house.victim.username]}"


def scim_users(house: House) -> Draft:
    queries = [
        {"filter": f'userName eq "{house.victim.username}"'},
        {"startIndex": "1", "count": "2"},
        {"attributes": "userName,emails.value"},
        {},
    ]
    return _scim(house, "GET", "/Users", **house.random.choice(queries))


def scim_search(house: House) -> Draft:
    body = {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],
        "filter": f'userName eq "{house.victim.username}"',
        "attributes": ["userName", "emails.value"],
        "startIndex": 1,
        "count": 2,
    }
    return _scim(house, "POST", house.random.choice(["/.search", "/Users/.search", "/Groups/.search"]), body)


def scim_create(house: House) -> Draft:
    return _scim(house, "POST", "/Users", _user(house, f"made-{secrets.token_hex(4)}@example.org"))


def scim_user(house: House) -> Draft:
    return _scim(house, house.random.choice(["GET", "DELETE"]), _victim(house), attributes="userName")


def scim_put(house: House) -> Draft:
    return _scim(house, "PUT", _victim(house), _user(house, house.victim.username))


def scim_patch(house: House) -> Draft:
    operations: list[dict[str, Any]] = [
        {"op": "replace", "path": 'emails[type eq "work"].value', "value": "x@example.org"},
        {"op": "Add", "value": {"nickName": "Vee"}},
        {"op": "remove", "path": "name.middleName"},
        {"op": "replace", "path": "active", "value": True},
    ]
    return _scim(house, "PATCH", _victim(house), {"schemas": [PATCH], "Operations": house.random.sample(operations, 2)})


def _group(house: House) -> dict[str, Any]:
    members = [{"value": house.world.ids[house.victim.username], "type": "User"}]
    return {
        "schemas": [GROUP_URN],
        "displayName": "Guides",
        "externalId": f"g-{secrets.token_hex(4)}",
        "members": members,
    }


def _made_group(house: House) -> str:
    nobody = {**_group(house), "members": []}  # the victim may be gone by now
    return f"/Groups/{house.world.scim('POST', '/Groups', nobody).json()['id']}"


def scim_groups(house: House) -> Draft:
    if house.random.random() < 0.5:
        return _scim(house, "POST", "/Groups", _group(house))
    queries = [
        {"filter": 'displayName eq "Guides"', "sortBy": "displayName"},
        {"cursor": "", "count": "1"},
        {"sortBy": "meta.created", "sortOrder": "descending"},
    ]
    return _scim(house, "GET", house.random.choice(["/Groups", "/Users", "/"]), **house.random.choice(queries))


def scim_group(house: House) -> Draft:
    path, member = _made_group(house), house.world.ids[house.victim.username]
    operations: list[dict[str, Any]] = [
        {"op": "add", "path": "members", "value": [{"value": member}]},
        {"op": "remove", "path": f'members[value eq "{member}"]'},
        {"op": "replace", "value": {"displayName": "Others"}},
        {"op": "remove", "path": 'members[type eq "Group"]'},
    ]
    return house.random.choice(
        [
            lambda: _scim(house, "PATCH", path, {"schemas": [PATCH], "Operations": house.random.sample(operations, 2)}),
            lambda: _scim(house, "PUT", path, _group(house)),
            lambda: _scim(house, house.random.choice(["GET", "DELETE"]), path, excludedAttributes="members"),
        ]
    )()


def scim_bulk(house: House) -> Draft:
    operations = [
        {
            "method": "POST",
            "path": "/Users",
            "bulkId": "u",
            "data": _user(house, f"bulk-{secrets.token_hex(4)}@example.org"),
        },
        {
            "method": "POST",
            "path": "/Groups",
            "bulkId": "g",
            "data": {"schemas": [GROUP_URN], "displayName": "b", "members": [{"value": "bulkId:u"}]},
        },
        {
            "method": "PATCH",
            "path": _victim(house),
            "data": {"schemas": [PATCH], "Operations": [{"op": "replace", "value": {"title": "T"}}]},
        },
        {"method": "DELETE", "path": "/Users/bulkId:u"},
    ]
    body = {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],
        "failOnErrors": 1,
        "Operations": operations,
    }
    return _scim(house, "POST", "/Bulk", body)


def scim_feed(house: House) -> Draft:
    asked = [
        {
            "maxEvents": 2,
            "returnImmediately": True,
            "ack": [f"{house.receiver.id:x}-{uuid4().hex}"],
            "setErrs": {"x": {"err": "invalid_key"}},
        },
        {},
    ]
    return _feed(house, "POST", "/Events", house.random.choice(asked))


def scim_feed_read(house: House) -> Draft:
    person = directory.find(house.world.source, house.world.ids[house.person.username]).person_id
    path = house.random.choice(["/Users", "/Groups", f"/Users/{person}", f"/Groups/{uuid4()}"])
    return _feed(house, "GET", path, **house.random.choice([{"count": "2"}, {"cursor": "", "count": "1"}, {}]))


def _feed(house: House, method: str, path: str, document: Any = None, **query: str) -> Draft:
    headers = {"Authorization": f"Bearer {house.feed_token}"}
    return Draft(
        method, f"/scim/v2/Feed{path}", list(query.items()), document=document, content_type=JSON, headers=headers
    )


def scim_document(house: House) -> Draft:
    return _scim(house, "GET", house.random.choice(["/ResourceTypes/User", f"/Schemas/{CORE}"]))


def scim_me(house: House) -> Draft:
    return _scim(house, house.random.choice(["GET", "PATCH", "POST"]), "/Me")


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
    ]
)


def scim_documents(house: House) -> Draft:
    return _scim(house, "GET", next(_DOCUMENTS))


_AT_BOTH_HOSTS: Iterator[tuple[str, str]] = cycle(
    [
        ("GET", "/"), ("POST", "/.search"), ("POST", "/Users/.search"), ("POST", "/Groups/.search"), ("GET", "/Users"), ("GET", "/Users/x"), ("GET", "/Groups"),
        ("PATCH", "/Groups/x"), ("POST", "/Bulk"), ("GET", "/Me"), ("GET", "/ServiceProviderConfig"), ("GET", "/ResourceTypes"), ("GET", "/ResourceTypes/User"),
        ("GET", "/Schemas"), ("GET", f"/Schemas/{CORE}"), ("GET", "/Feed/Users"), ("GET", "/Feed/Users/x"), ("GET", "/Feed/Groups"), ("GET", "/Feed/Groups/x"),
    ]
)  # fmt: skip


def certificate_scim(house: House) -> Draft:
    """Each of SCIM's addresses in its turn, by a source that shows a certificate too."""
    method, path = next(_AT_BOTH_HOSTS)
    return _by_certificate(
        _scim(house, method, path, {"schemas": [PATCH], "Operations": []} if method in {"POST", "PATCH"} else None)
    )


_PUBLIC = cycle([
    "/", "/livez", "/readyz", "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server", "/oidc/jwks", "/static/ramet/ramet.css", "/nowhere",
    "/.well-known/ramet-checkpoint-keys",
])  # fmt: skip


def public(_house: House) -> Draft:
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


def login_upstream(house: House) -> Draft:
    path = f"/login/upstream/{_upstream()}"
    return _get(house, path, Browser(http())) if house.random.random() < 0.3 else _page(house, path, Browser(http()))


def upstream_callback(house: House) -> Draft:
    browser = Browser(http())
    page = browser.get(f"{ISSUER}/login/upstream/{_upstream()}")
    away = browser.submit(page, page.forms()[-1], stop_at="http://127.0.0.1:9/authorize").stopped_at
    state = away.partition("state=")[2].partition("&")[0]
    answered = house.random.choice(
        [{"error": "access_denied"}, {"code": "c", "iss": "https://other.example"}, {"iss": "http://127.0.0.1:9"}]
    )
    return _get(house, "/login/upstream/elsewhere/callback", browser, state=state, **answered)


def root_upstream_add(house: House) -> Draft:
    path = f"/devices/roots/upstream/{_upstream()}/add"
    return _get(house, path) if house.random.random() < 0.3 else _page(house, path)


# --- the console ------------------------------------------------------------------------------------------------------


def _managed(house: House) -> Person:
    """The person whom nobody ends, as an identity manager."""
    found = directory.person_by_login_name(house.person.username)
    assert found is not None
    Manager.objects.update_or_create(
        person=found, defaults={"epoch": found.account.epoch, "appointed_at": clock.now(), "ended_at": None}
    )
    victim = directory.person_by_login_name(house.victim.username)
    return victim or found


def console(house: House) -> Draft:
    _managed(house)
    return _get(house, "/console", person=house.random.choice(["victim", "%", ""]))


def console_match(house: House) -> Draft:
    person = _managed(house)
    record = person.records.order_by("created_at")[0]
    case = Match.objects.get_or_create(
        record=record, person=person, defaults={"state": "waiting", "created_at": clock.now()}
    )[0]
    path = f"/console/matches/{case.id}"
    return _get(house, path) if house.random.random() < 0.5 else _page(house, path, decision="apart")


def console_person(house: House) -> Draft:
    return _get(house, f"/console/people/{_managed(house).id}")


def console_readmit(house: House) -> Draft:
    return _page(house, f"/console/people/{_managed(house).id}/readmit")


def console_check_confirm(house: House) -> Draft:
    person, check = _managed(house), uuid4()
    return _page(house, f"/console/people/{person.id}/checks/{check}/confirm")


def console_check(house: House) -> Draft:
    return _page(
        house,
        f"/console/people/{_managed(house).id}/checks",
        how="in_person",
        place="Desk",
        compared="face",
        against="the card",
    )


def console_adopt(house: House) -> Draft:
    record = _managed(house).records.order_by("created_at")[0]
    return _page(house, f"/console/records/{record.id}/adopt")


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


def console_needs(house: House) -> Draft:
    _managed(house)
    return _get(house, "/console/needs")


def console_held(house: House) -> Draft:
    _managed(house)
    decision = house.random.choice(["end", "give-back", "x"])
    return _page(house, "/console/held", source=house.random.choice(["", "hr"]), person="", decision=decision)


def console_deliveries(house: House) -> Draft:
    _managed(house)
    return _page(house, "/console/deliveries", number=house.random.choice(["1", "0", "x", "9" * 40]))


def console_needs_decide(house: House) -> Draft:
    return _page(house, f"/console/needs/{_managed(house).id}", decision=house.random.choice(["keep", "end", "x"]))


def access(house: House) -> Draft:
    return _get(house, "/access")


def access_ask(house: House) -> Draft:
    rule = AccessRule.objects.create(client_key="nobody's", kind="everyone", by_request=True, created_at=clock.now())
    return _page(house, f"/access/ask/{rule.id}", purpose=house.random.choice(["", "work"]))


def access_withdraw(house: House) -> Draft:
    _managed(house)
    mine = directory.person_by_login_name(house.person.username)
    assert mine is not None
    return _page(house, f"/access/{_access(mine).id}/withdraw")


def access_review(house: House) -> Draft:
    _managed(house)
    return _get(house, "/access/review")


def access_decide(house: House) -> Draft:
    return _page(
        house,
        f"/access/review/{_access(_managed(house)).id}",
        decision=house.random.choice(["approve", "refuse"]),
        days="30",
        reason="no",
    )


DRAFTS: list[Callable[[House], Draft]] = [
    root_rename,
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
    logout_confirmed,
    login,
    login_totp,
    login_recover,
    login_recover_totp,
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
    public,
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
    console_readmit,
    console_adopt,
    console_check,
    console_check_confirm,
    console_held,
    console_deliveries,
    console_needs,
    console_needs_decide,
    access,
    access_ask,
    access_withdraw,
    access_review,
    access_decide,
]
