"""The one typed configuration, and the only reader of the environment (prefix `RAMET_`)."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import secrets
import sys
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

_KEK_BYTES = 32  # AES-256
PROJECT = Path(__file__).resolve().parent.parent


EMAIL_SCHEMES = ("file", "console", "smtp", "smtps")


class Config(BaseSettings):
    """The operator's settings; twelve fields or fewer, and none that weakens security.

    issuer: the public URL of this provider, without a trailing slash (RFC 8414 §2).
    database_url: a `sqlite:///…` or `postgresql://…` URL; empty means SQLite in `var`.
    kek: base64 of 32 bytes that wrap every stored key; empty means a development key generated in `var`.
    email_url: `file:` (a folder under `var`), `console:` (prints links that work), `smtp://user:password@host:port`
    (with STARTTLS, except for a server on loopback) or `smtps://…` (TLS from the start).
    trusted_proxies: addresses whose `X-Forwarded-For` is accepted.
    certificate_url: the public URL of the certificate host (PIV and CAC login), without a trailing slash; empty means
    off.
    certificate_peers: addresses of the proxies of that host, or `unix`; certificate_secret: their shared secret.
    """

    model_config = SettingsConfigDict(env_prefix="RAMET_", frozen=True, extra="ignore", hide_input_in_errors=True)

    issuer: str = "http://localhost:8000"
    var: Path = PROJECT / "var"
    database_url: SecretStr = SecretStr("")
    kek: SecretStr = SecretStr("")
    email_url: SecretStr = SecretStr("file:")
    email_from: str = "Ramet <no-reply@localhost>"
    trusted_proxies: tuple[str, ...] = ()
    log_level: str = Field(default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")
    contact: str = "your identity team"
    certificate_url: str = ""
    certificate_peers: tuple[str, ...] = ()
    certificate_secret: SecretStr = SecretStr("")

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


@lru_cache(maxsize=1)
def config() -> Config:
    """The process's configuration, read once.

    Raises: pydantic.ValidationError naming every bad variable.
    """
    return Config()
