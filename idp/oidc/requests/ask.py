"""A validated authorization request as it is stored; the browser's parameters are never read again."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from authlib.oauth2.rfc6749 import InvalidRequestError

from idp.oidc.requests import claims_parameter as asked
from idp.oidc.requests.claims_parameter import AskedClaims

if TYPE_CHECKING:
    from collections.abc import Mapping

_SHA256_LENGTH = 43  # base64url
_PROMPTS = frozenset({"none", "login", "consent", "select_account"})
MODES = ("query", "form_post")
UNKNOWN = "?"
_LONGEST_MAX_AGE = 10 * 365 * 24 * 3600


@dataclass(frozen=True, kw_only=True)
class Ask:
    """A validated authorization request.

    meant: the `sub` of `id_token_hint`, "" for any person, UNKNOWN for an unverifiable hint. resources: RFC 8707
    indicators that this client may request. acr_values: in order of preference. max_age: seconds. dpop_jkt: RFC 9449
    §10. code_challenge: S256, "" for a client that is excused. claims: the `claims` parameter.
    """

    scope: str
    code_challenge: str = ""
    state: str = ""
    nonce: str = ""
    prompt: tuple[str, ...] = ()
    max_age: int | None = None
    acr_values: tuple[str, ...] = ()
    dpop_jkt: str = ""
    login_hint: str = ""
    response_mode: str = "query"
    resources: tuple[str, ...] = ()
    meant: str = ""
    claims: AskedClaims = field(default_factory=AskedClaims)

    def stored(self) -> dict[str, Any]:
        """The JSON form."""
        return asdict(self)

    @classmethod
    def restored(cls, value: Mapping[str, Any]) -> Ask:
        """From JSON."""
        lists = {name: tuple(value[name]) for name in ("prompt", "acr_values", "resources")}
        return cls(**{**value, **lists, "claims": AskedClaims.restored(value.get("claims", {}))})

    @property
    def is_openid(self) -> bool:
        """True if an ID token is requested (OpenID Connect Core §3.1.2.1)."""
        return "openid" in self.scope.split()

    @property
    def is_offline(self) -> bool:
        """True if the grant outlives the session (§11)."""
        return "offline_access" in self.scope.split()


def parse(parameters: Mapping[str, str], *, scope: str, meant: str = "", nonce_required: bool = True) -> Ask:
    """Read the parameters that Authlib does not.

    scope: cut to the client's scopes. meant: as in `Ask`. nonce_required: unless this client is excused (FA-1).
    Raises: InvalidRequestError.
    """
    prompt = tuple(dict.fromkeys(parameters.get("prompt", "").split()))
    if not set(prompt) <= _PROMPTS or ("none" in prompt and len(prompt) > 1):
        raise InvalidRequestError("prompt is none, or a list of login, consent, select_account.")
    if parameters.get("response_mode", "query") not in MODES:
        raise InvalidRequestError("response_mode is query or form_post.")
    if nonce_required and "openid" in scope.split() and not parameters.get("nonce"):
        raise InvalidRequestError("Send a nonce: it ties the ID token to this request.")
    wanted = asked.parse(parameters.get("claims", ""))
    if wanted.sub and meant not in {"", wanted.sub}:
        raise InvalidRequestError("claims and id_token_hint name two people.")
    dpop_jkt = parameters.get("dpop_jkt", "")
    if dpop_jkt and len(dpop_jkt) != _SHA256_LENGTH:
        raise InvalidRequestError("dpop_jkt is an RFC 7638 SHA-256 thumbprint.")
    return Ask(
        scope=scope,
        code_challenge=parameters.get("code_challenge", ""),
        state=parameters.get("state", ""),
        nonce=parameters.get("nonce", ""),
        prompt=prompt,
        max_age=_max_age(parameters.get("max_age")),
        acr_values=tuple(parameters.get("acr_values", "").split()),
        dpop_jkt=dpop_jkt,
        login_hint=parameters.get("login_hint", ""),
        response_mode=parameters.get("response_mode", "query"),
        meant=meant or wanted.sub,
        claims=wanted,
        resources=tuple(parameters.get("resource", "").split()),
    )


def _max_age(text: str | None) -> int | None:
    if text is None:
        return None
    if not text.isascii() or not text.isdigit():
        raise InvalidRequestError("max_age is a number of seconds.")
    return min(int(text), _LONGEST_MAX_AGE)
