"""Random values, and the hashes under which they are stored (C70, C71)."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import unicodedata

# Crockford's alphabet without I, L, O, U, which are misread or mistyped.
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_SEPARATORS = frozenset({"Zs", "Pd", "Cf", "Cc"})  # Unicode's spaces, dashes, invisible and control characters


def opaque() -> str:
    """A 256-bit random value, URL-safe, 43 characters."""
    return secrets.token_urlsafe(32)


def hash_secret(value: str, *, kind: str) -> str:
    """The stored form of a high-entropy secret of a kind; values of other kinds never match (P14)."""
    return hashlib.sha256(f"ramet/{kind}\x00{value}".encode(errors="surrogatepass")).hexdigest()


def new_code(characters: int) -> str:
    """A random code of 5 bits a character, for people to read and type."""
    return "".join(secrets.choice(ALPHABET) for _ in range(characters))


def grouped(code: str) -> str:
    """A code in groups of four."""
    return "-".join(code[start : start + 4] for start in range(0, len(code), 4))


def matches_code(typed: str, code: str) -> bool:
    """True if both are one code, however they are written."""
    return hmac.compare_digest(normalise_code(typed).encode(), normalise_code(code).encode())


def code_from(secret_bytes: bytes, characters: int) -> str:
    """A code for people to read, from random bytes: at least one for each character."""
    return "".join(ALPHABET[byte % len(ALPHABET)] for byte in secret_bytes[:characters])


def without_separators(typed: str) -> str:
    """A typed text without spaces, hyphens and invisible characters, in any of their forms."""
    return "".join(one for one in typed if unicodedata.category(one) not in _SEPARATORS)


def ascii_digits(typed: str) -> str:
    """A text whose decimal digits are ASCII, whatever their script."""
    return "".join(str(unicodedata.decimal(one, one)) for one in typed)


def normalise_code(typed: str) -> str:
    """A typed code without regard to case, spaces, hyphens, scripts of digits and look-alikes."""
    cleaned = ascii_digits(without_separators(typed)).upper()
    return cleaned.translate(str.maketrans("OIL", "011"))
