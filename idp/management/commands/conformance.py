"""`manage.py conformance`: prepare Ramet for the OpenID conformance suite (docs/conformance.md)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

from django.core.management.base import CommandError, CommandParser

from derived import clock
from idp import conformance
from idp.clients import BadRegistration
from idp.config import config
from idp.conformance import certificate, fixtures, suite
from idp.management.verbs import Noun, no_arguments


def _load(parser: CommandParser) -> None:
    parser.add_argument(
        "--suite",
        default="https://localhost.emobix.co.uk:8443",
        metavar="URL",
        help="where the suite runs (default: %(default)s)",
    )
    parser.add_argument(
        "--alias",
        default="ramet",
        help="the alias of the suite's configuration, a part of its redirect URIs (default: %(default)s)",
    )
    parser.add_argument(
        "--jwks",
        action="append",
        default=[],
        metavar="CLIENT=FILE",
        help=(
            "private keys that the suite has already, for one of: fapi, fapi2, signing, signing2 "
            "(default: made, and written into the configuration)"
        ),
    )


class Command(Noun):
    """The verbs for the conformance suite."""

    help = (
        "The OpenID conformance suite: load (clients, a person, TLS, the suite's configuration), plans. Loopback only."
    )
    unguarded = frozenset({"plans"})
    verbs: ClassVar = {
        "load": (
            (
                "Register the suite's static clients and a person of whom everything is known; write a "
                "configuration per plan."
            ),
            _load,
        ),
        "plans": ("The plans, with their variants, as the suite's runner takes them.", no_arguments),
    }
    reads: ClassVar = frozenset({"plans"})

    def load(self, options: dict[str, Any]) -> dict[str, Any]:
        """Register the suite's clients and person, and write its configurations."""
        if not conformance.is_on() or not config().is_https:
            raise CommandError(
                "This is for the profile on loopback: set "
                "DJANGO_SETTINGS_MODULE=idp.conformance.settings and RAMET_ISSUER=https://localhost:9443"
            )
        now, folder = clock.now(), config().var / "conformance"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        fixtures.person(now=now)
        try:
            found = fixtures.load(options["suite"], options["alias"], keys=_keys(options["jwks"]), now=now)
        except BadRegistration as bad:
            raise CommandError(str(bad)) from bad
        chain, key, authority = certificate.made(folder, config().host, now=now)
        written = {}
        for plan, document in suite.configurations(options["suite"], options["alias"], found).items():
            path = folder / f"{plan}.json"
            path.touch(mode=0o600)
            path.write_text(json.dumps(document, indent=2))
            written[suite.PLANS[plan]] = str(path)
        return {
            "configurations": written,
            "authority": str(authority),
            "person": {"username": conformance.PERSON, "password": conformance.PASSWORD, "code": conformance.CODE},
            "serve": (
                f"manage.py serve --port {urlsplit(config().issuer).port or 443} --tls-cert {chain} --tls-key {key}"
            ),
        }

    def plans(self, _options: dict[str, Any]) -> list[dict[str, str]]:
        """List the test plans."""
        return [{"name": name, "plan": plan} for name, plan in suite.PLANS.items()]


def _keys(given: list[str]) -> dict[str, Any]:
    found = {}
    for one in given:
        name, _, path = one.partition("=")
        try:
            found[name] = json.loads(Path(path).read_text())
        except (OSError, ValueError) as error:
            raise CommandError(f"--jwks {one}: {type(error).__name__}; give it as fapi=keys.json") from error
    return found
