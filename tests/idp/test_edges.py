"""What arrives, and what is made of it: parameters, URIs, codes, passwords, reserved claims (C17, C31, C43, C76,
AU-6, BI-1).
"""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from authlib.oauth2.rfc6749 import InvalidRequestError
from hypothesis import given
from hypothesis import strategies as st

from idp import secrets, uris
from idp.enrol.device_names import clean_name
from idp.enrol.grown.codes import LONG, SHORT
from idp.login import password, totp
from idp.logs import redacted
from idp.oidc.claims.claims import RESERVED, assemble
from idp.oidc.requests import gate

BAD_URIS = [
    "http://app.example/cb", "https://app.example/cb#x", "https://app.example/cb#", "https://user@app.example/cb",
    "https://u:p@app.example/cb",
    "javascript://x/%0aalert(1)", "data:text/html,x", "file:///etc/passwd", "https://*.example/cb",
    "https://app.example/../cb",
    "https://app.example/c\u2028b", "https://app.example/c b", "https://app.example/c\nb", "https:///cb",
    "//app.example/cb", "/cb", "",
    "https://app.example\\@evil.example/", 'https://app.example/"onload', "vbscript:x", "urn:ietf:wg:oauth:2.0:oob",
    "app:/cb", "ftp://app.example/",
    "https://ａpp.example/cb", "https://app.example:99999/cb", "https://[::1", "https://app.example/" + "x" * 600,
]  # fmt: skip
GOOD = "https://app.example/cb"
NEAR_MISSES = [
    "https://app.example/cb/", "https://app.example/CB", "https://app.example/cb?x=1", "https://app.example/cb#",
    "https://app.example:443/cb",
    "http://app.example/cb", "https://app.example/c", "https://app.example/cb%20", "https://APP.example/cb",
    "https://app.example.evil/cb",
    "https://app.example/cb\x00", "https://evil@app.example/cb", "https://app.example/cb;x", " https://app.example/cb",
    "https://app.example//cb",
]  # fmt: skip


@pytest.mark.parametrize("uri", BAD_URIS)
def test_bad_redirect_uri_is_refused(uri: str) -> None:
    """C31, A18, E20, P40."""
    assert uris.objection(uri, application_type="web")
    if not uri.startswith("http://"):
        assert uris.objection(uri, application_type="browser")


@pytest.mark.parametrize("uri", NEAR_MISSES)
def test_redirect_uri_is_compared_exactly(uri: str) -> None:
    """A1: no prefix, no normalisation."""
    assert not uris.is_same(uri, GOOD, application_type="web")
    assert not uris.is_same(uri, GOOD, application_type="native")


@given(st.text(max_size=60))
def test_no_other_text_equals_the_registered_uri(uri: str) -> None:
    """For any text."""
    assert uris.is_same(uri, GOOD, application_type="web") == (uri == GOOD)


@pytest.mark.parametrize(
    ("presented", "same"),
    [
        ("http://127.0.0.1:51004/cb", True), ("http://127.0.0.1/cb", True), ("http://127.0.0.1:51004/other", False),
        ("http://localhost:51004/cb", False), ("http://127.0.0.2:51004/cb", False),
        ("https://127.0.0.1:51004/cb", False),
        ("http://127.0.0.1:51004/cb?x", False), ("http://x@127.0.0.1:5/cb", False), ("http://127.0.0.1:0/cb", False),
        ("http://127.0.0.1:99999/cb", False),
    ],
)  # fmt: skip
def test_native_app_may_choose_its_loopback_port(presented: str, same: bool) -> None:  # noqa: FBT001
    """RFC 8252 §7.3: the port, and only of a loopback literal."""
    assert uris.is_same(presented, "http://127.0.0.1/cb", application_type="native") == same
    assert not uris.is_same("http://127.0.0.1:51004/cb", "http://127.0.0.1/cb", application_type="web")


def test_private_scheme_needs_a_dot() -> None:
    """RFC 8252 §7.1."""
    assert uris.objection("org.example.app:/cb", application_type="native") is None
    assert uris.objection("org.example.app:/cb", application_type="web")
    assert uris.objection("app:/cb", application_type="native")


