"""Signing in at an upstream: what a good answer is worth, and every answer that is worth nothing (AU-7, C10, P26,
P31-P35).
"""

from __future__ import annotations

import json
import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import time_machine

from demo.browser import Browser
from derived import clock
from derived.models import Credential
from idp import outbound
from idp.models import AuthenticationEvent, LoginSession, Upstream, UpstreamLogin
from idp.outbound import NotFetched
from idp.upstreams import trip
from tests.fixtures import lying_provider as lies
from tests.fixtures.linked_upstream import register
from tests.fixtures.lying_provider import AAL2, ABSENT, CLIENT, asked
from tests.fixtures.world import AAL, ISSUER, claims, http

if TYPE_CHECKING:
    from tests.fixtures.linked_upstream import AtUpstream


@pytest.mark.database
def test_relying_party_gets_the_mapped_acr_amr_and_idp(linked: AtUpstream) -> None:
    """AU-7, C10, FA-8: acr aal/2 by the table is AAL2; `amr` is the upstream's; `idp` names it."""
    app, browser = linked.world.app(), Browser(http())
    back = linked.sign_in(browser, app.url(acr_values=AAL2), stop_at=app.redirect_uri)
    page = browser.get(app.url(acr_values=AAL2), stop_at=app.redirect_uri) if not back.stopped_at else back
    tokens = app.redeem(asked(page.stopped_at)["code"]).json()
    told = claims(tokens["id_token"])
    assert (told["acr"], told["aal"], told["amr"], told["idp"]) == (
        AAL2,
        2,
        ["mfa", "otp", "pwd"],
        linked.lying_provider.issuer,
    )
    assert told["fal"] == 2
    assert app.introspect(tokens["access_token"])["aal"] == 2


def test_own_login_has_no_idp_claim(linked: AtUpstream) -> None:
    """FA-8: `idp` is there for a proxied login only."""
    app = linked.world.app()
    assert "idp" not in claims(linked.world.tokens(app, linked.desktop)["id_token"])


@pytest.mark.parametrize(("said", "fal"), [(1, 1), ("1", 1), (2, 2), (3, 2), ("x", 2)])
def test_lowest_federation_level_is_reported(linked: AtUpstream, said: object, fal: int) -> None:
    """AS-6: FAL1 up is FAL1 down; a higher word raises nothing."""
    linked.lying_provider.lies["fal"] = said
    app, browser = linked.world.app(), Browser(http())
    page = linked.sign_in(browser, app.url(), stop_at=app.redirect_uri)
    assert claims(app.redeem(asked(page.stopped_at)["code"]).json()["id_token"])["fal"] == fal


@pytest.mark.parametrize("alg", ["ES256", "RS256", "PS256", "EdDSA"])
def test_every_allowed_algorithm_verifies(linked: AtUpstream, alg: str) -> None:
    """C10: the positive of the list; PS256 is signed by the RSA key, published without an `alg`."""
    linked.lying_provider.alg = alg
    if alg == "PS256":
        linked.lying_provider.jwks = {
            "keys": [{**{k: v for k, v in lies.published("RS256").items() if k != "alg"}, "kid": "key-PS256"}]
        }
    Upstream.objects.update(jwks_at=None)
    linked.lying_provider.sign = lies.by_hand if alg == "ES256" else None  # what `by_hand` makes is a true signature
    assert linked.sign_in().path == "/devices"


@pytest.mark.parametrize("alg", ["ES256", "EdDSA"])
def test_algorithm_that_is_not_pinned_is_refused(linked: AtUpstream, alg: str) -> None:
    """C10: a true signature by a published key, in an algorithm that the operator did not list; the metadata lists
    what it likes.
    """
    Upstream.objects.update(algs=["RS256"])
    linked.lying_provider.metadata = {"id_token_signing_alg_values_supported": [alg]}
    linked.lying_provider.alg = alg
    assert linked.sign_in().status == 400


