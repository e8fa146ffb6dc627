"""The passkey's chapter: another phone scans a code and makes a derived passkey, which signs in and is no root."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx

from demo.browser import Browser
from demo.passkey import Passkey
from demo.phone import wait_for_status

if TYPE_CHECKING:
    from demo.browser import Page
    from demo.context import Context


def play(context: Context) -> None:
    """The desktop shows a code, a phone makes a passkey, both show the same number, and the passkey signs in."""
    tell = context.narration
    tell.chapter("8a. A passkey on another phone")
    page = context.desktop.get(f"{context.ramet.issuer}/devices/passkey/add")
    page = context.desktop.submit(page, page.form_to("/devices/add"))
    code = page.by_id("binding-code")
    tell.call("desktop", "shows a code, as QR and text")
    with httpx.Client(timeout=30) as cookies:
        phone = Browser(cookies)
        key = Passkey(context.ramet.issuer)
        bound = _make(context, phone, cookies, key=key, code=code)
        tell.call("phone", "makes a passkey with a fingerprint, and shows a number")
        status = wait_for_status(context, page, "answered")
        tell.need(
            "desktop and phone show the same number", status.get("number") == bound.get("number"), seen=(status, bound)
        )
        page = context.desktop.get(page.url)
        context.desktop.submit(page, page.form_to("/confirm"))
        tell.call("Alex", "confirms at the desktop that the numbers are the same")
        page = phone.get(f"{context.ramet.issuer}/login/passkey")
        options = _post(context, cookies, "/login/passkey/options", page).json()
        form = page.form_with("response")
        tell.need("the phone offers to sign in with it", form)
        assert form is not None  # noqa: S101 - needed above
        seen = phone.submit(page, form, values={"response": key.get(options)})
        tell.check("it signs in and becomes active", seen.path == "/devices", seen=seen.path)
        refused = phone.get(f"{context.ramet.issuer}/devices/passkey/add")
        tell.check(
            "nothing can be added in that session: the passkey is no root", refused.path == "/login", seen=refused.path
        )
    rows = {
        row["kind"]: row for row in context.show_tree("Credentials of every kind so far, with their token families")
    }
    row = rows.get("derived_passkey", {})
    tell.check("the passkey is active, at AAL2", (row.get("state"), row.get("aal")) == ("active", 2), seen=row)


def _post(context: Context, cookies: httpx.Client, path: str, page: Page, **fields: str) -> httpx.Response:
    """Post a form as the page's script does."""
    token = next(form.fields["csrfmiddlewaretoken"] for form in page.forms() if "csrfmiddlewaretoken" in form.fields)
    headers = {"Origin": context.ramet.issuer, "Referer": page.url}
    return cookies.post(context.ramet.issuer + path, data={"csrfmiddlewaretoken": token, **fields}, headers=headers)


def _make(context: Context, phone: Browser, cookies: httpx.Client, *, key: Passkey, code: str) -> dict[str, Any]:
    page = phone.get(f"{context.ramet.issuer}/enrol/passkey")
    options = _post(context, cookies, "/enrol/passkey/options", page, code=code)
    made = _post(
        context,
        cookies,
        "/enrol/passkey/answer",
        page,
        code=code,
        name="Alex's other phone",
        response=key.create(options.json()),
    )
    found: dict[str, Any] = json.loads(made.text)
    return found
