"""Shared by both sites: settings, the view that makes codes and tokens, and the server.

`python -m bench.peers.site SITE` prepares the database and serves; PORT and DATABASE are required.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import dj_database_url

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from django.http import HttpRequest, HttpResponse

CALLBACK, SCOPE = "https://app.example/callback", "openid profile email offline_access"
VERIFIER = "v" * 43
SECRET = "bench-client-secret-0123456789abcdef"  # noqa: S105 - of a database that lives for one run
_THREADS = 4


def port() -> int:
    """The port of the site."""
    return int(os.environ["PORT"])


def settings(apps: list[str], urls: str, **more: object) -> dict[str, Any]:
    """The settings of `startproject` with a site's apps, persistent database connections, and no debug."""
    return {
        "DEBUG": False, "SECRET_KEY": "x" * 50, "ALLOWED_HOSTS": ["127.0.0.1"], "ROOT_URLCONF": urls, "USE_TZ": True,
        "DEFAULT_AUTO_FIELD": "django.db.models.BigAutoField",
        "INSTALLED_APPS": [
            "django.contrib.contenttypes", "django.contrib.auth", "django.contrib.sessions", "django.contrib.messages",
            *apps,
        ],
        "MIDDLEWARE": [
            "django.middleware.security.SecurityMiddleware", "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.common.CommonMiddleware", "django.middleware.csrf.CsrfViewMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.messages.middleware.MessageMiddleware",
            "django.middleware.clickjacking.XFrameOptionsMiddleware",
        ],
        "TEMPLATES": [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}],
        "DATABASES": {"default": {**dj_database_url.parse(os.environ["DATABASE"]), "CONN_MAX_AGE": 600}},
        "LOGGING_CONFIG": None, **more,
    }  # fmt: skip


def maker(client_id: str, makers: Mapping[str, Callable[[int], Any]]) -> Callable[[HttpRequest], HttpResponse]:
    """The view that makes codes and tokens before the clock starts."""

    def made(request: HttpRequest) -> HttpResponse:
        from django.http import JsonResponse  # noqa: PLC0415 - once Django is set up

        what = request.GET["what"]
        first = {"client_id": client_id, "client_secret": SECRET, "code_verifier": VERIFIER, "redirect_uri": CALLBACK}
        return JsonResponse(first if what == "first" else makers[what](int(request.GET["count"])), safe=False)

    return made


def main(site: str) -> None:
    """Prepare the database and serve."""
    os.environ["DJANGO_SETTINGS_MODULE"] = f"bench.peers.{site}.settings"
    import django  # noqa: PLC0415 - after its settings are named
    from django.core.management import call_command  # noqa: PLC0415
    from granian import Granian  # noqa: PLC0415
    from granian.constants import Interfaces  # noqa: PLC0415
    from granian.log import LogLevels  # noqa: PLC0415

    django.setup()
    call_command("migrate", verbosity=0)
    call_command("migrate", run_syncdb=True, verbosity=0)  # the site's own tables refer to those
    call_command("prepare")
    django.db.connection.close()
    Granian(
        "bench.peers.application:application",
        address="127.0.0.1",
        port=port(),
        interface=Interfaces.WSGI,
        workers=1,
        blocking_threads=_THREADS,
        backlog=1024,
        log_access=False,
        websockets=False,
        log_level=LogLevels.warning,
    ).serve()


if __name__ == "__main__":
    main(sys.argv[1])