_WRONG: dict[str, dict[str, Any]] = {
    "alg none": {"sign": lies.unsigned("none")},
    "alg None": {"sign": lies.unsigned("None")},
    "alg empty": {"sign": lies.unsigned("")},
    "alg a list": {"sign": lies.unsigned(["ES256"])},
    "HS256 by the public key": {"sign": lies.by_public_key},
    "HS256 by our secret": {"sign": lies.by_client_secret},
    "another key of that kid": {"sign": lies.by_another_key},
    "a key in the header": {"sign": lies.with_own_key_inside},
    "a broken signature": {"sign": lies.broken},
    "no kid": {"header": {"kid": ABSENT}},
    "an unknown kid": {"header": {"kid": "key-of-nobody"}},
    "typ logout": {"header": {"typ": "logout+jwt"}},
    "typ access token": {"header": {"typ": "at+jwt"}},
    "typ no text": {"header": {"typ": 1}, "sign": lies.by_hand},
    "typ a list": {"header": {"typ": ["JWT"]}, "sign": lies.by_hand},
    "an unknown crit": {"header": {"crit": ["x"], "x": 1}, "sign": lies.by_hand},
    "a zipped one": {"header": {"zip": "DEF"}, "sign": lies.by_hand},
    "iss another": {"lies": {"iss": "https://other.example"}},
    "iss with a slash": {"lies": {"iss": lambda true: true["iss"] + "/"}},
    "iss missing": {"lies": {"iss": ABSENT}},
    "aud another": {"lies": {"aud": "somebody-else"}},
    "aud of several": {"lies": {"aud": [CLIENT, "somebody-else"]}},
    "aud empty": {"lies": {"aud": []}},
    "aud missing": {"lies": {"aud": ABSENT}},
    "azp another": {"lies": {"azp": "somebody-else"}},
    "azp null": {"lies": {"azp": None}},
    "nonce another": {"lies": {"nonce": "another"}},
    "nonce missing": {"lies": {"nonce": ABSENT}},
    "nonce a list": {"lies": {"nonce": lambda true: [true["nonce"]]}},
    "exp over": {"lies": {"exp": lambda true: true["iat"] - 90}},
    "exp missing": {"lies": {"exp": ABSENT}},
    "exp true": {"lies": {"exp": True}},
    "exp a text": {"lies": {"exp": lambda true: str(true["exp"])}},
    "iat of yesterday": {"lies": {"iat": lambda true: true["iat"] - 86400}},
    "iat of tomorrow": {"lies": {"iat": lambda true: true["iat"] + 86400}},
    "iat missing": {"lies": {"iat": ABSENT}},
    "nbf to come": {"lies": {"nbf": lambda true: true["iat"] + 600}},
    "auth_time missing though asked for": {"lies": {"auth_time": ABSENT}},
    "auth_time too old": {"lies": {"auth_time": lambda true: true["iat"] - 20 * 60 - 300}},
    "auth_time to come": {"lies": {"auth_time": lambda true: true["iat"] + 600}},
    "auth_time a text": {"lies": {"auth_time": lambda true: str(true["iat"])}},
    "at_hash of another": {"lies": {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}},
    "at_hash no text": {"lies": {"at_hash": 1}},
    "sub a list": {"lies": {"sub": ["subject-1"]}},
    "sub empty": {"lies": {"sub": ""}},
    "sub missing": {"lies": {"sub": ABSENT}},
    "a logout token": {"lies": {"events": {"http://schemas.openid.net/event/backchannel-logout": {}}}},
    "no ID token": {"sign": lambda _header, _claims: None},
    "an ID token that is a list": {"sign": lambda _header, _claims: ["x"]},
    "an ID token of one part": {"sign": lambda _header, _claims: "eyJ"},
    "an ID token that nests": {"lies": {"deep": json.loads("[" * 40 + "]" * 40)}},
    "an ID token of twenty kilobytes": {"lies": {"long": "x" * 20_000}},
}


@pytest.mark.parametrize("case", _WRONG)
def test_invalid_id_token_is_refused(linked: AtUpstream, case: str) -> None:
    """P31, C10: wrong aud, azp, iss, nonce, typ, key, time or hash, each by itself; nobody is signed in."""
    for name, value in _WRONG[case].items():
        setattr(linked.lying_provider, name, value)
    browser, before = Browser(http()), LoginSession.objects.count()
    page = linked.sign_in(browser)
    assert (page.status, page.path) == (400, "/login/upstream/liar/callback"), page.words()
    assert "could not be trusted" in page.words()
    assert LoginSession.objects.count() == before
    assert browser.get(f"{ISSUER}/devices").path == "/login"


