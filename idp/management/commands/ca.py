"""`manage.py ca`: the certification authority of derived certificates."""

from __future__ import annotations

import getpass
from base64 import b64decode, b64encode
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from django.core.management.base import CommandError, CommandParser

from derived import clock, signers
from derived.authority import answers, keeping, lists
from derived.authority.keeping import AuthorityPlan, KeyLocation
from derived.errors import Reason, Unavailable
from derived.minting import authority as minting
from derived.minting.signing import MemorySigner
from derived.models import Authority
from derived.signers import Backend, wrapped
from derived.signers.token import Pkcs11Token
from idp.certificates.configuration import certificates_of_file
from idp.config import config
from idp.keys import wrapper
from idp.management.verbs import Noun, no_arguments
from idp.signals import files

if TYPE_CHECKING:
    from datetime import datetime

    from derived.minting.signing import CertificateSigner

# Below the enterprise number for documentation (RFC 5612). An OID made from a UUID (2.25) has a number that breaks
# verifiers: pkilint, and Go before 1.22.
GENERIC = "1.3.6.1.4.1.32473.1.40"
_LEAST_PASSPHRASE = 12


def _root_file(parser: CommandParser) -> None:
    parser.add_argument(
        "--root-file",
        type=Path,
        help="the root's key and certificate (PEM, encrypted); keep it offline, not on this machine",
    )
    parser.add_argument(
        "--root-passphrase-file",
        type=Path,
        help="its first line is the passphrase of the root's key; else it is asked for",
    )


def _key_place(parser: CommandParser) -> None:
    parser.add_argument("--pkcs11-module", help="make the issuing key in an HSM: path of its PKCS #11 library")
    parser.add_argument("--pkcs11-token", help="label of the token")
    parser.add_argument("--pkcs11-pin-file", type=Path, help="its first line is the PIN of the token")
    parser.add_argument(
        "--signer-command",
        help="somebody else signs: a program that reads bytes and writes their ECDSA signature as DER",
    )
    parser.add_argument("--signer-public", type=Path, help="the public key of --signer-command, PEM, P-256 or P-384")


def _init(parser: CommandParser) -> None:
    parser.add_argument("--organisation", help="stands in the name of the authority and of every certificate")
    parser.add_argument("--url", help="http URL under which lists and answers are found (default: the issuer's host)")
    parser.add_argument(
        "--oid",
        default=GENERIC,
        help=f"policy OID of generic certificates, from your own arc (default {GENERIC}: an example)",
    )
    parser.add_argument(
        "--asserts-piv",
        action="store_true",
        help=(
            "the organisation issues under the Federal Common Policy: derived PIV certificates "
            "assert …3.40 (otherwise --oid)"
        ),
    )
    parser.add_argument(
        "--external-root",
        action="store_true",
        help="an authority that is not ours signs: print a request, then use `ca install`",
    )
    _root_file(parser)
    _key_place(parser)


def _rotate(parser: CommandParser) -> None:
    parser.add_argument("--external-root", action="store_true", help="print a request instead, then use `ca install`")
    _root_file(parser)
    _key_place(parser)


def _install(parser: CommandParser) -> None:
    parser.add_argument("certificate", type=Path, help="the certificate that the authority above made, PEM or DER")
    parser.add_argument(
        "--chain", type=Path, required=True, help="its issuers up to the root, in that order (PEM or PKCS #7)"
    )
    parser.add_argument(
        "--list",
        type=Path,
        action="append",
        default=[],
        help="a revocation list of one of those (PEM or DER); may be repeated",
    )


def _outside(parser: CommandParser) -> None:
    parser.add_argument("certificate", type=Path, help="the certificate of that authority, PEM or DER")
    parser.add_argument("--chain", type=Path, help="its issuers up to the root, in that order (PEM or PKCS #7)")
    parser.add_argument(
        "--command",
        required=True,
        help="a program that asks it: `issue` or `revoke` as its last argument, JSON on its standard input",
    )
    parser.add_argument("--organisation", required=True, help="stands in the name of every certificate")
    parser.add_argument(
        "--oid", default=GENERIC, help=f"policy OID of generic certificates (default {GENERIC}: an example)"
    )
    parser.add_argument(
        "--asserts-piv", action="store_true", help="it issues under the Federal Common Policy: …3.40 and …3.41"
    )
    for name, words in {"crl": "its full list", "issuer": "its certificate", "ocsp": "its answers"}.items():
        parser.add_argument(
            f"--{name}-url", required=True, help=f"http URL of {words}, which every certificate must name (X-4)"
        )


