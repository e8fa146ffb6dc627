"""System checks that refuse an unsafe configuration at start-up (R31), each with its remedy."""

from __future__ import annotations

import os
import sys

from django.apps import apps
from django.conf import settings
from django.core import checks
from django.core.checks import Error, register
from django.db import DatabaseError, connection
from django.urls import URLPattern, URLResolver, get_resolver

from idp import renamed
from idp.certificates import configuration
from idp.config import config, is_loopback, unknown_variables
from idp.policies import attestation, fido_metadata
from idp.policies import issuance as rulebook

_SQLITE_FULL = 2  # PRAGMA synchronous
_NEEDED_SQLITE = {"transaction_mode": "IMMEDIATE"}
_LEAST_BUSY_SECONDS = 5
_MOST_WORDS = 300


@register
def engine_views_are_unreachable(**_context: object) -> list[Error]:
    """No view and no admin class of django-oidc-provider is reachable; Authlib does not accept plain http by itself."""
    found: list[Error] = []
    if _routes_to("oidc_provider", get_resolver()):
        hint = "Remove oidc_provider.urls from your URLconf: its views can be talked out of every gate."
        found.append(Error("a view of django-oidc-provider is routed", hint=hint, id="ramet.E001"))
    if apps.is_installed("django.contrib.admin"):
        from django.contrib import admin  # noqa: PLC0415 - only if it is installed

        registered = [model for model in admin.site._registry if model._meta.app_label == "oidc_provider"]  # noqa: SLF001
        if registered or "oidc_provider.admin" in sys.modules:
            hint = "Unregister Token, Code, RSAKey and Client from the admin: it shows bearer tokens and private keys."
            found.append(Error("an admin class of django-oidc-provider is registered", hint=hint, id="ramet.E002"))
    if os.environ.get("AUTHLIB_INSECURE_TRANSPORT"):
        hint = "Unset AUTHLIB_INSECURE_TRANSPORT; plain http is allowed on loopback without it."
        found.append(Error("Authlib is told to accept plain http", hint=hint, id="ramet.E003"))
    return found


def _routes_to(package: str, resolver: URLResolver) -> bool:
    for entry in resolver.url_patterns:
        if isinstance(entry, URLResolver):
            if getattr(entry.urlconf_module, "__name__", "").startswith(package) or _routes_to(package, entry):
                return True
        elif isinstance(entry, URLPattern) and getattr(entry.callback, "__module__", "").startswith(package):
            return True
    return False


@register
def settings_are_safe(**_context: object) -> list[Error]:
    """Require the settings on which the design rests."""
    found: list[Error] = []
    database = settings.DATABASES["default"]
    if database.get("ATOMIC_REQUESTS"):
        found.append(
            Error(
                "ATOMIC_REQUESTS is on",
                hint="Turn it off: spent means spent, also when the answer is an error.",
                id="ramet.E010",
            )
        )
    if settings.DEBUG:
        found.append(
            Error(
                "DEBUG is on", hint="Turn it off: debug pages show secrets. Use RAMET_LOG_LEVEL=DEBUG.", id="ramet.E011"
            )
        )
    if not config().is_local and not config().is_https:
        found.append(Error("the issuer is not https", hint="Set RAMET_ISSUER to an https URL.", id="ramet.E012"))
    if config().is_https and not (
        settings.SESSION_COOKIE_SECURE and settings.SESSION_COOKIE_NAME.startswith("__Host-")
    ):
        found.append(
            Error(
                "the session cookie is not __Host- and Secure", hint="Leave the cookie settings alone.", id="ramet.E013"
            )
        )
    if settings.DATABASES["default"]["ENGINE"].endswith("sqlite3"):
        options = database.get("OPTIONS", {})
        if options.get("transaction_mode") != "IMMEDIATE" or options.get("timeout", 0) < _LEAST_BUSY_SECONDS:
            hint = "Leave OPTIONS as idp/settings.py sets them: BEGIN IMMEDIATE is the account lock on SQLite."
            found.append(
                Error("SQLite is not in IMMEDIATE mode with a busy timeout of 5 s or more", hint=hint, id="ramet.E014")
            )
    return found


@register
def the_conformance_profile_is_on_loopback(**_context: object) -> list[Error]:
    """The profile with a fixed second factor runs over https on loopback, and starts nowhere else."""
    if not getattr(settings, "RAMET_CONFORMANCE", False) or (is_loopback(config().host) and config().is_https):
        return []
    hint = (
        "It is for the OpenID conformance suite on this machine: set RAMET_ISSUER to https://localhost:PORT, "
        "or use idp.settings."
    )
    return [Error("the profile conformance is on, and the issuer is not https on loopback", hint=hint, id="ramet.E060")]