@pytest.mark.parametrize(
    "acr",
    [
        ABSENT,
        None,
        "",
        "urn:unknown",
        2,
        3,
        True,
        [AAL2],
        [[AAL2]],
        {"value": AAL2},
        {AAL2: 1},
        AAL2 + " ",
        " " + AAL2,
        AAL2 + "\n",
        AAL2 + "/",
        AAL2.upper(),
        AAL2.replace("http:", "https:"),
        AAL2.replace("a", "а"),
        AAL2 + "\u200b",
        AAL2 + " " + AAL2,
        AAL2 + "\x00",
        f"{AAL}２",
    ],
    ids=repr,
)
def test_unknown_acr_is_worth_nothing(linked: AtUpstream, acr: object) -> None:
    """AU-7, C10: no acr, another type, case, homoglyph or white space: no level, and no sign-in; `amr` does not
    help.
    """
    linked.lying_provider.lies |= {"acr": acr, "amr": ["mfa", "hwk", "phr"], "aal": AAL2, "acrs": [AAL2]}
    page = linked.sign_in()
    assert page.status == 403, page.words()
    assert "did not say how strongly" in page.words()


@pytest.mark.parametrize(
    "amr", [ABSENT, None, "mfa", {"mfa": 1}, ["mfa", 1], [["mfa"]], ["MFA", "pwd "], ["hwk", "sc"]], ids=repr
)
def test_malformed_amr_is_ignored(linked: AtUpstream, amr: object) -> None:
    """C10: `amr` is a list of texts in the table, or it is nothing; the level stays that of `acr`."""
    linked.lying_provider.lies["amr"] = amr
    assert linked.sign_in().path == "/devices"
    event = AuthenticationEvent.objects.filter(upstream=linked.lying_provider.issuer).latest("id")
    assert (event.amr, event.aal, event.phishing_resistant, event.hardware) == ([], 2, False, False)


def test_upstream_cap_applies(linked: AtUpstream) -> None:
    """C10, security.md §3.3: a tenant that says AAL3 is worth its cap; and never more than the login that linked it."""
    linked.lying_provider.acr = f"{AAL}3"
    assert linked.sign_in().path == "/devices"
    assert AuthenticationEvent.objects.filter(upstream=linked.lying_provider.issuer).latest("id").aal == 2


def test_aal1_login_issues_nothing(linked: AtUpstream) -> None:
    """EL-1: an upstream that says AAL1 signs in, and mints nothing."""
    linked.lying_provider.acr = f"{AAL}1"
    browser = Browser(http())
    assert linked.sign_in(browser).path == "/devices"
    page = browser.get(f"{ISSUER}/devices")
    before = Credential.objects.count()
    assert browser.submit(page, page.form_to("/devices/add")).path == "/login"
    assert Credential.objects.count() == before


def test_response_in_another_browser_is_refused(linked: AtUpstream) -> None:
    """P35, CVE-2025-68158: login CSRF: the state belongs to the browser that began; there it still serves."""
    victim, intruder = Browser(http()), Browser(http())
    back = linked.lying_provider.signs_in(linked.away(intruder))
    page = victim.get(back)
    assert page.status == 400
    assert victim.get(f"{ISSUER}/devices").path == "/login"
    assert intruder.get(back).path == "/devices"


@pytest.mark.database
def test_state_is_single_use(linked: AtUpstream) -> None:
    """P35: the second answer with one state is refused, whatever code it brings, and signs nobody in."""
    browser = Browser(http())
    away = linked.away(browser)
    assert browser.get(linked.lying_provider.signs_in(away)).path == "/devices"
    before = AuthenticationEvent.objects.count()
    assert browser.get(linked.lying_provider.signs_in(away)).status == 400
    assert AuthenticationEvent.objects.count() == before


def test_state_is_spent_by_a_refused_response(linked: AtUpstream) -> None:
    """Spent means spent: after one untrue answer the trip is over."""
    browser = Browser(http())
    away = linked.away(browser)
    linked.lying_provider.lies["nonce"] = "another"
    assert browser.get(linked.lying_provider.signs_in(away)).status == 400
    linked.lying_provider.lies.clear()
    assert browser.get(linked.lying_provider.signs_in(away)).status == 400


@pytest.mark.parametrize(
    "changed", [{"state": None}, {"state": ""}, {"state": "x"}, {"state": "x" * 5000}, {"state": "\x00"}]
)
def test_response_without_a_request_is_refused(linked: AtUpstream, changed: dict[str, str | None]) -> None:
    """P35: without the state of a trip there is nothing to answer."""
    assert linked.sign_in(**changed).status == 400


