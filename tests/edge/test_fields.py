"""Names of header fields are judged before they are folded, and the caller's address is the listed proxy's word
(P52, ruling 32).
"""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idp.config import config
from idp.edge import caller, fields, intake, unlisted
from tests.fixtures.in_process import answer, environ

PROXY = "10.0.0.5"


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(config().__dict__, "trusted_proxies", (PROXY, "unix"))


def peer(*pairs: tuple[str, str], client: str = PROXY) -> tuple[str, int]:
    """The caller's address, and the status of the refusal or 0."""
    asked = environ("GET", "/livez", [("Host", "localhost"), *pairs], client=client)
    return asked[intake.PEER], asked[intake.REFUSED].status if intake.REFUSED in asked else 0


SPELLINGS = ["X_Forwarded_For", "x-forwarded_for", "X_FORWARDED-FOR", "X.Forwarded.For", "x!forwarded~for"]


@pytest.mark.parametrize("name", SPELLINGS)
def test_a_name_that_would_fold_is_dropped(name: str) -> None:
    """As nginx does: nothing of it reaches Django, under any name."""
    asked = environ("GET", "/livez", [("Host", "localhost"), (name, "6.6.6.6")])
    assert intake.REFUSED not in asked
    assert [key for key, value in asked.items() if value == "6.6.6.6"] == []


@pytest.mark.parametrize("name", SPELLINGS)
def test_two_names_that_fold_to_one_are_refused_in_any_order(listed: None, name: str) -> None:
    """The proxy's own field and a client's that would take its place: 400."""
    pairs = [("X-Forwarded-For", "203.0.113.7"), (name, "6.6.6.6"), ("Accept", "*/*")]
    for order in permutations(pairs):
        assert peer(*order)[1] == 400


@pytest.mark.parametrize(
    "name", ["Host", "Authorization", "RametHop", "Content-Type", "Content-Length", "X-Forwarded-Proto", "Origin"]
)
@pytest.mark.parametrize("values", [("a", "b"), ("a", "a"), ("", "a"), ("a", "")])
def test_a_field_of_one_value_must_not_repeat(name: str, values: tuple[str, str]) -> None:
    """RFC 9110 §5.3: whichever of them counted, somebody else would count the other."""
    found, wrong = fields.fold([(name.lower(), one) for one in values])
    assert found
    assert "repeated" in wrong


def test_lists_are_joined_in_their_order() -> None:
    """RFC 9110 §5.2; cookies by a semicolon (RFC 9113 §8.2.3)."""
    pairs = [
        ("accept", "a"),
        ("cookie", "a=1"),
        ("accept", "b"),
        ("cookie", "b=2"),
        ("x-forwarded-for", "1"),
        ("x-forwarded-for", "2"),
    ]
    found, wrong = fields.fold(pairs)
    assert wrong == ""
    assert (found["HTTP_ACCEPT"], found["HTTP_COOKIE"], found["HTTP_X_FORWARDED_FOR"]) == ("a, b", "a=1; b=2", "1, 2")


@pytest.mark.parametrize("name", ["Ramet-Proxy-Secret", "Ramet-Client-Cert", "Ramet-Tls-Resumed"])
@pytest.mark.parametrize("sign", ["-", "_", "."])
def test_the_former_names_of_the_hop_are_refused(name: str, sign: str) -> None:
    """A proxy that was not changed with the upgrade is told so, and nothing of it is believed."""
    asked = environ("GET", "/livez", [("Host", "localhost"), (name.replace("-", sign), "x")])
    status, _, body = answer(asked)
    assert (status, b"RametHop" in body) == (400, True)


def test_an_unreadable_word_of_a_listed_proxy_is_told_once(listed: None, caplog: pytest.LogCaptureFixture) -> None:
    """Its callers would all be counted as one: the operator gets one line with the proxy's address."""
    caller._tell_unreadable.cache_clear()
    for number in range(3):
        assert peer(("X-Forwarded-For", f"host-{number}.example"))[0] == caller.NOWHERE
    assert [PROXY in line for line in caplog.messages] == [True]


def test_a_listed_proxys_word_is_the_end_of_its_field(listed: None) -> None:
    """P52: what a client wrote stands before it; a listed hop is skipped; IPv4 in IPv6 is itself."""
    assert peer(("X-Forwarded-For", "203.0.113.7"))[0] == "203.0.113.7"
    assert peer(("X-Forwarded-For", "6.6.6.6, 203.0.113.7"))[0] == "203.0.113.7"
    assert peer(("X-Forwarded-For", "6.6.6.6"), ("X-Forwarded-For", "203.0.113.7"))[0] == "203.0.113.7"
    assert peer(("X-Forwarded-For", f"203.0.113.7, {PROXY}"))[0] == "203.0.113.7"
    assert peer(("X-Forwarded-For", "::ffff:203.0.113.7"))[0] == "203.0.113.7"
    assert peer(("X-Forwarded-For", "203.0.113.7"), client="")[0] == "203.0.113.7"  # the UNIX socket is listed
    assert peer()[0] == PROXY
    assert peer(("X-Forwarded-For", "203.0.113.7:41000"))[0] == "203.0.113.7", "some proxies write the port"
    assert peer(("X-Forwarded-For", "2001:db8::7"))[0] == "2001:db8::7"
    assert peer(("X-Forwarded-For", "6.6.6.6, [2001:db8::7]:41000"))[0] == "2001:db8::7"
    assert peer(("X-Forwarded-For", "nonsense"))[0] == caller.NOWHERE
    assert peer(("X-Forwarded-For", "[2001:db8::7"))[0] == "2001:db8::7"