def _fitting(organisation: str) -> str:
    """The part of a name that fits into an X.520 organizationName: 64, which libraries count in bytes."""
    return organisation.encode()[:64].decode(errors="ignore")


def _root_crl(parser: CommandParser) -> None:
    _root_file(parser)
    parser.add_argument(
        "--revoke",
        action="append",
        default=[],
        metavar="AUTHORITY",
        help="an issuing key that must not be trusted any more; may be repeated",
    )


class Command(Noun):
    """The verbs for the certification authority."""

    help = "The authority of derived certificates: init, install, outside, show, rotate, crl, root-crl."
    configures = True
    verbs: ClassVar = {
        "init": (
            "Make the first issuing key, and have the root certify it. The root's key never enters the database.",
            _init,
        ),
        "install": (
            "Take the certificate that an authority above made for the request of `init` or `rotate`.",
            _install,
        ),
        "outside": (
            "Use an external authority, through a program of yours; each certificate that it returns is checked.",
            _outside,
        ),
        "show": ("All authorities, where their keys are, and how fresh their lists.", no_arguments),
        "rotate": (
            "A new issuing key. The one before it signs its lists until all that it issued has expired.",
            _rotate,
        ),
        "crl": ("Sign all revocation lists now, and lay the files.", no_arguments),
        "root-crl": (
            (
                "Sign the root's own list, with the offline key; once a year, or when an issuing key must "
                "not be trusted any more."
            ),
            _root_crl,
        ),
    }
    methods: ClassVar = {**Noun.methods, "root-crl": "root_crl"}
    reads: ClassVar = frozenset({"show", "crl"})

    def init(self, options: dict[str, Any]) -> dict[str, Any]:
        """Make the root and the first issuing key."""
        if Authority.objects.exists():
            raise CommandError("There is an authority already. Use: manage.py ca rotate")
        if not options["organisation"]:
            raise CommandError("Say --organisation: it stands in every certificate.")
        plan = AuthorityPlan(
            organisation=_fitting(options["organisation"]),
            base_url=_base_url(options["url"]),
            oid=options["oid"],
            asserts_piv=options["asserts_piv"],
        )
        try:
            x509.ObjectIdentifier(plan.oid)
        except ValueError:
            raise CommandError(f"{plan.oid} is not an OID") from None
        return self._begin(plan, options)

    def rotate(self, options: dict[str, Any]) -> dict[str, Any]:
        """Make the next issuing key."""
        last = (
            keeping.current(now=clock.now())
            or Authority.objects.exclude(certificate=None).order_by("-created_at").first()
        )
        if last is None:
            raise CommandError("There is no authority yet. Use: manage.py ca init")
        plan = AuthorityPlan(
            organisation=last.organisation, base_url=last.base_url, oid=last.oid, asserts_piv=last.asserts_piv
        )
        return self._begin(plan, options)

    def _begin(self, plan: AuthorityPlan, options: dict[str, Any]) -> dict[str, Any]:
        now = clock.now()
        root = None if options["external_root"] else _root(options, plan.organisation, now=now)
        place, signer = _place(options)
        row = keeping.create(plan, place, signer, wrapper(), now=now)
        if root is None:
            request = keeping.request(row, wrapper())
            text = f"-----BEGIN CERTIFICATE REQUEST-----\n{_lines(request)}-----END CERTIFICATE REQUEST-----\n"
            return {
                "authority": row.name,
                "state": row.state,
                "next": "manage.py ca install CERTIFICATE --chain CHAIN",
                "request": text,
            }
        key, certificate = root
        made = keeping.certified_by_root(row, certificate, MemorySigner(key), now=now)
        above = _signed_list(keeping.revoked_by_root(certificate), certificate, key, now=now)
        keeping.install(row, made, [certificate], [above], now=now)
        keeping.replace_root_list(certificate, above, now=now)
        lists.sign_due(wrapper(), now=now)
        files.mirror(now=now)
        return {
            "authority": row.name,
            "state": "active",
            "issues_until": made.not_valid_after_utc,
            "root": certificate.subject.rfc4514_string(),
            "root_sha256": certificate.fingerprint(SHA256()).hex(),
            "files": str(files.folder()),
            "next": (
                f"Take {options['root_file']} off this machine, and put it into a safe. Give "
                f"verifiers {files.folder() / 'authorities.pem'}."
            ),
        }

    def install(self, options: dict[str, Any]) -> dict[str, Any]:
        """Install a certificate that another authority issued."""
        now = clock.now()
        try:
            [certificate] = certificates_of_file(options["certificate"].read_bytes())
            chain = certificates_of_file(options["chain"].read_bytes())
            above = [_list(path) for path in options["list"]]
        except (OSError, ValueError) as error:
            raise CommandError(f"A file cannot be read: {error}") from error
        key = certificate.public_key()
        row = (
            Authority.objects.filter(name=keeping.name_of(key)).first()
            if isinstance(key, ec.EllipticCurvePublicKey)
            else None
        )
        if row is None:
            raise CommandError("This certificate is for none of the keys that wait for one (manage.py ca show).")
        keeping.install(row, certificate, chain, above, now=now)
        lists.sign_due(wrapper(), now=now)
        files.mirror(now=now)
        return {"authority": row.name, "state": "active", "issues_until": certificate.not_valid_after_utc}

    def outside(self, options: dict[str, Any]) -> dict[str, Any]:
        """Use an external authority."""
        now = clock.now()
        try:
            [certificate] = certificates_of_file(options["certificate"].read_bytes())
            chain = certificates_of_file(options["chain"].read_bytes()) if options["chain"] else []
            x509.ObjectIdentifier(options["oid"])
        except (OSError, ValueError) as error:
            raise CommandError(f"A file or the OID cannot be read: {error}") from error
        where = {name: options[f"{name}_url"] for name in ("crl", "issuer", "ocsp")}
        if not all(urlsplit(one).scheme == "http" and urlsplit(one).hostname for one in where.values()):
            raise CommandError(
                "The URLs are plain http: a list that needs a certificate to be fetched cannot check one."
            )
        plan = AuthorityPlan(
            organisation=_fitting(options["organisation"]),
            base_url=_base_url(None),
            oid=options["oid"],
            asserts_piv=options["asserts_piv"],
        )
        row = keeping.install_external(
            plan, certificate, chain, {"command": options["command"], **where}, wrapper(), now=now
        )
        files.mirror(now=now)
        return {
            "authority": row.name,
            "state": "active",
            "issues_until": certificate.not_valid_after_utc,
            "next": "Make one certificate, and look at it.",
        }

    def show(self, _options: dict[str, Any]) -> list[dict[str, Any]]:
        """List the authorities and their lists."""
        found = []
        for row in Authority.objects.order_by("created_at"):
            whole = row.revocation_lists.filter(shard=lists.FULL_LIST).first()
            found.append(
                {
                    "authority": row.name,
                    "state": row.state,
                    "organisation": row.organisation,
                    "key": row.signer,
                    "issued": row.issued.count(),
                    "issues_until": row.not_after,
                    "revoked": whole.entries if whole else None,
                    "list": whole.number if whole else None,
                    "list_until": whole.next_update if whole else None,
                    "root_list_until": _root_list_until(row),
                    "piv": row.asserts_piv,
                    "url": f"{row.base_url}/{keeping.PUBLISHED_PATH}/",
                }
            )
        return found

    def crl(self, _options: dict[str, Any]) -> dict[str, Any]:
        """Sign the revocation lists now."""
        now = clock.now()
        count = lists.sign_all(wrapper(), now=now)
        for row in keeping.own_installed(now=now):
            answers.make_responder(row, wrapper(), now=now)
        files.mirror(now=now)
        return {"on_the_lists": count, "files": str(files.folder())}

    def root_crl(self, options: dict[str, Any]) -> dict[str, Any]:
        """Sign the root's revocation list."""
        now = clock.now()
        key, certificate = _root(options, "", now=now, make=False)
        bad = [row for row in Authority.objects.exclude(certificate=None) if row.name in options["revoke"]]
        if len(bad) != len(set(options["revoke"])):
            raise CommandError("--revoke names no authority of this provider (manage.py ca show).")
        before = keeping.revoked_by_root(certificate)
        new = [
            minting.RevokedEntry(serial=keeping.certificate_of(row).serial_number, at=now, because=Reason.COMPROMISED)
            for row in bad
        ]
        known = {one.serial for one in before}
        der = _signed_list([*before, *(one for one in new if one.serial not in known)], certificate, key, now=now)
        changed = keeping.replace_root_list(certificate, der, now=now)
        Authority.objects.filter(name__in=[row.name for row in bad], state=keeping.ACTIVE).update(
            state=keeping.RETIRED, retired_at=now
        )
        files.mirror(now=now)
        return {"authorities": changed, "revoked": [row.name for row in bad], "until": now + minting.ROOT_LIST_LIFE}


