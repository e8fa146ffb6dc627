"""`manage.py client`: the relying parties."""

from __future__ import annotations

import secrets
from typing import Any

from django.core.management.base import CommandError, CommandParser
from oidc_provider.models import Client

from derived import clock
from idp import clients
from idp.clients import MORE_GRANTS, SCOPES, BadRegistration, Registration
from idp.management.verbs import Noun, named, nothing, span
from idp.models import ClientPolicy, RegisteredUri
from idp.secrets import stored


def _add(parser: CommandParser) -> None:
    parser.add_argument("name", help="what people see, like 'Travel desk'")
    parser.add_argument("--redirect-uri", action="append", default=[], metavar="URI", help="may be given several times; compared whole")
    parser.add_argument("--post-logout-redirect-uri", action="append", default=[], metavar="URI")
    parser.add_argument("--backchannel-logout-uri", default="", metavar="URI", help="where logout tokens are posted")
    parser.add_argument("--client-id", default="", help="only to keep an id that exists elsewhere; random by default")
    parser.add_argument("--public", action="store_true", help="without a secret")
    parser.add_argument("--native", action="store_true", help="an installed app (RFC 8252); public")
    parser.add_argument("--browser", action="store_true", help="an app that runs in the browser, from the origin of its redirect URI; public")
    parser.add_argument("--device", action="store_true", help="may get tokens by a device's assertion, without a browser")
    parser.add_argument("--dpop", action="store_true", help="every token is bound to a DPoP key")
    parser.add_argument("--dpop-nonce", choices=["on", "off"], help="whether its proofs carry our nonce (RFC 9449 §8); default: on for public clients")
    parser.add_argument("--consent", action="store_true", help="ask people before the first sign-in")
    parser.add_argument("--scope", action="append", default=[], metavar="SCOPE", help=f"default: {' '.join(SCOPES)}")
    parser.add_argument("--min-aal", type=int, choices=[1, 2, 3], default=1, help="nobody enters below this level")
    parser.add_argument("--most-idle", type=span, metavar="SPAN", help="ask again after such a pause, like 10m: stricter than the level's own")
    parser.add_argument("--most-session", type=span, metavar="SPAN", help="ask again when the sign-in is older, like 2h")
    parser.add_argument("--id-token-alg", default="ES256", choices=clients.ID_TOKEN_ALGS)
    parser.add_argument("--grant", action="append", default=[], metavar="GRANT", help=f"beyond code and refresh: {' or '.join(MORE_GRANTS)}")
    parser.add_argument("--resource", action="append", default=[], metavar="URI", help="an API that it may get tokens for (RFC 8707)")
    parser.add_argument("--serves", action="append", default=[], metavar="URI", help="an API that it is, whose tokens it may introspect")
    parser.add_argument("--opaque", action="store_true", help="its access tokens say nothing by themselves: they are introspected")
    parser.add_argument("--access-token-life", type=span, metavar="SPAN", help="like 60s; 5m at most, which is the default")
    parser.add_argument("--refresh-life", type=span, metavar="SPAN", help="like 8h: when its refresh tokens end, whatever happens")
    parser.add_argument("--userinfo-alg", default="", choices=["", *clients.ID_TOKEN_ALGS], help="sign userinfo; default: plain JSON")
    parser.add_argument("--introspection-alg", default="", choices=["", *clients.ID_TOKEN_ALGS], help="always sign introspection (RFC 9701)")
    parser.add_argument("--pairwise", action="store_true", help="know each person by a subject of its own")