def test_forwarded_is_never_read(listed: None) -> None:
    """Of two fields that say the same thing a client could choose: one is read, and no other."""
    assert peer(("Forwarded", "for=6.6.6.6"), ("X-Forwarded-For", "203.0.113.7"))[0] == "203.0.113.7"
    assert peer(("Forwarded", "for=6.6.6.6"))[0] == PROXY


def test_from_an_unlisted_peer_it_is_nothing(listed: None) -> None:
    """Neither the address nor the scheme: both are taken out before Django reads them."""
    pairs = [("X-Forwarded-For", "6.6.6.6"), ("X-Forwarded-Proto", "https"), ("Forwarded", "for=6.6.6.6")]
    asked = environ("GET", "/livez", [("Host", "localhost"), *pairs], client="192.0.2.9")
    assert asked[intake.PEER] == "192.0.2.9"
    assert [key for key in asked if "FORWARDED" in key] == []
    asked = environ("GET", "/livez", [("Host", "localhost"), *pairs], client=PROXY)
    assert asked["HTTP_X_FORWARDED_PROTO"] == "https"


def test_a_target_that_names_another_host_is_refused() -> None:
    """RFC 9112 §3.2.2: absolute form; one request has one host."""
    from tests.fixtures.in_process import Fields, Scope

    scope = Scope("GET", "/livez", headers=Fields([("host", "localhost")]), authority="evil.example")
    assert intake.environ(scope)[intake.REFUSED].status == 400


NAMES = st.text(alphabet="abcxyz-_.!~^'*0123", min_size=1, max_size=12)


@given(st.lists(st.tuples(NAMES, st.text(alphabet="abc, =;", max_size=8)), max_size=12))
def test_nothing_gets_under_a_name_that_was_not_spelled_so(pairs: list[tuple[str, str]]) -> None:
    """Whatever arrives: each key that Django reads was spelled with letters, digits and hyphens, and no other
    spelling was beside it.
    """
    found, wrong = fields.fold(pairs)
    plain = {name for name, _ in pairs if fields.is_plain(name)}
    assert {key.removeprefix("HTTP_").replace("_", "-").lower() for key in found} <= plain
    folds = [{name for name, _ in pairs if fields.folds_to(name) == key} for key in found]
    assert wrong or all(len(one) == 1 for one in folds)


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> unlisted.ForwarderWatch:
    made = unlisted.ForwarderWatch()
    monkeypatch.setattr(unlisted, "watch", made)
    return made


@pytest.mark.database
@pytest.mark.django_db
@pytest.mark.database
def test_an_unlisted_proxy_is_told_to_the_operator(
    watch: unlisted.ForwarderWatch, caplog: pytest.LogCaptureFixture
) -> None:
    """P52: three callers of one unlisted peer: one log line, and a warning of `manage.py check`, for a day."""
    from idp.checks.proxies import proxies_are_listed

    for number in range(6):
        asked = environ(
            "GET", "/livez", [("Host", "localhost"), ("X-Forwarded-For", f"203.0.113.{number}")], client="192.0.2.9"
        )
        assert answer(asked)[0] == 200
    assert [record.levelname for record in caplog.records if "192.0.2.9" in record.getMessage()] == ["WARNING"]
    [found] = proxies_are_listed()
    assert (found.id, "192.0.2.9" in str(found.hint)) == ("ramet.W049", True)


@pytest.mark.django_db
def test_one_caller_with_one_field_is_no_proxy(watch: unlisted.ForwarderWatch) -> None:
    """A client that always sends the same field is no reason to warn."""
    from idp.checks.proxies import proxies_are_listed

    for _ in range(6):
        answer(
            environ("GET", "/livez", [("Host", "localhost"), ("X-Forwarded-For", "203.0.113.1")], client="192.0.2.9")
        )
    assert proxies_are_listed() == []


def test_a_listed_name_that_is_no_address_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """R31: a range or a name would list nobody, or everybody."""
    from idp.checks.proxies import _entries

    monkeypatch.setitem(
        config().__dict__, "trusted_proxies", ("10.0.0.0/8", "proxy.example", caller.NOWHERE, "unix", "10.0.0.1")
    )
    assert [one.id for one in _entries()] == ["ramet.E048"] * 3