def _signed_list(
    entries: list[minting.RevokedEntry], root: x509.Certificate, key: ec.EllipticCurvePrivateKey, *, now: datetime
) -> bytes:
    return minting.revocation_list(
        entries, root, MemorySigner(key), number=int(now.timestamp()), now=now, life=minting.ROOT_LIST_LIFE
    )


def _root_list_until(row: Authority) -> datetime | None:
    dates = [x509.load_der_x509_crl(b64decode(one["der"])).next_update_utc for one in row.lists]
    return min((one for one in dates if one), default=None)


def _lines(der: bytes) -> str:
    text = b64encode(der).decode()
    return "".join(f"{text[at : at + 64]}\n" for at in range(0, len(text), 64))


def _list(path: Path) -> bytes:
    data = path.read_bytes()
    found = x509.load_pem_x509_crl(data) if b"-----BEGIN" in data else x509.load_der_x509_crl(data)
    return found.public_bytes(Encoding.DER)


def _base_url(given: str | None) -> str:
    """The URL under which everything is published: plain http, because a CRL over https needs a CRL (RFC 5280 §8)."""
    url = (given or config().issuer.replace("https://", "http://", 1)).rstrip("/")
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname or parts.path or parts.query or parts.username:
        raise CommandError("--url is like http://pki.example.org: plain http, and no path.")
    return url


