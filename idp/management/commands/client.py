"""`manage.py client`: relying parties."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

from django.core.management.base import CommandError, CommandParser
from django.urls import reverse

from derived import clock
from idp import clients
from idp.clients import SCOPES, BadRegistration, Registration, registry
from idp.config import config
from idp.management import presets, terms
from idp.management.verbs import Noun, duration, name_argument, no_arguments
from idp.models import ClientPolicy, RegistrationToken
from idp.secrets import hash_secret, opaque
from scim.access.roles import Verb

if TYPE_CHECKING:
    from idp.clients import RelyingParty

_MOST_USES, _LONGEST_NAME = 1000, 80
# What makes a client weaker than our own rules: said first by `show`, and only where it is on.
_EXCUSED = {
    "pkce_optional": "PKCE (logins without it are FAL1)", "nonce_optional": "the nonce (logins without it are FAL1)",
}  # fmt: skip


def _add(parser: CommandParser) -> None:
    parser.add_argument("name", help="the name that people see, like 'Travel desk'")
    parser.add_argument("--client-id", default="", help="only to keep an id that exists elsewhere; random by default")
    parser.add_argument("--public", action="store_true", help="without a secret")
    parser.add_argument("--native", action="store_true", help="an installed app (RFC 8252); public")
    parser.add_argument(
        "--browser",
        action="store_true",
        help="an app that runs in the browser, from the origin of its redirect URI; public",
    )
    parser.add_argument("--pairwise", action="store_true", help="know each person by a subject of its own")
    parser.add_argument("--preset", choices=sorted(presets.PRESETS), default="", help="for this library (docs/apps.md)")
    parser.add_argument(
        "--app-url",
        default="",
        metavar="URL",
        help="with --preset: where the application is, like https://app.example; its addresses follow from it",
    )
    terms.add_options(parser)


def _set(parser: CommandParser) -> None:
    parser.add_argument("name", metavar="client_id", help="its client_id")
    parser.add_argument("--name", dest="new_name", help="the name that people see; they are asked for consent again")
    terms.add_options(parser)


def _token(parser: CommandParser) -> None:
    parser.add_argument("name", metavar="label", help="for whom it is; 1 to 80 characters")
    parser.add_argument("--uses", type=int, default=1, help="how many clients it may register: 1 to 1000")
    parser.add_argument(
        "--life",
        type=duration,
        default=timedelta(hours=24),
        metavar="SPAN",
        help="how long it serves, like 2h; default: a day",
    )


class Command(Noun):
    """The verbs for clients."""

    help = "Relying parties: add, set, list, show, rotate-secret, token, disable, enable, import."
    configures = True
    verbs: ClassVar = {
        "add": ("Register a client; its secret is shown once.", _add),
        "set": (
            "Change what is given; the rules are asked of the whole client as it will be. `--X none` empties a list.",
            _set,
        ),
        "list": ("All clients.", no_arguments),
        "show": ("One client, whole, and what it is excused from.", name_argument("its client_id")),
        "rotate-secret": ("Give a client a new secret; the old one ends now.", name_argument("its client_id")),
        "rotate": ("The same as rotate-secret.", name_argument("its client_id")),
        "token": (
            "Make an initial access token: its bearer may register clients (RFC 7591). Without one nobody can.",
            _token,
        ),
        "disable": ("Refuse a client from now on, its tokens too.", name_argument("its client_id")),
        "enable": ("Let a disabled client in again.", name_argument("its client_id")),
        "import": (
            (
                "Take over the clients that django-oidc-provider's own tables hold: their secrets are "
                "hashed and cleared there."
            ),
            no_arguments,
        ),
    }

    methods: ClassVar = {"list": "all", "import": "take_over", "set": "change", "rotate-secret": "rotate"}
    asks: ClassVar = {"disable": Verb.DISABLE}

    def add(self, options: dict[str, Any]) -> dict[str, Any]:
        """Register a client."""
        preset = presets.PRESETS.get(options["preset"])
        try:
            url = presets.base_url(options["app_url"]) if options["app_url"] else ""
            wanted = Registration(**_registration(options, preset, url=url))
            party, secret = clients.register(wanted, now=clock.now())
        except BadRegistration as bad:
            raise CommandError(str(bad)) from bad
        found = {**_answer(party, secret), **_to_set(party)}
        return {**found, **_block(options["preset"], found, url=url)} if preset else found

    def change(self, options: dict[str, Any]) -> dict[str, Any]:
        """Change a client's terms."""
        changes = terms.given_fields(options)
        if options["new_name"] is not None:
            changes["name"] = options["new_name"]
        if "auth_method" in changes:
            changes["public"] = changes["auth_method"] == "none"
        if not changes:
            message = "Nothing to change: say what, like --min-aal 2. See: manage.py client set --help"
            raise CommandError(message)
        try:
            party, secret = clients.change(self._party(options), now=clock.now(), **changes)
        except BadRegistration as bad:
            raise CommandError(str(bad)) from bad
        return {**_answer(party, secret), **{name: getattr(clients.registration_of(party), name) for name in changes}}

    def all(self, _options: dict[str, Any]) -> list[dict[str, Any]]:
        """List the clients."""
        rows = ClientPolicy.objects.select_related("client").order_by("client__name")
        return [
            {
                "name": one.client.name,
                "client_id": one.client.client_id,
                "type": one.application_type,
                "authentication": one.auth_method,
                "min_aal": one.min_aal,
                "disabled": one.disabled_at,
            }
            for one in rows
        ]

    def show(self, options: dict[str, Any]) -> dict[str, Any]:
        """Show one client, its exemptions first."""
        party = self._party(options)
        policy = party.policy
        found = asdict(clients.registration_of(party))
        found.pop("public")
        excused = [words for name, words in _EXCUSED.items() if found.pop(name)]
        known = {
            "name": found.pop("name"),
            "client_id": found.pop("client_id"),
            "type": found.pop("application_type"),
            "authentication": found.pop("auth_method"),
            "excused_from": excused,
            "scopes": " ".join(found.pop("scopes")),
            "redirect_uris": found.pop("redirect_uris"),
            "post_logout_redirect_uris": found.pop("post_logout_uris"),
            "dpop_nonce": party.is_public if found.pop("dpop_nonce") is None else policy.dpop_nonce,
        }
        return {
            **known,
            **found,
            "origins": policy.origins,
            "version": policy.version,
            "created": policy.created_at,
            "disabled": policy.disabled_at,
        }

    def rotate(self, options: dict[str, Any]) -> dict[str, Any]:
        """Issue a new secret."""
        party = self._party(options)
        if party.is_public:
            message = "This client is public: it has no secret."
            raise CommandError(message)
        try:
            return {"client_id": party.client_id, "client_secret": clients.rotate_secret(party)}
        except BadRegistration as bad:
            raise CommandError(str(bad)) from bad

    def token(self, options: dict[str, Any]) -> dict[str, Any]:
        """Issue an initial access token (RFC 7591), which is shown once."""
        if not 1 <= options["uses"] <= _MOST_USES or not 0 < len(options["name"]) <= _LONGEST_NAME:
            message = "--uses is 1 to 1000, and the label 1 to 80 characters"
            raise CommandError(message)
        token, now = opaque(), clock.now()
        RegistrationToken.objects.create(
            token_hash=hash_secret(token, kind="initial-access-token"),
            label=options["name"],
            uses_left=options["uses"],
            created_at=now,
            expires_at=now + options["life"],
        )
        return {
            "initial_access_token": token,
            "uses": options["uses"],
            "expires": now + options["life"],
            "endpoint": config().issuer + "/oidc/register",
        }

    def disable(self, options: dict[str, Any]) -> str:
        """Disable a client."""
        ClientPolicy.objects.filter(pk=self._party(options).policy.pk).update(disabled_at=clock.now())
        return f"{options['name']} is disabled"

    def enable(self, options: dict[str, Any]) -> str:
        """Enable a client again."""
        ClientPolicy.objects.filter(pk=self._party(options).policy.pk).update(disabled_at=None)
        return f"{options['name']} is enabled"

    def take_over(self, _options: dict[str, Any]) -> list[dict[str, Any]]:
        """Import the registry's clients without a policy; a URI that may not be registered is left out and named."""
        return registry.take_over(now=clock.now())

    def _party(self, options: dict[str, Any]) -> RelyingParty:
        found = clients.find_in_any_state(options["name"])
        if found is None:
            message = f"There is no client {options['name']}. See: manage.py client list"
            raise CommandError(message)
        return found