@pytest.mark.parametrize(
    "raw",
    [
        "scope=a&scope=b", "state=%00", "state=a%0d%0ab", "client_id=" + "x" * 300, "redirect_uri=https://a/%22",
        "response_type=c%C3%B6de",
        "scope=%FF", "state=%FF", "&".join(f"p{n}=1" for n in range(201)), "redirect_uri=https://a/%5C",
        "nonce=" + "n" * 256, "code=%C2%85",
    ],
)  # fmt: skip
def test_gate_refuses_repeats_lengths_and_characters(raw: str) -> None:
    """C43, A11, E13, E23: repeats, lengths, characters."""
    with pytest.raises(InvalidRequestError):
        gate.parameters(raw)


@given(
    st.lists(
        st.tuples(st.text(max_size=40).filter(lambda name: not gate.is_known(name)), st.text(max_size=90)), max_size=9
    )
)
def test_gate_ignores_unknown_parameters(pairs: list[tuple[str, str]]) -> None:
    """RFC 6749 §3.1, §3.2, ruling 34: any name and value, repeated or not, in any encoding."""
    raw = urlencode([*pairs, ("state", "s"), *pairs], errors="surrogatepass")
    assert gate.parameters(raw) == {"state": "s"}
    assert gate.parameters("app_name=Caf%E9&" + raw) == {"state": "s"}


@given(st.dictionaries(st.text(max_size=20), st.text(max_size=60), max_size=5))
def test_gate_yields_clean_values_or_an_oauth_error(pairs: dict[str, str]) -> None:
    """Any form: an OAuth error, or values without control characters."""
    try:
        found = gate.parameters(urlencode(pairs, errors="replace"))
    except InvalidRequestError as error:
        assert error.description.isascii()
        return
    assert all(value.isprintable() or " " in value for value in found.values() if value.isascii())


@given(st.text(alphabet=secrets.ALPHABET, min_size=24, max_size=24))
def test_typed_code_is_normalised(code: str) -> None:
    """Groups, case, look-alikes."""
    typed = secrets.grouped(code).lower().replace("0", "o").replace("1", "l")
    assert secrets.normalise_code(typed) == code
    assert secrets.normalise_code(f" {secrets.grouped(code)} ") == code


def test_binding_code_entropy() -> None:
    """BI-1: at least 112 bits alone, at least 40 with the user name."""
    assert len(set(secrets.ALPHABET)) == 32
    assert LONG * 5 >= 112
    assert SHORT * 5 >= 40


def test_secrets_of_one_kind_never_match_another() -> None:
    """P14."""
    assert secrets.hash_secret("x", kind="code") != secrets.hash_secret("x", kind="refresh-token")


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "short12",
        "password",
        "P@ssw0rd",
        "password123!",
        "12345678",
        "aaaaaaaa",
        "qwertyuiop",
        "alex.moss",
        "Ramet2026!",
        "x" * 257,
        "abcabc\x00abc",
    ],
)
def test_common_and_contextual_passwords_are_refused(bad: str) -> None:
    """AU-6: 8 or more, blocklist, context."""
    assert password.objection(bad, context=("alex.moss@example.org", "ramet"))


@pytest.mark.parametrize(
    "good", ["tr0ub4dor", "correct horse battery", "ﬃne-ligature-word", "пароль-длинный", "kqzjwxvb"]
)
def test_no_composition_rules(good: str) -> None:
    """AU-6: length and the blocklist, nothing else."""
    assert password.objection(good, context=("alex",)) is None


def test_long_password_is_not_truncated() -> None:
    """P65, C68: nothing is cut at 72 bytes."""
    base = "x1y2" * 30
    stored = password.hashed(base + "a")
    assert password.matches(base + "a", stored)
    assert not password.matches(base + "b", stored)
    assert not password.matches(base, stored)
    assert not password.matches("anything", "")


@pytest.mark.parametrize("typed", ["12345", "1234567", "12 45", "+12345", "12345\n", "", "12345x", "1²3456", "½23456"])
def test_totp_code_is_six_digits(typed: str) -> None:
    """P5: nothing else is a code."""
    from datetime import UTC, datetime

    assert totp.matching_step(b"x" * 20, typed, now=datetime(2026, 1, 1, tzinfo=UTC)) is None