class Command(Noun):
    """The operator's verbs for clients."""

    help = "Relying parties: add, list, show, rotate (the secret), disable, enable, import."
    verbs = {  # noqa: RUF012 - a table
        "add": ("Register a client; its secret is shown once.", _add),
        "list": ("All clients.", nothing),
        "show": ("One client, whole.", named("its client_id")),
        "rotate": ("Give a client a new secret; the old one ends now.", named("its client_id")),
        "disable": ("Refuse a client from now on, its tokens too.", named("its client_id")),
        "enable": ("Let a disabled client in again.", named("its client_id")),
        "import": (
            "Take over the clients that django-oidc-provider's own tables hold: their secrets are hashed and cleared there.",
            nothing,
        ),
    }

    methods = {"list": "all", "import": "take_over"}  # noqa: RUF012 - a table

    def add(self, options: dict[str, Any]) -> dict[str, Any]:
        """Register."""
        kind = "native" if options["native"] else "browser" if options["browser"] else "web"
        wanted = Registration(
            name=options["name"], redirect_uris=options["redirect_uri"], post_logout_uris=options["post_logout_redirect_uri"],
            application_type=kind, public=options["public"] or kind != "web", device_assertion=options["device"],
            dpop_required=options["dpop"],
            grants=options["grant"], resources=options["resource"], serves=options["serves"],
            access_token_format="opaque" if options["opaque"] else "jwt", access_token_life=options["access_token_life"],
            refresh_life=options["refresh_life"], userinfo_alg=options["userinfo_alg"], introspection_alg=options["introspection_alg"],
            dpop_nonce={"on": True, "off": False}.get(options["dpop_nonce"]), consent=options["consent"], scopes=_scopes(options["scope"]),
            min_aal=options["min_aal"], most_idle=options["most_idle"], most_session=options["most_session"], id_token_alg=options["id_token_alg"], client_id=options["client_id"],
            subject_type="pairwise" if options["pairwise"] else "public", backchannel_logout_uri=options["backchannel_logout_uri"],
        )
        try:
            party, secret = clients.register(wanted, now=clock.now())
        except BadRegistration as bad:
            raise CommandError(str(bad)) from bad
        shown = {"client_secret": secret} if secret else {}
        return {"client_id": party.client_id, **shown, "redirect_uris": list(wanted.redirect_uris)}

    def all(self, _options: dict[str, Any]) -> list[dict[str, Any]]:
        """All."""
        rows = ClientPolicy.objects.select_related("client").order_by("client__name")
        return [
            {
                "name": one.client.name, "client_id": one.client.client_id, "type": one.application_type,
                "authentication": one.auth_method, "min_aal": one.min_aal, "disabled": one.disabled_at,
            }
            for one in rows
        ]

    def show(self, options: dict[str, Any]) -> dict[str, Any]:
        """One client."""
        policy = self._found(options)
        uris = policy.uris.all()
        return {
            "name": policy.client.name, "client_id": policy.client.client_id, "type": policy.application_type,
            "authentication": policy.auth_method, "scopes": policy.scopes, "min_aal": policy.min_aal,
            "id_token_alg": policy.id_token_alg, "subject_type": policy.subject_type, "dpop_required": policy.dpop_required,
            "grants": policy.grants, "resources": policy.resources, "serves": policy.serves,
            "access_token_format": policy.access_token_format, "access_token_life": policy.access_token_life,
            "refresh_life": policy.refresh_life, "userinfo_alg": policy.userinfo_alg, "introspection_alg": policy.introspection_alg,
            "dpop_nonce": policy.auth_method == "none" if policy.dpop_nonce is None else policy.dpop_nonce,
            "par_required": policy.par_required, "request_alg": policy.request_alg, "request_required": policy.request_required,
            "phishing_resistant": policy.phishing_resistant, "pkce_optional": policy.pkce_optional, "nonce_optional": policy.nonce_optional,
            "device_assertion": policy.device_assertion, "consent": policy.client.require_consent, "origins": policy.origins,
            "redirect_uris": [one.uri for one in uris if one.use == "redirect"],
            "post_logout_redirect_uris": [one.uri for one in uris if one.use == "post_logout"],
            "backchannel_logout_uri": policy.backchannel_logout_uri, "disabled": policy.disabled_at,
        }

    def rotate(self, options: dict[str, Any]) -> dict[str, Any]:
        """A new secret."""
        policy = self._found(options)
        if policy.auth_method == "none":
            message = "This client is public: it has no secret."
            raise CommandError(message)
        secret = secrets.token_hex(32)
        ClientPolicy.objects.filter(pk=policy.pk).update(secret_hash=stored(secret, kind="client-secret"))
        return {"client_id": policy.client.client_id, "client_secret": secret}

    def disable(self, options: dict[str, Any]) -> str:
        """Refuse it."""
        ClientPolicy.objects.filter(pk=self._found(options).pk).update(disabled_at=clock.now())
        return f"{options['name']} is disabled"

    def enable(self, options: dict[str, Any]) -> str:
        """Let it in again."""
        ClientPolicy.objects.filter(pk=self._found(options).pk).update(disabled_at=None)
        return f"{options['name']} is enabled"

    def take_over(self, _options: dict[str, Any]) -> list[dict[str, Any]]:
        """The registry's own clients that have no policy yet; a URI that may not be registered is left out and named."""
        return [_taken_over(client) for client in Client.objects.filter(policy__isnull=True).order_by("id")]

    def _found(self, options: dict[str, Any]) -> ClientPolicy:
        found = ClientPolicy.objects.select_related("client").prefetch_related("uris").filter(client__client_id=options["name"]).first()
        if found is None:
            message = f"There is no client {options['name']}. See: manage.py client list"
            raise CommandError(message)
        return found


def _scopes(given: list[str]) -> list[str]:
    return [one for text in given for one in text.split()] or list(SCOPES)


def _lines(text: str) -> list[str]:
    """One URI a line; only a line feed ends a line, or U+2028 would smuggle a second URI in (E20)."""
    return [line for line in (one.strip("\r\t ") for one in text.split("\n")) if line]


def _taken_over(client: Client) -> dict[str, Any]:
    from django.db import transaction  # noqa: PLC0415 - one use

    from idp import uris  # noqa: PLC0415 - one use

    public = client.client_type == "public" or not client.client_secret
    good = [("redirect", one) for one in _lines(client._redirect_uris)]  # noqa: SLF001 - the registry has no clean reader (E20)
    good += [("post_logout", one) for one in _lines(client._post_logout_redirect_uris)]  # noqa: SLF001
    refused = [one for _, one in good if uris.objection(one, application_type="web")]
    with transaction.atomic():
        policy = ClientPolicy.objects.create(
            client=client, secret_hash="" if public else stored(client.client_secret, kind="client-secret"),
            auth_method="none" if public else "client_secret_basic", application_type="web", scopes=" ".join(SCOPES),
            created_at=clock.now(),
        )
        RegisteredUri.objects.bulk_create(
            RegisteredUri(policy=policy, use=use, uri=one) for use, one in dict.fromkeys(good) if one not in refused
        )
        client.client_secret = client._redirect_uris = client._post_logout_redirect_uris = ""  # noqa: SLF001
        client.save()
    return {"client_id": client.client_id, "name": client.name, "public": public, "left_out": ", ".join(refused)}
