"""`manage.py device`: the reference device client on a command line, by `device.client`."""

from __future__ import annotations

import getpass
import json
import os
import ssl
import sys
from argparse import RawDescriptionHelpFormatter
from base64 import urlsafe_b64decode
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
from django.core.management.base import BaseCommand, CommandError

from device import keeping, tpm
from device.client import Code, DeviceClient, utc_now
from device.errors import DeviceError, NotEnrolled, ProtocolError
from idp.management.verbs import Option

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from django.core.management.base import CommandParser

    from device.client import Answered, Tokens
    from idp.management.verbs import Option

TEACHING = """
A device that is nobody's yet becomes one of yours in three steps:

  1. On your desktop: sign in, My devices, Add a phone. It shows a code.
  2. Here:            manage.py device enroll --code THE-CODE --name "My phone"
                      It shows a number; the desktop shows the same one. Say yes there.
  3. Here:            manage.py device login --client CLIENT_ID
                      Key + passphrase are two factors: the token says aal/2.

Try also:             manage.py device login --client CLIENT_ID --no-passphrase      (one factor: aal/1)
                      manage.py device show

The key stands in a file that only you can read (--key-file). A real phone keeps it in hardware; everything else is the
same, and docs/device-protocol.md says how to write it.

The passphrase comes from --passphrase-file, from RAMET_DEVICE_PASSPHRASE, or is asked for. It is never stored.
"""

AAL = "http://idmanagement.gov/ns/assurance/aal/"
PASSPHRASE_VARIABLE = "RAMET_DEVICE_PASSPHRASE"  # noqa: S105 - its name, not its value
_TOKENS = frozenset({"access_token", "id_token", "refresh_token"})
_TELLING = ("sub", "acr", "amr", "aal", "ial", "auth_time")  # of an ID token, what a person would ask about
DEFAULT_KEY_FILE = Path.home() / ".ramet" / "device.json"


