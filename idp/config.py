"""The one typed configuration, and the only reader of the environment (prefix `RAMET_`)."""

from __future__ import annotations

import base64
import binascii
import difflib
import ipaddress
import json
import os
import secrets
import sys
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

_KEK_BYTES = 32  # AES-256
PROJECT = Path(__file__).resolve().parent.parent


_PREFIX = "RAMET_"
_OF_COMMANDS = ("RAMET_UPSTREAM_SECRET", "RAMET_DEVICE_PASSPHRASE")
_OF_TESTS = "RAMET_TEST_"
EMAIL_SCHEMES = ("file", "console", "smtp", "smtps")


class Config(BaseSettings):
    """The operator's settings; few, and none that weakens security.

    issuer: the public URL of this provider, without a trailing slash (RFC 8414 §2).
    database_url: a `sqlite:///…` or `postgresql://…` URL; empty means SQLite in `var`.
    kek: base64 of 32 bytes that wrap every stored key; empty means a development key generated in `var`.
    email_url: `file:` (a folder under `var`), `console:` (prints links that work), `smtp://user:password@host:port`
    (with STARTTLS, except for a server on loopback) or `smtps://…` (TLS from the start).
    trusted_proxies: addresses whose `X-Forwarded-For` is accepted; one, or several with commas, or a JSON list.
    security_contact: where to report a vulnerability, as URIs (mailto:, https:, tel:), for security.txt (RFC 9116).
    certificate_url: the public URL of the certificate host (PIV and CAC login), without a trailing slash; empty means
    off.
    certificate_peers: addresses of the proxies of that host, or `unix`; certificate_secret: their shared secret.
    """

    model_config = SettingsConfigDict(env_prefix=_PREFIX, frozen=True, extra="ignore", hide_input_in_errors=True)

    issuer: str = "http://localhost:8000"
    var: Path = PROJECT / "var"
    database_url: SecretStr = SecretStr("")
    kek: SecretStr = SecretStr("")
    email_url: SecretStr = SecretStr("file:")
    email_from: str = "Ramet <no-reply@localhost>"
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = ()
    log_level: str = Field(default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")
    contact: str = "your identity team"
    security_contact: Annotated[tuple[str, ...], NoDecode] = ()
    certificate_url: str = ""
    certificate_peers: Annotated[tuple[str, ...], NoDecode] = ()
    certificate_secret: SecretStr = SecretStr("")

    @field_validator("trusted_proxies", "certificate_peers", "security_contact", mode="before")
    @classmethod
    def _a_list(cls, value: object) -> object:
        """Read a list as people write it: one value, several with commas or spaces, or JSON."""
        if not isinstance(value, str):
            return value
        if not value.lstrip().startswith("["):
            return tuple(value.replace(",", " ").split())
        try:
            return json.loads(value)
        except ValueError as error:
            message = "must be one value, several with commas, or a JSON list"
            raise ValueError(message) from error

    @field_validator("security_contact")
    @classmethod
    def _contacts_are_uris(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(urlsplit(one).scheme in {"mailto", "https", "tel"} and one.isprintable() for one in value):
            message = "must be URIs like mailto:security@example.org, https://… or tel:… (RFC 9116 §2.5.3)"
            raise ValueError(message)
        return value

    @field_validator("email_url")
    @classmethod
    def _a_known_way_to_send(cls, value: SecretStr) -> SecretStr:
        parts = urlsplit(value.get_secret_value())
        if parts.scheme not in EMAIL_SCHEMES:
            message = f"must begin with one of {', '.join(f'{scheme}:' for scheme in EMAIL_SCHEMES)}"
            raise ValueError(message)
        if parts.scheme.startswith("smtp") and not parts.hostname:
            message = "must name a mail server, like smtp://mail.example.org:587"
            raise ValueError(message)
        return value

    @field_validator("issuer")
    @classmethod
    def _issuer_is_a_bare_url(cls, value: str) -> str:
        parts = urlsplit(value)
        if (
            parts.scheme not in {"http", "https"}
            or not parts.hostname
            or parts.query
            or parts.fragment
            or parts.username
        ):
            message = "must be a URL like https://login.example.org, without query, fragment or user"
            raise ValueError(message)
        if parts.path not in {"", "/"}:
            message = "must have no path: the well-known documents live at the root of the host"
            raise ValueError(message)
        if parts.scheme == "http" and not is_loopback(parts.hostname):
            message = "must be https:// unless its host is loopback (localhost, 127.0.0.0/8, ::1)"
            raise ValueError(message)
        return value.rstrip("/")

    @field_validator("kek")
    @classmethod
    def _kek_is_32_bytes(cls, value: SecretStr) -> SecretStr:
        if value.get_secret_value():
            _decode_kek(value.get_secret_value())
        return value

    @model_validator(mode="after")
    def _production_brings_its_own_key(self) -> Self:
        if self.is_https and not self.kek.get_secret_value() and not self.is_local:
            message = "RAMET_KEK must be set when the issuer is not on this machine: 32 random bytes, base64"
            raise ValueError(message)
        return self

    @property
    def is_https(self) -> bool:
        """True if the issuer is served over TLS."""
        return self.issuer.startswith("https://")

    @property
    def host(self) -> str:
        """The host name of the issuer."""
        return urlsplit(self.issuer).hostname or ""

    @property
    def origin(self) -> str:
        """The origin of the issuer as a browser writes it: a lower-case host, and no default port of the scheme."""
        parts = urlsplit(self.issuer)
        host = f"[{self.host}]" if ":" in self.host else self.host
        own = {"http": 80, "https": 443}[parts.scheme]
        return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port not in {None, own} else "")

    @property
    def certificate_host(self) -> str:
        """The host name of the certificate host, or "" where there is none."""
        return urlsplit(self.certificate_url).hostname or ""

    @property
    def is_local(self) -> bool:
        """True if the issuer's host is loopback (development)."""
        return is_loopback(self.host)

    @cached_property
    def kek_bytes(self) -> bytes:
        """The 32 bytes that wrap stored keys; generated once into `var/kek` for development."""
        given = self.kek.get_secret_value()
        return _decode_kek(given) if given else _development_kek(self.var)

    @property
    def database(self) -> str:
        """The database URL, SQLite in `var` by default."""
        return self.database_url.get_secret_value() or f"sqlite:///{self.var.resolve() / 'ramet.sqlite3'}"


def is_loopback(host: str) -> bool:
    """True if a host name or literal can only mean this machine."""
    if host in {"localhost", "localhost.localdomain"} or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _decode_kek(text: str) -> bytes:
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != _KEK_BYTES:
        message = "must be base64 of exactly 32 bytes, for example from: openssl rand -base64 32"
        raise ValueError(message)
    return raw


def _development_kek(var: Path) -> bytes:
    """Read or create `var/kek`; exclusive creation lets several processes start together."""
    var.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = var / "kek"
    candidate = var / f".kek-{secrets.token_hex(8)}"
    if not path.exists():
        candidate.touch(mode=0o600)
        candidate.write_text(base64.b64encode(secrets.token_bytes(32)).decode())
        try:
            path.hardlink_to(candidate)  # atomic, and fails if another process was first
            sys.stderr.write(
                f"ramet: RAMET_KEK is not set; made a development key at {path}. Do not use it in production.\n"
            )
        except FileExistsError:
            pass
        finally:
            candidate.unlink()
    return _decode_kek(path.read_text().strip())


class BadSettings(Exception):
    """Variables without a usable value; each line names one, and what to write instead, never its value."""


@lru_cache(maxsize=1)
def config() -> Config:
    """The process's configuration, read once.

    Raises: BadSettings naming every bad variable.
    """
    try:
        return Config()
    except ValidationError as error:
        raise BadSettings("\n".join(_named(error))) from None


def _named(error: ValidationError) -> list[str]:
    lines = []
    for fault in error.errors(include_url=False, include_input=False):
        words = fault["msg"].removeprefix("Value error, ")
        lines.append(f"{_PREFIX}{str(fault['loc'][0]).upper()}: {words}" if fault["loc"] else words)
    return lines


def unknown_variables() -> dict[str, str]:
    """The `RAMET_…` variables of this process that nothing reads, each with the name that it resembles, or ""."""
    known = [*(f"{_PREFIX}{name.upper()}" for name in Config.model_fields), *_OF_COMMANDS]
    there = [name for name in os.environ if name.upper().startswith(_PREFIX) and not name.startswith(_OF_TESTS)]
    return {
        name: next(iter(difflib.get_close_matches(name.upper(), known, n=1)), "")
        for name in sorted(there)
        if name.upper() not in known
    }
