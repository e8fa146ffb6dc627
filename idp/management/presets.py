"""What the common libraries and applications need of a client, and the block of settings for each (docs/apps.md)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from idp.clients import BadRegistration

if TYPE_CHECKING:
    from collections.abc import Mapping

_ENVIRONMENT = ("ISSUER={issuer}", "CLIENT_ID={client_id}", "CLIENT_SECRET={client_secret}")


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A library, as `client add --preset` registers its applications.

    callback, after_logout, backchannel: paths below the application's URL; "" for none. terms: fields of
    `Registration`. settings: lines with names in braces, of the library's own configuration, or the environment of the
    snippet in docs/apps.md.
    """

    callback: str
    after_logout: str = "/"
    backchannel: str = ""
    terms: Mapping[str, Any] = field(default_factory=dict)
    settings: tuple[str, ...] = (*_ENVIRONMENT, "BASE_URL={url}")

    def registration(self, url: str) -> dict[str, Any]:
        """The fields of a client whose application is at a URL; no addresses without one."""
        if not url:
            return dict(self.terms)
        found = {"redirect_uris": [url + self.callback], "post_logout_uris": [url + self.after_logout], **self.terms}
        return {**found, "backchannel_logout_uri": url + self.backchannel} if self.backchannel else found

    def block(self, **values: str) -> str:
        """The settings with their values: issuer, client_id, client_secret, redirect_uri and url."""
        return "\n".join(self.settings).format(**values)


PRESETS: dict[str, Preset] = {
    "authlib": Preset(callback="/callback", settings=(*_ENVIRONMENT, "REDIRECT_URI={redirect_uri}")),
    "mod-auth-openidc": Preset(
        callback="/redirect_uri",
        backchannel="/redirect_uri?logout=backchannel",
        settings=(*_ENVIRONMENT, "REDIRECT_URI={redirect_uri}", "AFTER_LOGOUT={url}/"),
    ),
    "mozilla-django-oidc": Preset(
        callback="/oidc/callback/", terms={"auth_method": "client_secret_post"}, settings=_ENVIRONMENT
    ),
    "express-openid-connect": Preset(callback="/callback", after_logout=""),
    "authjs": Preset(callback="/auth/callback/ramet", terms={"claims_in_id_token": True}),
    "oidc-client-ts": Preset(
        callback="/",
        terms={"application_type": "browser", "public": True},
        settings=("ISSUER={issuer}", "CLIENT_ID={client_id}"),
    ),
    "spring-security": Preset(
        callback="/login/oauth2/code/ramet",
        settings=(
            "spring.security.oauth2.client.provider.ramet.issuer-uri={issuer}",
            "spring.security.oauth2.client.registration.ramet.client-id={client_id}",
            "spring.security.oauth2.client.registration.ramet.client-secret={client_secret}",
            "spring.security.oauth2.client.registration.ramet.client-authentication-method=client_secret_basic",
            "spring.security.oauth2.client.registration.ramet.scope=openid,profile,email",
        ),
    ),
    "grafana": Preset(
        callback="/login/generic_oauth",
        after_logout="/login",
        terms={"nonce_optional": True},
        settings=(
            "[auth.generic_oauth]",
            "enabled = true",
            "name = Ramet",
            "client_id = {client_id}",
            "client_secret = {client_secret}",
            "scopes = openid profile email",
            "auth_url = {issuer}/oidc/authorize",
            "token_url = {issuer}/oidc/token",
            "api_url = {issuer}/oidc/userinfo",
            "login_attribute_path = preferred_username",
            "use_pkce = true",
        ),
    ),
    "gitlab": Preset(
        callback="/users/auth/openid_connect/callback",
        settings=(
            "gitlab_rails['omniauth_providers'] = [{{",
            '  name: "openid_connect", label: "Ramet",',
            "  args: {{",
            '    name: "openid_connect", scope: ["openid", "profile", "email"], response_type: "code",',
            '    issuer: "{issuer}", discovery: true, client_auth_method: "basic", uid_field: "sub",',
            '    pkce: true, send_nonce: true, client_signing_alg: "ES256",',
            '    client_options: {{ identifier: "{client_id}", secret: "{client_secret}",',
            '      redirect_uri: "{redirect_uri}" }}',
            "  }}",
            "}}]",
        ),
    ),
}


def base_url(text: str) -> str:
    """The URL of an application, without a slash at its end.

    Raises: BadRegistration.
    """
    if not text.startswith(("https://", "http://")) or "?" in text or "#" in text:
        raise BadRegistration(f"--app-url is where the application is, like https://app.example: {text} is not.")
    return text.rstrip("/")