def test_repeated_parameter_is_refused(linked: AtUpstream) -> None:
    """C43: two codes, two states: neither."""
    browser = Browser(http())
    back = linked.lying_provider.signs_in(linked.away(browser))
    assert browser.get(back + "&code=another").status == 400


def test_state_expires_after_ten_minutes(linked: AtUpstream) -> None:
    """A state is good for ten minutes, and not for one second more."""
    for seconds, status in ((599, 200), (600, 400)):
        browser = Browser(http())
        away = linked.away(browser)
        with time_machine.travel(clock.now() + timedelta(seconds=seconds), tick=False):
            assert browser.get(linked.lying_provider.signs_in(away)).status == status


@pytest.mark.parametrize("iss", ["https://other.example", None])
def test_response_of_another_issuer_is_refused(linked: AtUpstream, iss: str | None) -> None:
    """RFC 9207: another issuer's answer, or none where the metadata promises it, never reaches the token endpoint."""
    page = linked.sign_in(iss=iss)
    assert page.status == 400
    assert linked.lying_provider.asked[1:] == []  # the one of the link


def test_state_belongs_to_one_upstream(linked: AtUpstream) -> None:
    """Mix-up: the callback is per upstream, and a state is of one upstream."""
    from tests.fixtures.lying_provider import LyingProvider

    other = LyingProvider()
    try:
        register(other, slug="other", name="Other", acr_values="")
        browser = Browser(http())
        back = linked.lying_provider.signs_in(linked.away(browser), iss=other.issuer).replace(
            "/upstream/liar/", "/upstream/other/"
        )
        assert browser.get(back).status == 400
        assert other.asked == []
    finally:
        other.stop()


def test_upstream_disabled_before_the_callback_is_refused(linked: AtUpstream) -> None:
    """P26: disabled mid-flow: the callback is refused, no request is sent to it, and its button is gone."""
    browser = Browser(http())
    back = linked.lying_provider.signs_in(linked.away(browser))
    Upstream.objects.update(disabled_at=clock.now())
    asked_before = len(linked.lying_provider.asked)
    page = browser.get(back)
    assert (page.status, "switched off" in page.words()) == (403, True)
    assert len(linked.lying_provider.asked) == asked_before
    assert browser.get(f"{ISSUER}/login/upstream/liar").status == 403


@pytest.mark.database
def test_upstream_disabled_after_the_exchange_is_refused(linked: AtUpstream, monkeypatch: pytest.MonkeyPatch) -> None:
    """P26: the last look is under the account's lock."""
    from idp.login import upstream as login_upstream

    found = login_upstream.credential_of

    def linked_then_disabled(*args: Any, **more: Any) -> Any:
        Upstream.objects.update(disabled_at=clock.now())
        return found(*args, **more)

    monkeypatch.setattr(login_upstream, "credential_of", linked_then_disabled)
    assert linked.sign_in().status == 403


def test_upstream_capped_after_the_exchange_is_refused(linked: AtUpstream, monkeypatch: pytest.MonkeyPatch) -> None:
    """C10: a level that was read before the cap fell is not recorded."""
    from idp.login import upstream as login_upstream

    found = login_upstream.credential_of

    def linked_then_capped(*args: Any, **more: Any) -> Any:
        Upstream.objects.update(cap=1)
        return found(*args, **more)

    monkeypatch.setattr(login_upstream, "credential_of", linked_then_capped)
    assert linked.sign_in().status == 400


@pytest.mark.database
@pytest.mark.parametrize("subject", ["subject-2", "SUBJECT-1", "alex@example.org", "subject-1 "])
def test_unlinked_identity_is_refused(linked: AtUpstream, subject: str) -> None:
    """P33: only (iss, sub) finds somebody; a true login name or verified address does not."""
    linked.lying_provider.lies |= {
        "sub": subject,
        "email": "alex@example.org",
        "email_verified": True,
        "preferred_username": "alex@example.org",
    }
    page = linked.sign_in()
    assert (page.status, "link it" in page.words()) == (403, True), page.words()