def _registration(options: dict[str, Any], preset: presets.Preset | None, *, url: str) -> dict[str, Any]:
    """The fields of a new client: those of its preset, and over them those that are given.

    Raises: CommandError.
    """
    given = terms.given_fields(options)
    if url and preset is None:
        message = "--app-url goes with --preset; without one, say --redirect-uri."
        raise CommandError(message)
    if preset is not None and not url and not given.get("redirect_uris"):
        message = f"Say where the application is: --app-url https://app.example (its callback is {preset.callback})"
        raise CommandError(message)
    kind = "native" if options["native"] else "browser" if options["browser"] else "web"
    public = {"public": True} if options["public"] or kind != "web" else {}
    said = {
        "public": False,
        **(preset.registration(url) if preset else {}),
        **({"application_type": kind} if kind != "web" else {}),
        **public,
        "name": options["name"],
        "client_id": options["client_id"],
        "subject_type": "pairwise" if options["pairwise"] else "public",
        **given,
    }
    return {**said, "public": said["public"] or said.get("auth_method") == "none"}


def _block(name: str, made: dict[str, Any], *, url: str) -> dict[str, Any]:
    """The settings of a preset's library, with the values of the client that was made."""
    redirect_uri = made["redirect_uris"][0]
    values = {"issuer": made["issuer"], "client_id": made["client_id"], "client_secret": made.get("client_secret", "")}
    base = url or "{0.scheme}://{0.netloc}".format(urlsplit(redirect_uri))
    return {"preset": name, "settings": presets.PRESETS[name].block(**values, redirect_uri=redirect_uri, url=base)}


def _answer(party: RelyingParty, secret: str | None) -> dict[str, Any]:
    shown = {"client_secret": secret} if secret else {}
    return {"client_id": party.client_id, **shown, "redirect_uris": party.redirect_uris()}


def _to_set(party: RelyingParty) -> dict[str, Any]:
    """The values that an application's library asks for, and the rules that it must follow here (docs/apps.md)."""
    policy = party.policy
    rules = {
        "PKCE with S256": party.needs_pkce,
        "a nonce in each request": party.needs_nonce,
        "pushed authorization requests": party.must_push,
        "signed requests": policy.request_required,
        "a DPoP proof at the token endpoint": policy.dpop_required,
    }
    return {
        "issuer": config().issuer,
        "discovery": config().issuer + reverse("discovery"),
        "scope": " ".join(one for one in policy.scopes.split() if one in SCOPES),
        "token_endpoint_auth_method": policy.auth_method,
        "id_token_signed_response_alg": policy.id_token_alg,
        "required": [words for words, is_on in rules.items() if is_on],
        "claims": "in the ID token and at userinfo" if policy.claims_in_id_token else "at userinfo",
    }
