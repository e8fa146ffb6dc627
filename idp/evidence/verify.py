"""Verify an export of evidence offline, with Python's standard library alone.

    python3 -I -S verify.py FOLDER --key THUMBPRINT --checkpoint HASH

FOLDER holds evidence.json and evidence.jws. Both values were written down before, from `evidence pin`; never take them
from the export itself. --key may be given several times, where the key was rotated. The program ends with 0 and "OK" or
with 1 and the name of each record that fails.

Signatures are ES256 (RFC 7518 §3.4): the checkpoints were always signed with P-256, so one short algorithm covers them
and the export; RSA would be shorter, and would leave the old checkpoints unverified.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import hashlib
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

GENESIS = "0" * 64
SIGNATURE_BYTES = 64
EXPORT_TYP, CHECKPOINT_TYP = "ramet-evidence+jws", "ramet-checkpoint+jwt"

# P-256 (SP 800-186 §3.2.1.3)
P = 2**256 - 2**224 + 2**192 + 2**96 - 1
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)
Point = tuple[int, int] | None  # None: the point at infinity


def add(one: Point, other: Point) -> Point:
    """The sum of two points of the curve y² = x³ - 3x + B."""
    if one is None or other is None:
        return one or other
    if one[0] == other[0]:
        if (one[1] + other[1]) % P == 0:
            return None
        slope = (3 * one[0] * one[0] - 3) * pow(2 * one[1], -1, P)
    else:
        slope = (other[1] - one[1]) * pow(other[0] - one[0], -1, P)
    x = (slope * slope - one[0] - other[0]) % P
    return x, (slope * (one[0] - x) - one[1]) % P


def times(number: int, point: Point) -> Point:
    """A multiple of a point."""
    total: Point = None
    while number:
        if number & 1:
            total = add(total, point)
        point, number = add(point, point), number >> 1
    return total


def is_signed(key: dict[str, Any], message: bytes, signature: bytes) -> bool:
    """True if an ES256 signature over the message is by this JWK (FIPS 186-5 §6.4.2)."""
    if key.get("kty") != "EC" or key.get("crv") != "P-256" or len(signature) != SIGNATURE_BYTES:
        return False
    x, y = (int.from_bytes(decoded(key[name])) for name in ("x", "y"))
    if not (x < P and y < P and (y * y - (x * x * x - 3 * x + B)) % P == 0):
        return False
    r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:])
    if not (0 < r < N and 0 < s < N):
        return False
    inverse = pow(s, -1, N)
    digest = int.from_bytes(hashlib.sha256(message).digest())
    found = add(times(digest * inverse % N, G), times(r * inverse % N, (x, y)))
    return found is not None and found[0] % N == r


def decoded(text: str) -> bytes:
    """Base64url without padding (RFC 7515 §2)."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def thumbprint(key: dict[str, Any]) -> str:
    """The RFC 7638 thumbprint of an EC key."""
    members = json.dumps({name: key[name] for name in ("crv", "kty", "x", "y")}, separators=(",", ":"))
    return base64.urlsafe_b64encode(hashlib.sha256(members.encode()).digest()).decode().rstrip("=")


def canonical(value: object) -> bytes:
    """JSON as the hashes of a chain take it: sorted keys, no spaces, ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def sha256(*parts: bytes) -> str:
    """SHA-256 in hex."""
    return hashlib.sha256(b"".join(parts)).hexdigest()


def linked(account: str, event: dict[str, Any], previous: str) -> str:
    """The public head of a chain after an Event."""
    fields = [account, *(event[name] for name in ("seq", "at", "kind", "actor", "credential", "body")), previous]
    return sha256(canonical(fields))


def leaf(account: str, seq: int, head: str) -> bytes:
    """A leaf of a checkpoint's tree, hashed (RFC 9162 §2.1.1)."""
    return hashlib.sha256(b"\x00" + f"{account}:{seq}:{head}".encode()).digest()


