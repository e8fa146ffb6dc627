"""Django settings, all of them derived from `idp.config`."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any
from urllib.parse import unquote, urlsplit

import dj_database_url
from csp.constants import NONE, SELF

from idp.config import PROJECT, config, is_loopback

_config = config()


def _derived_key(purpose: str) -> str:
    return hmac.new(_config.kek_bytes, b"ramet/" + purpose.encode(), hashlib.sha256).hexdigest()


DEBUG = False
SECRET_KEY = _derived_key("django-secret-key")
ALLOWED_HOSTS = [_config.host, *([_config.certificate_host] if _config.certificate_host else [])] + (
    ["localhost", "127.0.0.1", "[::1]"] if _config.is_local else []
)
ROOT_URLCONF = "idp.urls"

INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",  # only because the registry's migrations name it
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "idp.apps.RegistryConfig",  # the tables of django-oidc-provider; its views and admin are never loaded
    "csp",
    "derived",
    "scim",
    "idp.apps.IdpConfig",  # named: with two configurations in one module Django takes neither, and no check would run
]

MIDDLEWARE = [
    "idp.edge.middleware.Edge",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "idp.login.language.Language",
    "django.middleware.csrf.CsrfViewMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [PROJECT / "templates"],
        "OPTIONS": {
            "builtins": ["django.templatetags.i18n"],
            "context_processors": ["django.template.context_processors.request", "idp.login.page_context.context"],
        },
    }
]

AUTH_USER_MODEL = "scim.Person"
AUTHENTICATION_BACKENDS: list[str] = []
USE_TZ = True
TIME_ZONE = "UTC"
USE_I18N = True
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("es", "Español"), ("fr", "Français"), ("zh-hans", "简体中文")]
LOCALE_PATHS = [PROJECT / "locale"]
FORMAT_MODULE_PATH = "idp.formats"
LANGUAGE_COOKIE_NAME = "ramet_language"
APPEND_SLASH = False

# --- database ---


def _database(url: str) -> dict[str, Any]:
    found: dict[str, Any] = dict(dj_database_url.parse(url))
    if found["ENGINE"] == "django.db.backends.sqlite3":
        found["OPTIONS"] = {
            "transaction_mode": "IMMEDIATE",  # select_for_update is a no-op on SQLite: the write lock is the lock
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;",
        }
        # Opening a connection costs more than most requests: it reads the whole schema. Each serving thread keeps its
        # own.
        found["CONN_MAX_AGE"] = 600
    else:
        found["ENGINE"] = "idp.postgresql"
        found["CONN_MAX_AGE"] = 60
        found["CONN_HEALTH_CHECKS"] = True
        options = found.setdefault("OPTIONS", {})
        asked = options.get(
            "prepare_threshold", "3"
        )  # `derived.ledger.prepared_sql.statement_cursor`; "off" behind a proxy that cannot keep them
        options["prepare_threshold"] = None if asked == "off" else int(asked)
    found["ATOMIC_REQUESTS"] = False  # spent means spent, also when the answer is an error
    return found


DATABASES = {"default": _database(_config.database)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- passwords ---

PASSWORD_HASHERS = ["idp.login.password.Argon2"]
AUTH_PASSWORD_VALIDATORS: list[dict[str, Any]] = []  # the 63B-4 rules live in idp/login/password.py

# --- cookies and headers ---

_prefix = "__Host-" if _config.is_https else ""
SESSION_ENGINE = "idp.login.browser_store"
SESSION_COOKIE_NAME = _prefix + "ramet_session"
SESSION_COOKIE_SECURE = _config.is_https
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 24 * 3600
SESSION_SERIALIZER = "django.contrib.sessions.serializers.JSONSerializer"
CSRF_COOKIE_NAME = _prefix + "ramet_csrf"
CSRF_COOKIE_SECURE = _config.is_https
CSRF_COOKIE_HTTPONLY = True
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_FAILURE_VIEW = "idp.pages.csrf_failure"
CSRF_TRUSTED_ORIGINS = [_config.issuer] if _config.is_https else []
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")  # the edge drops it unless a listed proxy sent it
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
DATA_UPLOAD_MAX_NUMBER_FIELDS = 100
# The few uploaded files (`idp.edge.routes` limits them) are never written to a disk.
FILE_UPLOAD_HANDLERS = ["django.core.files.uploadhandler.MemoryFileUploadHandler"]
FILE_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
DATA_UPLOAD_MAX_NUMBER_FILES = 4

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "connect-src": [SELF],
        "font-src": [SELF],
        "form-action": [SELF],  # widened per response where a form ends at a relying party (ruling 22)
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
    }
}

# --- static files ---

STATIC_URL = "static/"
STATICFILES_DIRS = [PROJECT / "static"]
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = False
STORAGES = {"staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}

# --- mail ---

_EMAIL_BACKENDS = {
    "file": "django.core.mail.backends.filebased.EmailBackend",
    "console": "django.core.mail.backends.console.EmailBackend",
    "smtp": "django.core.mail.backends.smtp.EmailBackend",
    "smtps": "django.core.mail.backends.smtp.EmailBackend",
}


def mail_settings(url: str) -> dict[str, Any]:
    """Return Django's settings for a RAMET_EMAIL_URL; a server off loopback is used over TLS or STARTTLS only."""
    parts = urlsplit(url)
    host, is_tls = parts.hostname or "localhost", parts.scheme == "smtps"
    starttls = parts.scheme == "smtp" and not is_loopback(host)
    return {
        "EMAIL_BACKEND": _EMAIL_BACKENDS[parts.scheme],
        "EMAIL_HOST": host,
        "EMAIL_PORT": parts.port or (465 if is_tls else 587 if starttls else 25),
        "EMAIL_USE_SSL": is_tls,
        "EMAIL_USE_TLS": starttls,
        "EMAIL_HOST_USER": unquote(parts.username or ""),
        "EMAIL_HOST_PASSWORD": unquote(parts.password or ""),
    }


DEFAULT_FROM_EMAIL = _config.email_from
globals().update(mail_settings(_config.email_url.get_secret_value()))
EMAIL_FILE_PATH = str(_config.var / "mail")
EMAIL_TIMEOUT = 10

# --- logs ---

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"()": "idp.logs.OneLine"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": _config.log_level},
    "loggers": {
        # Their DEBUG lines contain secrets and tokens (A14, E2): never below WARNING, whatever the operator sets.
        "authlib": {"level": "WARNING"},
        "oidc_provider": {"level": "WARNING"},
        "joserfc": {"level": "WARNING"},
        "httpx": {"level": "WARNING"},
        "httpcore": {"level": "WARNING"},
        # SQL with its parameters: hashes and names of people.
        "django.db.backends": {"level": "INFO"},
        "django.request": {"level": "ERROR"},
        "django.security": {"level": "CRITICAL"},  # refused forms and sizes, with which an attacker could fill the log
    },
}
LOGGING_CONFIG = "logging.config.dictConfig"
