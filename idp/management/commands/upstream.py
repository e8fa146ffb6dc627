"""`manage.py upstream`: upstream OpenID providers, and the level up to which each is trusted."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, ClassVar

from django.core.management.base import CommandError, CommandParser
from rich.console import Console
from rich.progress import track

from derived import clock
from derived.changes import lower_level
from derived.errors import Reason, Refused
from derived.ledger.locking import under_lock
from derived.models import Credential, UpstreamIdentity
from derived.rules.assurance import AAL
from derived.rules.lifecycle import LIVING
from idp.management.verbs import Noun, Option, name_argument, no_arguments
from idp.models import Upstream
from idp.upstreams import documents, presets, registry, trip
from idp.upstreams.registry import BadUpstream, UpstreamRegistration
from scim.access.roles import Verb

if TYPE_CHECKING:
    from derived.models import Account

_SECRET = "RAMET_UPSTREAM_SECRET"  # noqa: S105 - a name
_ROW = 2


def _add(parser: CommandParser) -> None:
    parser.add_argument("name", help="its slug, part of its callback address, like login-gov")
    parser.add_argument("--issuer", required=True, metavar="URL", help="exactly as the upstream writes it")
    parser.add_argument("--client-id", required=True)
    parser.add_argument("--label", default="", help="the name that people see, like 'Login.gov'; default: the slug")
    parser.add_argument(
        "--secret-stdin",
        action="store_true",
        help=f"read our secret there from standard input (or set {_SECRET}); never in the command line",
    )
    parser.add_argument("--auth-method", choices=registry.AUTH_METHODS, help="the client authentication method there")
    parser.add_argument(
        "--preset", choices=sorted(presets.PRESETS), default="", help="see: manage.py upstream preset NAME"
    )
    parser.add_argument("--scope", default="", help="default: openid")
    parser.add_argument("--acr-values", default="", help="the levels to ask for, in the upstream's words")
    parser.add_argument(
        "--level",
        action="append",
        default=[],
        metavar="VALUE=AAL[/IAL]",
        help="the level of one exact value; may be given several times; other values have no level",
    )
    parser.add_argument(
        "--phishing-resistant", action="append", default=[], metavar="VALUE", help="a value that also says so"
    )
    parser.add_argument(
        "--aal-claim", default="", help="the claim that says the level, instead of acr; NAME[] for a list"
    )
    parser.add_argument("--ial-claim", default="", help="the claim that says the proofing, instead of acr")
    parser.add_argument(
        "--amr", action="append", default=[], metavar="THEIRS=OURS", help="a value of amr that is passed on"
    )
    parser.add_argument(
        "--alg", action="append", default=[], choices=registry.ALGS, help="signatures that are accepted"
    )
    parser.add_argument(
        "--host",
        action="append",
        default=[],
        metavar="HOST[:PORT]",
        help="where its endpoints are, beside the issuer's host",
    )
    parser.add_argument("--cap", type=int, choices=[1, 2, 3], help="the most that it is trusted for; default 2")


def _cap(parser: CommandParser) -> None:
    parser.add_argument("name", help="its slug")
    parser.add_argument(
        "--aal", type=int, choices=[1, 2, 3], required=True, help="the most that it is trusted for from now on"
    )


class Command(Noun):
    """The verbs for upstreams."""

    help = "Upstream OpenID providers: add, list, show, check, cap, disable, enable, preset."
    configures = True
    unguarded = frozenset({"preset"})
    verbs: ClassVar = {
        "add": ("Trust another OpenID provider, exactly as far as you say.", _add),
        "list": ("All upstreams.", no_arguments),
        "show": ("One upstream, whole.", name_argument("its slug")),
        "check": ("Fetch its metadata and keys now.", name_argument("its slug")),
        "cap": ("Trust it for less, or for more; what rests on it falls at once, and never rises.", _cap),
        "disable": (
            "No sign-in through it from now on; every link is suspended, and what grew from it is capped.",
            name_argument("its slug"),
        ),
        "enable": (
            "Allow sign-ins through it again; restores nothing that was lowered or suspended.",
            name_argument("its slug"),
        ),
        "preset": (
            "Known facts of a kind of provider.",
            name_argument(f"one of {', '.join(sorted(presets.PRESETS))}"),
        ),
    }

    methods: ClassVar = {"list": "all", "check": "ask"}
    reads: ClassVar = frozenset({"list", "show", "check", "preset"})
    asks: ClassVar = {"disable": Verb.DISABLE}

    def add(self, options: dict[str, Any]) -> dict[str, Any]:
        """Register an upstream."""
        known = presets.preset_of(options["preset"])
        wanted = UpstreamRegistration(
            slug=options["name"],
            name=options["label"] or options["name"],
            issuer=options["issuer"],
            client_id=options["client_id"],
            secret=sys.stdin.readline().strip() if options["secret_stdin"] else os.environ.get(_SECRET, ""),
            auth_method=options["auth_method"] or known.auth_method,
            scope=options["scope"] or known.scope,
            acr_values=options["acr_values"] or known.acr_values,
            preset=options["preset"],
            levels={**known.levels, **dict(_level(one) for one in options["level"])},
            aal_claim=options["aal_claim"] or known.aal_claim,
            ial_claim=options["ial_claim"] or known.ial_claim,
            amr={**known.amr, **dict(_pair(one) for one in options["amr"])},
            phishing_resistant=(*known.phishing_resistant, *options["phishing_resistant"]),
            algs=tuple(options["alg"]) or known.algs,
            cap=options["cap"] or known.cap,
            hosts=tuple(options["host"]),
        )
        try:
            row = registry.add(wanted, now=clock.now())
        except BadUpstream as bad:
            raise CommandError(str(bad)) from bad
        return {"slug": row.slug, "register_this_redirect_uri_there": trip.callback_uri(row), "cap": row.cap}

    def all(self, _options: dict[str, Any]) -> list[dict[str, Any]]:
        """List the upstreams."""
        return [
            {
                "slug": one.slug,
                "name": one.name,
                "issuer": one.issuer,
                "cap": one.cap,
                "links": _links(one).count(),
                "disabled": one.disabled_at,
            }
            for one in Upstream.objects.order_by("slug")
        ]

    def show(self, options: dict[str, Any]) -> dict[str, Any]:
        """Show one upstream, without its secret."""
        row = _found(options)
        return {
            "slug": row.slug,
            "name": row.name,
            "issuer": row.issuer,
            "client_id": row.client_id,
            "redirect_uri": trip.callback_uri(row),
            "auth_method": row.auth_method,
            "scope": row.scope,
            "acr_values": row.acr_values,
            "preset": row.preset,
            "cap": row.cap,
            "levels": row.levels,
            "aal_claim": row.aal_claim or "acr",
            "ial_claim": row.ial_claim or "acr",
            "amr": row.amr,
            "phishing_resistant": row.phishing_resistant,
            "algs": row.algs,
            "hosts": sorted(registry.hosts(row)),
            "links": _links(row).count(),
            "metadata_at": row.metadata_at,
            "disabled": row.disabled_at,
        }

    def ask(self, options: dict[str, Any]) -> dict[str, Any]:
        """Fetch an upstream's metadata and keys now."""
        row, now = _found(options), clock.now()
        row.metadata, row.jwks = {}, {}
        row.metadata_at = row.jwks_at = None
        try:
            known = documents.metadata(row, now=now)
            keys = documents.fetch_keys(row, now=now)
        except Refused as refused:
            message = (
                "Its metadata names another issuer, or addresses on hosts that are not its own "
                "(see --host). The log says which."
            )
            raise CommandError(message) from refused
        return {
            "issuer": known["issuer"],
            "authorization_endpoint": known["authorization_endpoint"],
            "keys": len(keys["keys"]),
        }

    def cap(self, options: dict[str, Any]) -> str:
        """Cap an upstream's level: for new logins at once, then for each link, one account after the other."""
        row, to = _found(options), AAL(options["aal"])
        Upstream.objects.filter(slug=row.slug).update(cap=int(to))
        links, suspended = self._lower(row, to, Reason.UPSTREAM_CAPPED)
        return (
            f"{row.slug} is trusted for AAL{int(to)}; {links} links looked at, {suspended} "
            "credentials suspended until reviewed"
        )

    def disable(self, options: dict[str, Any]) -> str:
        """Disable an upstream."""
        row = _found(options)
        Upstream.objects.filter(slug=row.slug, disabled_at__isnull=True).update(disabled_at=clock.now())
        links, suspended = self._lower(row, AAL.NONE, Reason.UPSTREAM_DISABLED)
        return f"{row.slug} is disabled; {links} links looked at, {suspended} credentials suspended until reviewed"

    def enable(self, options: dict[str, Any]) -> str:
        """Enable an upstream for new logins; lowered and suspended credentials stay so."""
        row = _found(options)
        Upstream.objects.filter(slug=row.slug).update(disabled_at=None)
        return (
            f"{row.slug} is enabled. Links that were suspended stay so until you lift them "
            "(manage.py credential lift), at the level that they fell to."
        )

    def preset(self, options: dict[str, Any]) -> dict[str, Any]:
        """Print the known upstreams."""
        if options["name"] not in presets.PRESETS:
            message = f"There is no preset {options['name']}: {', '.join(sorted(presets.PRESETS))}"
            raise CommandError(message)
        known = presets.preset_of(options["name"])
        return {
            "acr_values": known.acr_values,
            "aal_claim": known.aal_claim or "acr",
            "ial_claim": known.ial_claim or "acr",
            "levels": {value: f"AAL{aal} IAL{ial}" for value, (aal, ial) in known.levels.items()},
            "phishing_resistant": list(known.phishing_resistant),
            "amr": known.amr,
            "algs": list(known.algs),
            "cap": known.cap,
            "auth_method": known.auth_method,
            "says_auth_time": known.says_auth_time,
        }

    def _lower(self, row: Upstream, to: AAL, because: Reason) -> tuple[int, int]:
        """Lower each link under its account's lock; a second run continues where the first stopped."""
        found = list(_links(row).select_related("credential"))
        console = Console(file=sys.stderr)
        suspended = 0
        for link in track(
            found, description=f"Lowering {row.slug}", console=console, transient=True, disable=not console.is_terminal
        ):

            def work(account: Account, credential: Credential = link.credential) -> int:
                return lower_level.lower(account, credential, to=to, because=because, now=clock.now(), actor=self.actor)

            suspended += under_lock(link.credential.account_id, work)
        return len(found), suspended


def _links(row: Upstream) -> Option:
    return UpstreamIdentity.objects.filter(issuer=row.issuer, credential__state__in=LIVING).order_by(
        "credential__created_at"
    )


def _found(options: dict[str, Any]) -> Upstream:
    row = Upstream.objects.filter(slug=options["name"]).first()
    if row is None:
        message = f"There is no upstream {options['name']}. See: manage.py upstream list"
        raise CommandError(message)
    return row


def _pair(text: str) -> tuple[str, str]:
    value, separator, ours = text.rpartition("=")
    if not separator or not value or not ours:
        message = f"{text}: write it as THEIRS=OURS."
        raise CommandError(message)
    return value, ours


def _level(text: str) -> tuple[str, tuple[int, int]]:
    """`value=2` or `value=2/2`; the value may contain equals signs."""
    value, worth = _pair(text)
    numbers = worth.split("/")
    if len(numbers) > _ROW or not all(one.isascii() and one.isdigit() for one in numbers):
        message = f"{text}: write it as VALUE=AAL or VALUE=AAL/IAL."
        raise CommandError(message)
    return value, (int(numbers[0]), int(numbers[1]) if len(numbers) == _ROW else 0)