@register
def database_is_durable(**_context: object) -> list[Error]:
    """Require durable commits of the database, so that an acknowledged revocation survives a crash (R3)."""
    try:
        wrong = _sqlite_faults() if connection.vendor == "sqlite" else _postgresql_faults()
    except DatabaseError:
        return []  # not reachable yet: readiness reports it, and no request can be answered without it
    return [Error(text, hint=hint, id="ramet.E020") for text, hint in wrong]


def _sqlite_faults() -> list[tuple[str, str]]:
    with connection.cursor() as cursor:
        mode = cursor.execute("PRAGMA journal_mode").fetchone()[0]  # SQLite only
        synchronous = cursor.execute("PRAGMA synchronous").fetchone()[0]  # SQLite only
        busy = cursor.execute("PRAGMA busy_timeout").fetchone()[0]  # SQLite only
    found = []
    memory = mode == "memory"  # a test database: there is nothing to survive
    if mode != "wal" and not memory:
        found.append(
            (f"SQLite's journal_mode is {mode}", "It must be WAL: put the database on a file system that supports it.")
        )
    if synchronous < _SQLITE_FULL and not memory:
        found.append(("SQLite's synchronous is below FULL", "Leave init_command as idp/settings.py sets it."))
    if busy < _LEAST_BUSY_SECONDS * 1000:
        found.append(("SQLite's busy_timeout is below 5 s", "Leave timeout as idp/settings.py sets it."))
    return found


def _postgresql_faults() -> list[tuple[str, str]]:
    with connection.cursor() as cursor:
        cursor.execute("SHOW synchronous_commit")
        commit = cursor.fetchone()[0]
        cursor.execute("SHOW default_transaction_isolation")
        isolation = cursor.fetchone()[0]
    found = []
    if commit == "off":
        found.append(
            ("PostgreSQL's synchronous_commit is off", "Turn it on: an acknowledged revocation must survive a crash.")
        )
    if isolation != "read committed":
        found.append(
            (
                f"PostgreSQL's default isolation is {isolation}",
                "Set it to read committed: the account lock is built for it.",
            )
        )
    return found


@register
def issuance_policy_is_readable(**_context: object) -> list[Error]:
    """Report a mistake in `var/issuance.toml` at start-up, not at the first issuance."""
    try:
        rulebook.read(rulebook.path())
    except (ValueError, OSError) as error:
        hint = (
            "Correct it; docs/operating.md, What may be issued, lists what may stand there. Until then "
            "nothing is issued."
        )
        return [
            Error(f"{rulebook.path().name} is not understood: {str(error)[:_MOST_WORDS]}", hint=hint, id="ramet.E050")
        ]
    return []


@register
def attestation_policy_is_readable(**_context: object) -> list[Error]:
    """Report a mistake in `RAMET_VAR/attestation` at start-up, not at the first phone."""
    try:
        attestation.read()
    except (ValueError, OSError) as error:
        hint = "Correct or remove it; docs/operating.md, Proof of hardware, lists what may lie there."
        return [
            Error(f"RAMET_VAR/attestation is not understood: {str(error)[:_MOST_WORDS]}", hint=hint, id="ramet.E051")
        ]
    return []


@register
def files_have_current_names(**_context: object) -> list[checks.Warning]:
    """Warn of each operator's file that has its former name; the next release does not read it."""
    var = config().var
    places = {
        "issuance.toml": var,
        "attestation.toml": attestation.folder(),
        "authenticators.toml": fido_metadata.folder(),
        "validation.toml": configuration.folder(),
    }
    told = [renamed.deprecated(folder, name) for name, folder in places.items()]
    return [checks.Warning(text, hint="Rename the file, or remove it.", id="ramet.W048") for text in told if text]


@register
def every_variable_is_read(**_context: object) -> list[checks.Warning]:
    """Warn of each `RAMET_…` variable that nothing reads: a mistyped name would leave its default."""
    return [
        checks.Warning(
            f"nothing reads {name}",
            hint=f"Is it {like}?" if like else "docs/settings.md lists the variables; remove this one.",
            id="ramet.W074",
        )
        for name, like in unknown_variables().items()
    ]
