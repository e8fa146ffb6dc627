"""An authority of others, on a command line: `openssl` and its `ca` with a database and a list. `outside_ca.py FOLDER issue|revoke`.

FOLDER/mood makes it misbehave: away, slow answers of nonsense, or certificates that nobody ordered.
"""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

CONFIGURATION = """
[ca]
default_ca = it
[it]
database = {at}/index.txt
new_certs_dir = {at}
certificate = {at}/ca.pem
private_key = {at}/ca.key
default_md = sha256
default_crl_days = 1
crlnumber = {at}/crlnumber
unique_subject = no
"""
HELD = "certificateHold"


def openssl(*arguments: str) -> bytes:
    return subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=20).stdout


def make(at: Path) -> Path:
    """A new one, with a certificate of its own."""
    at.mkdir()
    (at / "index.txt").touch()
    (at / "crlnumber").write_text("01\n")
    (at / "ca.cnf").write_text(CONFIGURATION.format(at=at))
    openssl(
        "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", str(at / "ca.key"), "-out", str(at / "ca.pem"),
        "-days", "3650", "-subj", "/O=Others/CN=Their CA", "-addext", "keyUsage=critical,keyCertSign,cRLSign",
    )  # fmt: skip
    return at


def gencrl(at: Path) -> bytes:
    openssl("ca", "-config", str(at / "ca.cnf"), "-gencrl", "-out", str(at / "list.pem"))
    return (at / "list.pem").read_bytes()


def issue(at: Path, said: dict, mood: str) -> bytes:
    serial = said["serial"] if mood != "another number" else "7" * 38
    extensions = {
        "subjectKeyIdentifier": "hash", "authorityKeyIdentifier": "keyid", "keyUsage": "critical,digitalSignature", "extendedKeyUsage": "clientAuth",
        "certificatePolicies": ",".join(said["policies"]), "subjectAltName": f"URI:urn:uuid:{said['uuid']}", "crlDistributionPoints": f"URI:{said['crl']}",
        "authorityInfoAccess": f"caIssuers;URI:{said['ca_issuers']},OCSP;URI:{said['ocsp']}",
    }  # fmt: skip
    extensions |= {
        "another policy": {"certificatePolicies": "2.16.840.1.101.3.2.1.3.41"}, "an authority": {"basicConstraints": "critical,CA:TRUE"},
        "a server": {"extendedKeyUsage": "clientAuth,serverAuth"}, "a name": {"subjectAltName": f"URI:urn:uuid:{said['uuid']},email:x@example.org"},
    }.get(mood, {})  # fmt: skip
    days = (datetime.fromisoformat(said["not_after"]) - datetime.now(UTC)).days + (4000 if mood == "a long life" else 0)
    subject = (
        "".join(f"/{name}={value}" for name, value in said["subject"]) if mood != "another subject" else "/CN=Somebody"
    )
    (at / "extensions").write_text("[it]\n" + "".join(f"{name} = {value}\n" for name, value in extensions.items()))
    (at / "key.pem").write_text(said["public_key"])
    if mood == "another key":
        openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", str(at / "theirs"))
        openssl("pkey", "-in", str(at / "theirs"), "-pubout", "-out", str(at / "key.pem"))
    made = at / f"{serial}.made"
    openssl(
        "x509", "-new", "-force_pubkey", str(at / "key.pem"), "-CA", str(at / "ca.pem"), "-CAkey", str(at / "ca.key"), "-set_serial", f"0x{serial}",
        "-subj", subject, "-extfile", str(at / "extensions"), "-extensions", "it", "-days", str(days), "-out", str(made),
    )  # fmt: skip
    openssl("ca", "-config", str(at / "ca.cnf"), "-valid", str(made))
    return made.read_bytes()


def revoke(at: Path, said: dict) -> None:
    made, index = at / f"{said['serial']}.made", at / "index.txt"
    if not made.exists():
        return
    lines = [line.split("\t") for line in index.read_text().splitlines()]
    for line in lines:
        if int(line[3], 16) == int(said["serial"], 16) and line[0] == "R":
            if "hold" not in line[2]:
                return
            line[0], line[2] = "V", ""
    index.write_text("".join("\t".join(line) + "\n" for line in lines))
    if said["reason"] == "removeFromCRL":
        return
    how = ["-crl_hold", "holdInstructionReject"] if said["reason"] == HELD else ["-crl_reason", said["reason"]]
    openssl("ca", "-config", str(at / "ca.cnf"), "-revoke", str(made), *how)


def main() -> None:
    at, word = Path(sys.argv[1]), sys.argv[2]
    said = json.load(sys.stdin)
    mood = (at / "mood").read_text() if (at / "mood").exists() else ""
    with (at / "log").open("a") as log:
        log.write(f"{word} {said['serial']}\n")
    if mood == "away" or (mood == "deaf" and word == "revoke"):
        sys.exit(1)
    if mood == "nonsense":
        sys.stdout.write("a certificate")
    elif word == "issue":
        sys.stdout.buffer.write(issue(at, said, mood))
    else:
        revoke(at, said)


if __name__ == "__main__":
    main()