class Command(BaseCommand):
    """Enrol this machine as a device, log in with it, and show its credential."""

    help = (
        "The reference device: enrol with a binding code, log in with key and passphrase, show the stored credential."
    )
    requires_system_checks = ()  # it is a client: no database, no settings of the server
    requires_migrations_checks = False

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Option) -> CommandParser:
        """Preserve the lines of the description."""
        return super().create_parser(
            prog_name, subcommand, epilog=TEACHING, formatter_class=RawDescriptionHelpFormatter, **kwargs
        )

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the three verbs."""
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="enroll|login|show")
        enroll = verbs.add_parser("enroll", help="make a key and bind it to a person, with a code from their desktop")
        enroll.add_argument("--code", required=True, help="the binding code: 24 characters, or 8 with --username")
        enroll.add_argument("--username", default="", help="your user name; only for the short code")
        enroll.add_argument("--issuer", help="URL of the provider (default: RAMET_ISSUER, or http://localhost:8000)")
        enroll.add_argument("--name", default="", help="the device's name (default: this machine's name)")
        enroll.add_argument("--replace", action="store_true", help="replace the credential in the key file")
        enroll.add_argument(
            "--tpm", metavar="HANDLE", help="make the key in the TPM 2.0, at this free persistent handle (0x81…)"
        )
        enroll.add_argument("--tpm-ak", metavar="HANDLE", help="where the TPM's attestation key is")
        enroll.add_argument(
            "--ak-certificate", type=Path, action="append", help="its certificate (PEM), and the certificates above it"
        )
        login = verbs.add_parser("login", help="get tokens for an app")
        login.add_argument("--client", help="client_id of the app (default: the first that was bound)")
        login.add_argument("--no-passphrase", action="store_true", help="prove the key alone: one factor, aal/1")
        login.add_argument("--acr", help="the level to ask for: 1, 2, 3, or a full acr value; several with spaces")
        login.add_argument("--scope", default="openid profile", help="default: %(default)s")
        login.add_argument("--userinfo", action="store_true", help="use the access token once, at userinfo")
        show = verbs.add_parser("show", help="show the stored credential (never the key)")
        for verb in (enroll, login, show):
            _add_common(verb)
        for verb in (enroll, login):
            verb.add_argument("--passphrase-file", type=Path, help="file whose first line is the device passphrase")
            verb.add_argument("--ca-file", type=Path, help="certificate authority to trust (`make run` in TLS mode)")

    def handle(self, *_: object, **options: Option) -> None:
        """Run one verb; an error becomes one line, and with --json one object."""
        try:
            answer = getattr(self, f"_{options['verb']}")(options)
        except DeviceError as error:
            if options["json"]:
                self.stdout.write(json.dumps(_as_json(error)))
            raise CommandError(str(error), returncode=1) from error
        except OSError as error:
            raise CommandError(f"{error.strerror}: {error.filename}", returncode=1) from error
        self.stdout.write(json.dumps(answer) if options["json"] else _as_text(_read_aloud(answer)))

    def _enroll(self, options: dict[str, Any]) -> dict[str, Any]:
        path: Path = options["key_file"]
        if _holds_a_credential(path) and not options["replace"]:
            raise CommandError(
                f"{path} already holds a credential; --replace forgets it, --key-file names another file"
            )
        client = DeviceClient(http=_http(options))
        enrolment = client.enroll(
            options["issuer"] or os.environ.get("RAMET_ISSUER", "http://localhost:8000"),
            Code(text=options["code"], username=options["username"]),
            device_name=options["name"] or f"{os.uname().nodename} (command line)",
            passphrase=_passphrase(options, new=True),
            on_number=self._show_number,
            key=_key_in_tpm(options),
        )
        keeping.save(enrolment, path)
        return {"status": "bound", **enrolment.public()}

    def _show_number(self, answered: Answered) -> None:
        # On stderr: stdout is for the one JSON object.
        self.stderr.write(f"Your desktop should show the number {answered.number} and “{answered.device_name}”.")
        self.stderr.write(f"If it does, say yes there. Waiting up to {answered.expires_in.total_seconds():.0f} s …")

    def _login(self, options: dict[str, Any]) -> dict[str, Any]:
        enrolment = keeping.load(options["key_file"])
        client = DeviceClient(enrolment, http=_http(options))
        client_id = options["client"] or next(iter(enrolment.clients), "")
        if not client_id:
            raise CommandError("name an app with --client: this device was bound for none")
        tokens = client.login(
            client_id,
            passphrase=None if options["no_passphrase"] else _passphrase(options, new=False),
            scope=options["scope"],
            acr_values=_acr_values(options["acr"]),
        )
        answer = _shown(tokens)
        if options["userinfo"]:
            answer["userinfo"] = client.userinfo(tokens.access_token)
        return answer

    def _show(self, options: dict[str, Any]) -> dict[str, Any]:
        return keeping.load(options["key_file"]).public()


def _key_in_tpm(options: dict[str, Any]) -> tpm.TpmKey | None:
    """Make a key in the TPM, if --tpm is given."""
    if not options["tpm"]:
        return None
    if not (options["tpm_ak"] and options["ak_certificate"]):
        raise CommandError("--tpm needs --tpm-ak and --ak-certificate: without them nobody vouches for the key")
    return tpm.TpmKey.make(handle=options["tpm"], ak=options["tpm_ak"], chain=tpm.chain_of(options["ak_certificate"]))


def _add_common(verb: ArgumentParser) -> None:
    verb.add_argument("--key-file", type=Path, default=DEFAULT_KEY_FILE, help="default: ~/.ramet/device.json")
    verb.add_argument("--json", action="store_true", help="one JSON object on stdout, for scripts")


def _holds_a_credential(path: Path) -> bool:
    try:
        return keeping.load(path).is_bound
    except NotEnrolled:
        return False


def _http(options: dict[str, Any]) -> httpx.Client:
    if options["ca_file"] is None:
        return httpx.Client(timeout=20)
    return httpx.Client(timeout=20, verify=ssl.create_default_context(cafile=options["ca_file"]))


def _passphrase(options: dict[str, Any], *, new: bool) -> str:
    """Read the device passphrase from a file, the environment or the terminal; never from a visible argument."""
    if options["passphrase_file"] is not None:
        lines: list[str] = options["passphrase_file"].read_text().splitlines()
        return lines[0] if lines else ""
    if PASSPHRASE_VARIABLE in os.environ:
        return os.environ[PASSPHRASE_VARIABLE]
    if not sys.stdin.isatty():
        raise CommandError(f"give the device passphrase by --passphrase-file or {PASSPHRASE_VARIABLE}")
    return _typed_twice() if new else getpass.getpass("Device passphrase: ")


def _typed_twice() -> str:
    first = getpass.getpass("Choose a device passphrase (8 characters or more): ")
    if getpass.getpass("Once more: ") != first:
        raise CommandError("the two passphrases differ")
    return first


def _acr_values(text: str | None) -> str | None:
    if not text:
        return None
    return " ".join(AAL + value if value in {"1", "2", "3"} else value for value in text.split())


def _shown(tokens: Tokens) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "token_type": tokens.token_type,
        "expires_in": int(tokens.expires_in.total_seconds()),
        "scope": tokens.scope,
        "at": utc_now().isoformat(timespec="seconds"),
        "access_token": tokens.access_token,
    }
    optional = {"id_token": tokens.id_token, "refresh_token": tokens.refresh_token}
    return answer | {name: value for name, value in optional.items() if value}


def _read_aloud(answer: dict[str, Any]) -> dict[str, Any]:
    """Claims of the ID token in place of the tokens, for people; programs use --json."""
    unverified_claims = _unverified_claims(answer.get("id_token", ""))
    told = {name: unverified_claims[name] for name in _TELLING if name in unverified_claims}
    return {name: value for name, value in answer.items() if name not in _TOKENS} | told


def _unverified_claims(token: str) -> dict[str, Any]:
    # Only shown, never relied on; it came straight from the token endpoint (OIDC Core §3.1.3.7, item 6).
    payload = token.partition(".")[2].partition(".")[0]
    try:
        found = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _as_json(error: DeviceError) -> dict[str, Any]:
    if isinstance(error, ProtocolError):
        return {"error": error.error, "error_description": error.error_description, "status": error.status}
    return {"error": type(error).__name__, "error_description": str(error)}


def _as_text(answer: dict[str, Any]) -> str:
    width = max(len(name) for name in answer)
    return "\n".join(f"{name:<{width}}  {_plain(value)}" for name, value in answer.items())


def _plain(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(str(item) for item in value)
    return json.dumps(value) if isinstance(value, dict) else str(value)
