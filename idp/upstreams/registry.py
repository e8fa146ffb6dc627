"""The upstreams that an operator trusts: registration, secret, permitted hosts, and whether each is enabled."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from derived.errors import Reason, Refused
from derived.rules.assurance import AAL, IAL
from idp.config import config, is_loopback
from idp.keys import wrapper
from idp.models import Upstream
from idp.upstreams.presets import PRESETS
from idp.uris import is_plain

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

ALGS = ("ES256", "RS256", "PS256", "EdDSA")  # whatever its metadata lists (C10): no `none`, no HMAC
AUTH_METHODS = ("client_secret_basic", "client_secret_post", "none")
_SECRET = "upstream-secret"  # noqa: S105 - a purpose
_SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,38}")
_HOST = re.compile(r"[a-z0-9.-]+(:[0-9]{1,5})?")
_AMR = re.compile(r"[a-z]{2,12}")


class BadUpstream(Exception):
    """The fault of a registration, in words for the operator."""


@dataclass(frozen=True, kw_only=True)
class UpstreamRegistration:
    """The registration that an operator requests; the fields are those of `Upstream`. levels: {value: (AAL, IAL)}."""

    slug: str
    name: str
    issuer: str
    client_id: str
    secret: str = ""
    auth_method: str = "client_secret_basic"
    scope: str = "openid"
    acr_values: str = ""
    preset: str = ""
    levels: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    aal_claim: str = ""
    ial_claim: str = ""
    amr: Mapping[str, str] = field(default_factory=dict)
    phishing_resistant: tuple[str, ...] = ()
    algs: tuple[str, ...] = ALGS
    cap: int = 2
    hosts: tuple[str, ...] = ()


def add(wanted: UpstreamRegistration, *, now: datetime) -> Upstream:
    """Register an upstream.

    Raises: BadUpstream.
    """
    if words := _objection(wanted):
        raise BadUpstream(words)
    if Upstream.objects.filter(slug=wanted.slug).exists() or Upstream.objects.filter(issuer=wanted.issuer).exists():
        raise BadUpstream("There is an upstream of that slug or issuer already.")
    secret = wrapper().wrap(wanted.secret.encode(), purpose=_SECRET, owner=wanted.slug) if wanted.secret else None
    return Upstream.objects.create(
        slug=wanted.slug,
        name=wanted.name,
        issuer=wanted.issuer,
        client_id=wanted.client_id,
        secret=secret,
        auth_method=wanted.auth_method,
        scope=wanted.scope,
        acr_values=wanted.acr_values,
        preset=wanted.preset,
        levels={value: list(row) for value, row in wanted.levels.items()},
        aal_claim=wanted.aal_claim,
        ial_claim=wanted.ial_claim,
        amr=dict(wanted.amr),
        phishing_resistant=list(wanted.phishing_resistant),
        algs=list(wanted.algs),
        cap=wanted.cap,
        hosts=list(wanted.hosts),
        created_at=now,
    )


def _objection(wanted: UpstreamRegistration) -> str:  # noqa: C901 - a list of rules
    """The fault of a registration, or ""."""
    if not _SLUG.fullmatch(wanted.slug):
        return "The slug is made of a-z, 0-9 and hyphens, 39 at most."
    if (
        not is_plain(wanted.issuer)
        or not safe_url(wanted.issuer)
        or urlsplit(wanted.issuer).query
        or "#" in wanted.issuer
    ):
        return (
            "The issuer is an https:// URL without query or fragment (http:// only on loopback), exactly as "
            "the upstream writes it."
        )
    if wanted.issuer == config().issuer:
        return "The issuer is this Ramet itself."
    if wanted.auth_method not in AUTH_METHODS or (wanted.auth_method != "none") != bool(wanted.secret):
        return "client_secret_basic and client_secret_post take a secret; none takes none."
    if not wanted.client_id or "openid" not in wanted.scope.split():
        return "A client_id is needed, and the scope must have openid in it."
    if not wanted.algs or not set(wanted.algs) <= set(ALGS):
        return f"Signatures are accepted in {', '.join(ALGS)} only."
    if wanted.cap not in {int(one) for one in AAL if one}:
        return "The cap is 1, 2 or 3."
    if wanted.preset and wanted.preset not in PRESETS:
        return f"There is no preset {wanted.preset}: {', '.join(PRESETS)}."
    if any(row[0] not in set(AAL) or row[1] not in set(IAL) for row in wanted.levels.values()):
        return "A level is an AAL of 0 to 3 and an IAL of 0 to 3."
    if "amr" in {wanted.aal_claim.removesuffix("[]"), wanted.ial_claim.removesuffix("[]")}:
        return "amr never says a level (C10): name another claim."
    if not all(_AMR.fullmatch(ours) for ours in wanted.amr.values()):
        return "What amr is mapped to are values of RFC 8176."
    if not all(_HOST.fullmatch(one) for one in wanted.hosts):
        return "A host is like login.example.org or login.example.org:8443."
    return ""


def safe_url(url: object) -> bool:
    """True if a URL may be an upstream's: https, or http between processes of one machine in development."""
    if not isinstance(url, str) or not is_plain(url):
        return False
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname or "", parts.port
    except ValueError:
        return False
    if not host or parts.username is not None or parts.password is not None:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host) and config().is_local)


def netloc(url: str) -> str:
    """`host` or `host:port` of an address, as `idp.outbound` compares it."""
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    return f"{host}:{parts.port}" if parts.port else host


def hosts(upstream: Upstream) -> frozenset[str]:
    """The hosts of an upstream: its issuer's, and those that the operator listed beside it."""
    return frozenset({netloc(upstream.issuer), *upstream.hosts})


def secret(upstream: Upstream) -> str | None:
    """Ramet's client secret at the upstream, in clear.

    Raises: Unavailable(KEY_UNAVAILABLE).
    """
    if upstream.secret is None:
        return None
    return wrapper().unwrap(bytes(upstream.secret), purpose=_SECRET, owner=upstream.slug).decode()


def enabled() -> list[Upstream]:
    """The upstreams that people may sign in at, by name."""
    return list(Upstream.objects.filter(disabled_at__isnull=True).order_by("name"))


def usable(slug: str, *, locked: bool = False) -> Upstream:
    """An upstream that is on, as the database has it now. locked: its row is held until the transaction ends.

    Raises: Refused(UPSTREAM_DISABLED), also where there is none.
    """
    rows = Upstream.objects.select_for_update() if locked else Upstream.objects
    found = rows.filter(slug=slug).first()
    if found is None or found.disabled_at is not None:
        raise Refused(Reason.UPSTREAM_DISABLED)
    return found