SPELLINGS = {
    "a space": lambda code: f"{code[:3]} {code[3:]}",
    "a no-break space": lambda code: f"{code[:3]}\u00a0{code[3:]}",
    "a thin space": lambda code: f" {code[:3]}\u202f{code[3:]} ",
    "a hyphen": lambda code: f"{code[:3]}-{code[3:]}",
    "a dash": lambda code: f"{code[:3]}\u2013{code[3:]}",
    "invisible characters": lambda code: f"\u200e{code}\ufeff",
    "Arabic-Indic digits": lambda code: "".join(chr(0x660 + int(one)) for one in code),
    "Devanagari digits": lambda code: "".join(chr(0x966 + int(one)) for one in code),
    "full-width digits": lambda code: "".join(chr(0xFF10 + int(one)) for one in code),
    "all at once": lambda code: f"{chr(0x660 + int(code[0]))} {code[1:3]}\u00a0-{code[3:]}\t",
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_code_in_any_spelling(spelling: str) -> None:
    """Apps show codes in groups, and keyboards have digits of their own."""
    from datetime import UTC, datetime

    from django_otp.oath import hotp

    now = datetime(2026, 1, 1, tzinfo=UTC)
    step = int(now.timestamp()) // totp.STEP
    code = f"{hotp(b'x' * 20, step, digits=6):06d}"
    assert totp.matching_step(b"x" * 20, SPELLINGS[spelling](code), now=now) == step
    assert secrets.matches_code(SPELLINGS[spelling]("012345"), "012345")


def test_totp_tolerates_one_step() -> None:
    """C56."""
    from datetime import UTC, datetime, timedelta

    from django_otp.oath import hotp

    now = datetime(2026, 1, 1, tzinfo=UTC)
    present = int(now.timestamp()) // 30
    for offset, good in [(-2, False), (-1, True), (0, True), (1, True), (2, False)]:
        code = f"{hotp(b'x' * 20, present + offset):06d}"
        assert (totp.matching_step(b"x" * 20, code, now=now) is not None) == good, offset
    assert timedelta(seconds=totp.STEP) <= timedelta(minutes=2)  # AU-5


@given(
    st.dictionaries(st.sampled_from(sorted(RESERVED)), st.text(), min_size=1),
    st.dictionaries(st.sampled_from(["iss", "sub", "acr", "aal"]), st.text(min_size=1)),
)
def test_no_attribute_sets_a_reserved_claim(about: dict[str, str], reserved: dict[str, str]) -> None:
    """C17, E22, A7: reserved claims are ours, present or absent."""
    assert assemble(about, reserved) == reserved


@given(st.text(max_size=200))
def test_device_name_is_one_visible_line(typed: str) -> None:
    """C76, C77: no control, no direction override, no line break; never empty."""
    import unicodedata

    name = clean_name(typed)
    assert 0 < len(name) <= 60
    assert all(character == " " or unicodedata.category(character)[0] not in "CZ" for character in name)


@pytest.mark.parametrize(
    "line",
    [
        "refresh_token=abc123xyz",
        "'password': 'hunter22'",
        'Authorization: "Bearer abc"',
        "code=K7QF",
        "GET /invitation/AAAAAAAAAAAAAAAAAAAAAAA",
        "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln",
    ],
)
def test_log_line_masks_secrets(line: str) -> None:
    """A14, I10."""
    found = redacted(line)
    assert "[masked]" in found or "[token]" in found
    assert not any(secret in found for secret in ("abc123xyz", "hunter22", "K7QF", "AAAAAAAA", "eyJzdWIi"))


@pytest.mark.django_db
@pytest.mark.parametrize(
    "uri", ["http://[::1].evil.example/cb", "http://evil.example[::1]/cb", "http://[::1]x:80/cb", "http://[::1]:/cb"]
)
def test_loopback_literal_must_be_the_whole_host(uri: str) -> None:
    """RFC 8252 7.3, P40: older Pythons read a host with something around the brackets as the literal in them."""
    from idp import uris

    assert not uris.is_same(uri, "http://[::1]/cb", application_type="native")
    assert uris.is_same("http://[::1]:4711/cb", "http://[::1]/cb", application_type="native")
