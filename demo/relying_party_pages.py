"""The HTML of the demo relying party: one style sheet, three pages, everything escaped."""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from datetime import UTC, datetime
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from demo.openid import Login

STYLE = """
:root { color-scheme: light dark; --ink: #1d2733; --paper: #f5f7f9; --card: #ffffff; --line: #ccd5dd; --act: #1f5fa8; }
@media (prefers-color-scheme: dark) {
 :root { --ink: #e6ebf0; --paper: #12171d; --card: #1b222b; --line: #3a4653; --act: #8fbdf2; } }
* { box-sizing: border-box }
body { margin: 0; background: var(--paper); color: var(--ink); font: 1.05rem/1.55 system-ui, sans-serif; }
main { max-width: 46rem; margin: 2.5rem auto; padding: 0 1rem; }
header { border-bottom: 4px solid var(--act); background: var(--card); padding: .9rem 1.2rem; font-weight: 600; }
section { background: var(--card); border: 1px solid var(--line); border-radius: .7rem; padding: 1.2rem;
 margin: 1rem 0; }
.acts { display: flex; flex-wrap: wrap; gap: .6rem; }
.act { display: inline-block; padding: .6rem 1rem; border: 2px solid var(--act); border-radius: .5rem; font: inherit;
 font-weight: 600; color: var(--act); background: transparent; text-decoration: none; cursor: pointer; }
.act.first { background: var(--act); color: var(--card); }
.act:focus-visible { outline: 3px solid var(--ink); outline-offset: 2px; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .4rem .6rem .4rem 0; border-top: 1px solid var(--line); }
th { white-space: nowrap; font-weight: 600; }
td { overflow-wrap: anywhere; }
td small { opacity: .8; }
"""
STYLE_HASH = "sha256-" + b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()

_MEANINGS = {
    "iss": "who says so",
    "sub": "who this is about",
    "aud": "for which app",
    "acr": "how sure the login was (assurance level)",
    "amr": "what was verified",
    "auth_time": "when the person proved themselves",
    "aal": "authenticator assurance level",
    "ial": "identity assurance level",
    "sid": "the session at the provider",
}
_TIMES = frozenset({"iat", "exp", "auth_time", "nbf", "updated_at"})


def signed_out(*, told: str = "") -> str:
    """The page without a login."""
    notice = f'<section role="status"><p>{escape(told)}</p></section>' if told else ""
    return _page(
        "The demo app",
        f"""{notice}<section><h1>The demo app</h1>
<p>This app keeps no passwords. It asks Ramet who you are, and how sure Ramet is.</p>
<p class="acts"><a class="act first" href="/login">Log in with Ramet</a>
<a class="act" href="/login?aal=2">Log in, at AAL2 or nothing</a>
<a class="act" href="/login?aal=3">Ask for AAL3</a></p>
<p><small>Nobody here can reach AAL3 yet, so the third button ends in a refusal, not in a pretence.</small></p>
</section>""",
    )


def signed_in(login: Login, *, name: str, csrf: str, userinfo: Mapping[str, Any] | None, told: str = "") -> str:
    """The page of a login: the verified claims, and the possible actions."""
    acts = [
        _button("/refresh", "Refresh the tokens", csrf=csrf) if login.refresh_token else "",
        _button("/userinfo", "Ask userinfo", csrf=csrf),
        _button("/logout", "Log out", csrf=csrf),
    ]
    notice = f'<p role="status">{escape(told)}</p>' if told else ""
    more = f"<section><h2>Userinfo</h2>{_table(userinfo)}</section>" if userinfo is not None else ""
    return _page(
        "Logged in",
        f"""<section><h1>Hello, {escape(name or "whoever you are")}</h1>{notice}
<div class="acts">{"".join(acts)}</div></section>
<section><h2>What the ID token says</h2>{_table(login.claims)}</section>{more}
<section><h2>The access token</h2><p>{login.expires_in} seconds, for “{escape(login.scope)}”.</p></section>""",
    )


def failed(error: str, description: str) -> str:
    """The page of a failed login: the reason, and the next step."""
    words = {
        "unmet_authentication_requirements": "Ramet cannot honestly reach the level that was asked for, so it said no.",
        "access_denied": "The login was stopped.",
    }.get(error, "The login did not work.")
    return _page(
        "Not logged in",
        f"""<section role="alert"><h1>{escape(words)}</h1>
<table><tr><th scope="row">error</th><td id="error"><code>{escape(error)}</code></td></tr>
<tr><th scope="row">description</th><td>{escape(description)}</td></tr></table>
<p class="acts"><a class="act first" href="/">Back</a></p></section>""",
    )


def _button(action: str, label: str, *, csrf: str) -> str:
    return (
        f'<form method="post" action="{action}"><input type="hidden" name="csrf" value="{escape(csrf)}">'
        f'<button class="act">{escape(label)}</button></form>'
    )


def _table(claims: Mapping[str, Any]) -> str:
    rows = []
    for name, value in claims.items():
        meaning = f"<br><small>{escape(_MEANINGS[name])}</small>" if name in _MEANINGS else ""
        rows.append(_row(name, meaning, _plain(name, value)))
    return f"<table>{''.join(rows)}</table>"


def _row(name: str, meaning: str, value: str) -> str:
    return f'<tr><th scope="row"><code>{escape(name)}</code>{meaning}</th><td>{escape(value)}</td></tr>'


def _plain(name: str, value: object) -> str:
    if name in _TIMES and isinstance(value, int):
        return datetime.fromtimestamp(value, tz=UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _page(title: str, body: str) -> str:
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)} · demo app</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head>'
        f"<body><header>Demo app · a relying party</header><main>{body}</main></body></html>"
    )