def root_by_path(node: bytes, index: int, size: int, path: list[str]) -> str:
    """The root to which an inclusion path leads, or "" for a path of another length (RFC 9162 §2.1.3.2)."""
    at, last = index, size - 1
    if not 0 <= at <= last:
        return ""
    for text in path:
        if last == 0:
            return ""
        sibling = bytes.fromhex(text)
        if at & 1 or at == last:
            node = hashlib.sha256(b"\x01" + sibling + node).digest()
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            node = hashlib.sha256(b"\x01" + node + sibling).digest()
        at, last = at >> 1, last >> 1
    return node.hex() if last == 0 else ""


def root_of(level: list[bytes]) -> str:
    """The root over hashed leaves; a node without a right sibling goes up as it is."""
    while len(level) > 1:
        pairs = [level[at : at + 2] for at in range(0, len(level), 2)]
        level = [hashlib.sha256(b"\x01" + b"".join(pair)).digest() if len(pair) > 1 else pair[0] for pair in pairs]
    return level[0].hex() if level else sha256()


class Verification:
    """One export, verified part by part; `faults` names what fails."""

    def __init__(self, document: dict[str, Any], pinned_keys: set[str], pinned_checkpoint: str) -> None:
        self.document, self.pinned = document, pinned_checkpoint
        self.faults: list[str] = []
        self.keys = {thumbprint(key): key for key in document["keys"] if thumbprint(key) in pinned_keys}
        self.claims: dict[str, dict[str, Any]] = {}  # of each checkpoint, by its hash, in order
        self.heads: dict[str, list[str]] = {}  # of each chain: the public head after each Event

    def run(self, signed: bytes, signature: str) -> list[str]:
        """Verify everything; return the faults."""
        self.records()
        self.chains()
        self.checkpoints()
        self.places()
        self.period()
        self.signature(signed, signature)
        return self.faults

    def fault(self, text: str) -> None:
        """Note a fault."""
        self.faults.append(text)

    def records(self) -> None:
        """Each record has the digest that the export names."""
        named = self.document["digests"]
        for number, record in enumerate(self.document["records"]):
            name = f"record {number} (credential {record.get('credential')})"
            if number >= len(named) or sha256(canonical(record)) != named[number]:
                self.fault(f"{name}: its content was changed")
        if len(named) != len(self.document["records"]):
            self.fault("the number of records was changed")

    def chains(self) -> None:
        """Each chain is whole: its Events follow each other, and each has the hash of its content."""
        for chain in self.document["chains"]:
            account, previous, heads = chain["account"], GENESIS, [GENESIS]
            if account in self.heads:
                self.fault(f"account {account}: it is here twice")
            for number, event in enumerate(chain["events"], start=1):
                where = f"account {account}, event {number}"
                if event["seq"] != number:
                    self.fault(f"{where}: it is missing")
                    break
                previous = linked(account, event, previous)
                if previous != event["hash"]:
                    self.fault(f"{where} ({event['kind']}): its content was changed")
                    previous = event["hash"]
                heads.append(previous)
                self.details(where, event)
            self.heads[account] = heads
        self.complete()
        known = {
            (event["credential"], event["seq"], event["kind"])
            for chain in self.document["chains"]
            for event in chain["events"]
        }
        for number, record in enumerate(self.document["records"]):
            for seq, kind in record.get("events", []):
                if (record["credential"], seq, kind) not in known:
                    self.fault(f"record {number} (credential {record['credential']}): its event {seq} is in no chain")

    def complete(self) -> None:
        """Each credential that was issued in the scope has a record."""
        scope, named = self.document["scope"], {record["credential"] for record in self.document["records"]}
        for chain in self.document["chains"]:
            for event in chain["events"]:
                if event["kind"] != "credential.issued" or event["credential"] in named:
                    continue
                at = datetime.fromisoformat(event["at"])
                if "from" in scope:
                    is_meant = datetime.fromisoformat(scope["from"]) <= at <= datetime.fromisoformat(scope["to"])
                else:
                    is_meant = scope.get("credential", event["credential"]) == event["credential"]
                if is_meant and chain["account"] == scope.get("account", chain["account"]):
                    self.fault(f"credential {event['credential']}: its record was left out")

    def details(self, where: str, event: dict[str, Any]) -> None:
        """Each personal detail that is shown is the one to which the chain is committed; erased ones are absent."""
        committed = event["body"].get("commitments", {})
        for name, shown in event.get("details", {}).items():
            if sha256(canonical([shown["salt"], shown["value"]])) != committed.get(name):
                self.fault(f"{where}: its detail {name} was changed")

    def checkpoints(self) -> None:
        """Each checkpoint names the one before; those after the pinned one are signed by a pinned key."""
        previous, after_pinned = None, False
        for statement in self.document["checkpoints"]:
            name = sha256(statement.encode())
            claims = json.loads(decoded(statement.split(".")[1]))
            if previous is not None and claims["previous"] != previous:
                self.fault(f"checkpoint {name}: it does not name the one before it; one is missing")
            if after_pinned and not self.is_statement_signed(statement, CHECKPOINT_TYP):
                self.fault(f"checkpoint {name}: it is not signed by a pinned key")
            self.claims[name] = claims
            previous, after_pinned = name, after_pinned or name == self.pinned
        if self.pinned not in self.claims:
            self.fault("the pinned checkpoint is not in the export: its history is another one")

    def is_statement_signed(self, statement: str, typ: str) -> bool:
        """True if a compact JWS of this type is signed by a pinned key."""
        head, _, rest = statement.partition(".")
        payload, _, signature = rest.partition(".")
        header = json.loads(decoded(head))
        key = self.keys.get(header.get("kid", ""))
        if key is None or header.get("alg") != "ES256" or header.get("typ") != typ or "crit" in header:
            return False
        return is_signed(key, f"{head}.{payload}".encode(), decoded(signature))

    def places(self) -> None:
        """Each chain is whole up to the newest checkpoint, and had the same beginning at the pinned one."""
        as_of = self.document["as_of"]
        if as_of not in self.claims:
            self.fault("the checkpoint up to which the export goes is not in it")
            return
        for chain in self.document["chains"]:
            account, needed = chain["account"], {as_of, self.pinned}
            for name, path in chain["paths"].items():
                if self.place(account, name, path):
                    needed.discard(name)
                    if name == as_of and path["seq"] != len(chain["events"]):
                        self.fault(f"account {account}: its chain does not end where the checkpoint says")
            needed -= {name for name, near in chain["absent"].items() if self.is_absent(account, name, near)}
            for name in needed - set(self.document["leaves"]):
                self.fault(f"account {account}: nothing proves its chain at checkpoint {name}; ask for --pinned {name}")

    def place(self, account: str, name: str, path: dict[str, Any]) -> bool:
        """Verify the path of a chain's beginning to the root of a checkpoint; True if it is for that checkpoint."""
        claims, heads = self.claims.get(name), self.heads[account]
        if claims is None or "tree" not in claims:
            self.fault(f"account {account}: checkpoint {name} has no tree")
            return False
        seq = path["seq"]
        node = leaf(account, seq, heads[seq]) if seq < len(heads) else b""
        if root_by_path(node, path["index"], claims["leaves"], path["path"]) != claims["tree"]:
            self.fault(
                f"account {account}: its first {seq} events are not those of checkpoint {name}: "
                "an event was removed, added or changed"
            )
        return True

    def is_absent(self, account: str, name: str, near: list[dict[str, Any]]) -> bool:
        """True if the neighbours in a checkpoint's tree leave no place for this account: it is younger."""
        claims = self.claims.get(name, {})
        for one in near:
            node = leaf(one["account"], one["seq"], one["head"])
            if root_by_path(node, one["index"], claims.get("leaves", 0), one["path"]) != claims.get("tree"):
                self.fault(f"account {account}: a neighbour at checkpoint {name} is not in its tree")
                return False
        before = [one["index"] for one in near if one["account"] < account]
        after = [one["index"] for one in near if one["account"] > account]
        if not before and not after:
            return claims.get("leaves") == 0
        first, last = max(before, default=-1), min(after, default=claims["leaves"])
        if last != first + 1:
            self.fault(f"account {account}: it may be missing at checkpoint {name}")
            return False
        return True

    def leaves(self) -> dict[str, dict[str, tuple[int, str]]]:
        """The leaves that are given whole, by checkpoint, each set with the root that was signed."""
        trees: dict[str, dict[str, tuple[int, str]]] = {"": {}}
        for name, leaves in self.document["leaves"].items():
            trees[name] = {account: (seq, head) for account, seq, head in leaves}
            claims = self.claims.get(name, {})
            if root_of([leaf(*one) for one in leaves]) != claims.get("tree") or leaves != sorted(leaves):
                self.fault(f"the leaves of checkpoint {name} do not give its root: one was removed or changed")
            for account, heads in self.heads.items():
                seq, head = trees[name].get(account, (0, GENESIS))
                if seq >= len(heads) or heads[seq] != head:
                    self.fault(
                        f"account {account}: its first {seq} events are not those of checkpoint {name}: "
                        "an event was removed, added or changed"
                    )
        return trees

    def period(self) -> None:
        """For a period: each chain that grew between the checkpoints around it is here, and whole."""
        trees, scope = self.leaves(), self.document["scope"]
        if "from" not in scope:
            return
        begin, end = self.document["begins"], self.document["as_of"]
        if begin not in trees or end not in trees or (begin and self.claims[begin]["iat"] > scope["from_time"]):
            self.fault("the period has no checkpoint at its beginning or its end")
            return
        if self.claims[end]["iat"] < scope["to_time"]:
            self.fault("the export ends before the period does")
        if self.pinned not in trees:
            self.fault(f"the leaves of the pinned checkpoint are not here; ask for --pinned {self.pinned}")
        for account, at_end in trees[end].items():
            if trees[begin].get(account, (0, GENESIS)) != at_end and account not in self.heads:
                self.fault(f"account {account}: it changed in the period, and its chain was left out")
            if account in self.heads and len(self.heads[account]) - 1 != at_end[0]:
                self.fault(f"account {account}: its chain does not end where the checkpoint says")

    def signature(self, signed: bytes, detached: str) -> None:
        """The export as a whole is signed by a pinned key (RFC 7515, appendix F)."""
        head, _, signature = detached.partition("..")
        payload = base64.urlsafe_b64encode(signed).decode().rstrip("=")
        if not self.is_statement_signed(f"{head}.{payload}.{signature}", EXPORT_TYP):
            self.fault("evidence.json is not signed by a pinned key, or was changed after it was signed")