@pytest.mark.database
def test_same_sub_at_another_issuer_is_another_identity(linked: AtUpstream) -> None:
    """P33: `sub` alone names nobody."""
    from tests.fixtures.lying_provider import LyingProvider

    other = LyingProvider()
    try:
        register(other, slug="other", name="Other", acr_values="")
        browser = Browser(http())
        page = browser.get(f"{ISSUER}/login/upstream/other")
        away = browser.submit(page, page.forms()[-1], stop_at=other.issuer).stopped_at
        assert browser.get(other.signs_in(away)).status == 403
    finally:
        other.stop()


def test_leaver_is_refused(linked: AtUpstream) -> None:
    """Promise 4: the link ended with the account."""
    linked.world.deactivate()
    assert linked.sign_in().status == 403


def test_upstream_error_is_shown_as_a_page(linked: AtUpstream) -> None:
    """Its error is not shown as ours, and the state is spent."""
    page = linked.sign_in(code=None, error="access_denied")
    assert (page.status, "did not sign you in" in page.words()) == (403, True)


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        ((400, b'{"error": "invalid_grant"}'), 403),
        ((500, b"oops"), 503),
        ((200, b"oops"), 400),
        ((200, b"[]"), 400),
        ((200, b"{}"), 400),
        ((200, b"x" * 200_000), 503),
        ((302, b"{}"), 400),
        ((200, b'{"error": ["x"]}'), 403),
        ((200, b"[" * 3000), 400),
        ((200, b'{"id_token": "a.b.c", "expires_in": "x"}'), 400),
    ],
)
def test_malformed_token_response_gets_an_error_page(
    linked: AtUpstream, answer: tuple[int, bytes], status: int
) -> None:
    """C84: whatever comes back, the person sees a page, and 503 where trying again may help."""
    linked.lying_provider.token_answer = answer
    assert linked.sign_in().status == status


def test_unreachable_upstream_gets_503(at_upstream: AtUpstream) -> None:
    """Unreachable is not refused: 503, and another way in is named."""
    at_upstream.lying_provider.down = True
    page = Browser(http()).get(f"{ISSUER}/login/upstream/liar")
    assert (page.status, "does not answer" in page.words()) == (503, True)


@pytest.mark.parametrize(
    "changed",
    [
        {"issuer": "https://other.example"},
        {"issuer": None},
        {"token_endpoint": "http://127.0.0.1:1/token"},
        {"jwks_uri": "https://evil.example/jwks"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"authorization_endpoint": "http://evil.example/"},
        {"token_endpoint": None},
        {"token_endpoint": ["x"]},
    ],
    ids=repr,
)
def test_metadata_of_another_issuer_is_refused(at_upstream: AtUpstream, changed: dict[str, Any]) -> None:
    """OIDC Discovery §4.3: the issuer must be equal, and every endpoint on a host that an operator listed."""
    at_upstream.lying_provider.metadata = changed
    assert Browser(http()).get(f"{ISSUER}/login/upstream/liar").status == 400


def test_unknown_kid_refetches_keys_at_a_bounded_rate(linked: AtUpstream) -> None:
    """security.md §1.2: refetch is bounded to one in five minutes; a rotated key is found after that."""
    linked.lying_provider.header = {"kid": "key-new"}
    linked.lying_provider.jwks = {"keys": [{**lies.published(), "kid": "key-new"}]}
    before = linked.lying_provider.fetched.count("/jwks")
    for _ in range(3):
        assert linked.sign_in().status == 400
    assert linked.lying_provider.fetched.count("/jwks") == before
    with time_machine.travel(clock.now() + timedelta(minutes=5, seconds=1), tick=True):
        assert linked.sign_in().path == "/devices"
    assert linked.lying_provider.fetched.count("/jwks") == before + 1


def test_ambiguous_and_symmetric_keys_are_refused(linked: AtUpstream) -> None:
    """C10: ambiguity and `oct` keys in a JWKS are refused."""
    for keys in (
        [lies.published(), lies.published()],
        [{"kty": "oct", "k": "AAAA", "kid": "key-ES256"}],
        [{**lies.published(), "use": "enc"}],
    ):
        linked.lying_provider.jwks = {"keys": keys}
        Upstream.objects.update(jwks_at=None)
        assert linked.sign_in().status == 400


