"""The form reader, the authenticator, and the browser without a screen."""

from __future__ import annotations

from base64 import b32encode
from datetime import UTC, datetime

import pytest

from demo.authenticator import STEP, Authenticator, totp
from demo.browser import Page, UnexpectedPage

PAGE = """<!doctype html><html><body><main><h1>Hi</h1><p>plain<br>text &amp; more</p>
<form action="/search"><input name="q"></form>
<form method="post" action="/devices/add/1/confirm"><input type="hidden" name="csrfmiddlewaretoken" value="t&quot;k">
 <input type=hidden name=number value=47><input type="checkbox" name="off" value="1">
 <input type="checkbox" name="on" value="2" checked>
 <select name="s"><option value="a"><option value="b" selected></select>
 <button name="decision" value="allow">Yes</button><button name="decision" value="deny">No</button></form>
<code id="binding-code">K7QF-\n ABCD</code><ul><li class="recovery-code x">one<li class="recovery-code">two</ul>
</main></body></html>"""


def page(html: str = PAGE) -> Page:
    """A page that shows this."""
    return Page("https://login.example.org/devices/add/1", 200, html)


def test_form_is_read_as_a_browser_sends_it() -> None:
    """Hidden fields, checked boxes and the selected option are sent; buttons and unchecked boxes are not."""
    form = page().form_to("/confirm")
    assert form.method == "post"
    assert form.fields == {"csrfmiddlewaretoken": 't"k', "number": "47", "on": "2", "s": "b"}
    assert form.buttons == {"decision": ["allow", "deny"]}


def test_forms_are_found_by_their_fields() -> None:
    """The first form with all the names is taken; there may be none."""
    assert page().form_with("q") == page().forms()[0]
    assert page().form_with("q", "number") is None
    assert page().form_with("decision") == page().forms()[1]


def test_texts_are_found_by_id_and_class() -> None:
    """White space collapses, character references are read, unclosed items still end."""
    assert page().by_id("binding-code") == "K7QF- ABCD"
    assert len(page().by_class("recovery-code")) == 2


def test_missing_element_error_names_page_and_words() -> None:
    """The error names the page and its words, for debugging the journey."""
    with pytest.raises(UnexpectedPage, match=r"/devices/add/1.*Hi"):
        page().by_id("nothing")
    with pytest.raises(UnexpectedPage, match="nowhere"):
        page().form_to("/nowhere")


@pytest.mark.parametrize(
    ("seconds", "code"), [(59, "287082"), (1111111109, "081804"), (1234567890, "005924"), (20000000000, "353130")]
)
def test_totp_matches_the_vectors_of_rfc_6238(seconds: int, code: str) -> None:
    """RFC 6238 appendix B, the last six of its eight digits."""
    assert totp(b32encode(b"12345678901234567890").decode(), step=seconds // 30) == code


def test_authenticator_uses_each_step_once() -> None:
    """The step before for enrolling, then that of now, then the next: three codes without waiting, all different."""
    secret = b32encode(b"12345678901234567890").decode()
    start = int(datetime.now(UTC).timestamp()) // STEP
    app = Authenticator(secret)
    codes = [app.first_code(), app.code(), app.code()]
    steps = range(start - 1, start + 4)  # the clock may turn while this runs
    found = [next(step for step in steps if totp(secret, step=step) == code) for code in codes]
    assert found == sorted(set(found))