def main(arguments: list[str]) -> int:
    """Verify the export that the arguments name; the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n", maxsplit=1)[0])
    parser.add_argument("folder", type=Path, help="the folder with evidence.json and evidence.jws")
    parser.add_argument("--key", action="append", required=True, help="RFC 7638 thumbprint of a key that you pinned")
    parser.add_argument("--checkpoint", required=True, help="SHA-256 of a checkpoint that you pinned")
    given = parser.parse_args(arguments)
    try:
        signed = (given.folder / "evidence.json").read_bytes()
        detached = (given.folder / "evidence.jws").read_text().strip()
        found = Verification(json.loads(signed), set(given.key), given.checkpoint)
        faults = found.run(signed, detached)
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError, binascii.Error) as error:
        sys.stdout.write(f"FAILED\n  the export cannot be read: {type(error).__name__}: {error}\n")
        return 1
    if faults:
        sys.stdout.write("FAILED\n" + "".join(f"  {fault}\n" for fault in faults))
        return 1
    events = sum(len(chain["events"]) for chain in found.document["chains"])
    as_of = found.claims[found.document["as_of"]]
    sys.stdout.write(
        f"OK: {len(found.document['records'])} records, {len(found.heads)} chains, {events} events, up to the "
        f"checkpoint of {datetime.fromtimestamp(as_of['iat'], UTC).isoformat()}\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