@pytest.mark.parametrize(
    ("changed", "prompt", "max_age"),
    [({}, None, "1200"), ({"prompt": "login"}, "login", "0"), ({"max_age": "60"}, "login", "0")],
)
def test_required_freshness_is_requested_upstream(
    linked: AtUpstream, changed: dict[str, str], prompt: str | None, max_age: str
) -> None:
    """SS-6, C10: `prompt=login` and `max_age=0` go up where a waiting request needs a new sign-in."""
    app, browser = linked.world.app(), Browser(http())
    found = asked(linked.away(browser, app.url(**changed)))
    assert (found.get("prompt"), found.get("max_age"), found["acr_values"]) == (prompt, max_age, AAL2)
    assert {"state", "nonce", "code_challenge"} <= set(found)
    assert found["code_challenge_method"] == "S256"


def test_auth_time_is_the_upstreams(linked: AtUpstream) -> None:
    """AU-8, TK-5: `auth_time` is the upstream's: single sign-on there does not make an old login new."""
    linked.lying_provider.lies["auth_time"] = lambda true: true["iat"] - 900
    app, browser = linked.world.app(), Browser(http())
    page = linked.sign_in(browser, app.url(), stop_at=app.redirect_uri)
    told = claims(app.redeem(asked(page.stopped_at)["code"]).json()["id_token"])
    assert 895 <= told["iat"] - told["auth_time"] <= 960


def test_stale_upstream_login_does_not_satisfy_prompt_login(linked: AtUpstream) -> None:
    """C10: `max_age=0` was sent up, so a sign-in from before the trip is refused."""
    linked.lying_provider.lies["auth_time"] = lambda true: true["iat"] - 120
    app = linked.world.app()
    assert linked.sign_in(Browser(http()), app.url(prompt="login")).status == 400


@pytest.mark.database
def test_state_nonce_and_verifier_are_not_stored_in_clear(linked: AtUpstream) -> None:
    """I10: state and nonce as hashes, the verifier wrapped."""
    found = asked(linked.away(Browser(http())))
    row = UpstreamLogin.objects.latest("created_at")
    kept = f"{row.state_hash}{row.nonce_hash}{bytes(row.code_verifier)!r}"
    assert found["state"] not in kept
    assert found["nonce"] not in kept


def test_a_provider_that_is_down_is_asked_once_a_minute(linked: AtUpstream, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stranger's requests do not hold a thread each while it does not answer; after a minute it is asked again."""
    asked_for: list[str] = []

    def down(url: str, **_: Any) -> Any:
        asked_for.append(url)
        raise NotFetched("timed out")

    Upstream.objects.update(metadata={}, metadata_at=None)
    with time_machine.travel(clock.now(), tick=False) as now:
        with monkeypatch.context() as patched:
            patched.setattr("idp.upstreams.documents.outbound.fetch", down)
            assert {http().get("/login/upstream/liar").status_code for _ in range(8)} == {503}
            assert len(asked_for) == 1
            now.shift(61)
            assert http().get("/login/upstream/liar").status_code == 503
            assert len(asked_for) == 2
        now.shift(61)
        assert http().get("/login/upstream/liar").status_code == 200


def test_a_token_endpoint_that_is_down_holds_one_thread(linked: AtUpstream, monkeypatch: pytest.MonkeyPatch) -> None:
    """C84: after the first silence one login at a time asks, the others are told at once; it is used again when it
    answers.
    """
    fetch, asked, inside, go = outbound.fetch, [], threading.Event(), threading.Event()

    def down(url: str, **more: Any) -> Any:
        if not url.endswith("/token"):
            return fetch(url, **more)
        asked.append(url)
        if len(asked) > 1:
            inside.set()
            go.wait(10)
        raise NotFetched("timed out")

    session = trip._Session(Upstream.objects.get())

    def exchange() -> None:
        with pytest.raises(NotFetched):
            session.post(linked.lying_provider.issuer + "/token", data={}, headers={}, auth=_NoAuth())

    with monkeypatch.context() as patched:
        patched.setattr("idp.upstreams.trip.outbound.fetch", down)
        assert linked.sign_in().status == 503
        second = threading.Thread(target=exchange)
        second.start()
        assert inside.wait(10)
        assert [linked.sign_in().status for _ in range(3)] == [503] * 3
        assert len(asked) == 2, "nobody else waits for it"
        go.set()
        second.join(10)
    assert linked.sign_in().path == "/devices"


class _NoAuth:
    """A client authentication that adds nothing."""

    def prepare(self, _method: str, uri: str, headers: dict[str, str], body: str) -> tuple[str, dict[str, str], str]:
        return uri, headers, body