def _secret(file: Path | None, question: str) -> bytes:
    try:
        text = file.read_text().split("\n", 1)[0].strip() if file else getpass.getpass(question)
    except OSError as error:
        raise CommandError(f"{error.strerror}: {error.filename}") from error
    return text.encode()


def _root(
    options: dict[str, Any], organisation: str, *, now: datetime, make: bool = True
) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    """Read the offline root from its file, or make it."""
    path: Path | None = options["root_file"]
    if path is None:
        raise CommandError("Say --root-file: a file on a medium that you take away afterwards (or --external-root).")
    passphrase = _secret(options["root_passphrase_file"], f"Passphrase of {path}: ")
    if len(passphrase) < _LEAST_PASSPHRASE:
        raise CommandError(f"The passphrase of a root has {_LEAST_PASSPHRASE} characters or more.")
    if path.exists():
        try:
            key = load_pem_private_key(path.read_bytes(), passphrase)
            certificate = x509.load_pem_x509_certificate(path.read_bytes())
        except (OSError, ValueError, TypeError) as error:
            raise CommandError(f"{path} cannot be read, or this is not its passphrase.") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise CommandError(f"{path} holds no key of ours.")
        return key, certificate
    if not make:
        raise CommandError(f"There is no {path}.")
    key = ec.generate_private_key(ec.SECP384R1())
    certificate = minting.root_certificate(MemorySigner(key), organisation=organisation, now=now)
    path.touch(mode=0o600, exist_ok=False)
    sealed = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(passphrase))
    path.write_bytes(sealed + certificate.public_bytes(Encoding.PEM))
    return key, certificate


def _place(options: dict[str, Any]) -> tuple[KeyLocation, CertificateSigner]:
    """The location of the issuing key."""
    if options["pkcs11_module"]:
        if not options["pkcs11_token"] or not options["pkcs11_pin_file"]:
            raise CommandError("Say --pkcs11-token and --pkcs11-pin-file too.")
        pin = _secret(options["pkcs11_pin_file"], "").decode()
        reference = {
            "module": options["pkcs11_module"],
            "token": options["pkcs11_token"],
            "label": f"ramet-{clock.now():%Y%m%d%H%M%S}",
        }
        token = Pkcs11Token(**reference, pin=pin)
        try:
            token.make()
        except Unavailable as error:
            raise CommandError(f"The token did not make a key: {error.__cause__!r}") from error
        return KeyLocation(where=Backend.TOKEN, reference=reference, secret=pin.encode()), token
    if options["signer_command"]:
        try:
            key = load_pem_public_key(options["signer_public"].read_bytes())
        except (AttributeError, OSError, ValueError) as error:
            raise CommandError("Say --signer-public: the public key of the program, as PEM.") from error
        if not isinstance(key, ec.EllipticCurvePublicKey):
            raise CommandError("The program's key must be P-256 or P-384.")
        reference = {"command": options["signer_command"], "public": b64encode(keeping.spki(key)).decode()}
        return KeyLocation(where=Backend.COMMAND, reference=reference), signers.signer_for(
            Backend.COMMAND, reference=reference, secret=b"", owner="", wrapper=wrapper()
        )
    raw = wrapped.new()
    return KeyLocation(where=Backend.WRAPPED, secret=raw), wrapped.signer(raw)
