"""The agency code of a PIV card: the first field of its FASC-N (NIST SP 800-73, TIG SCEPACS 2.3 §2.1; EL-3)."""

from __future__ import annotations

_BYTES, _BITS, _DIGITS = 25, 5, 4
_HIGHEST_DIGIT = 9


def agency_of(fasc_n: str) -> str:
    """The four digits of the agency code, or "" if the value is not a FASC-N; fasc_n: its 25 bytes in hex.

    A FASC-N is forty characters of four bits (lowest first) with an odd parity bit each; the first is a start sentinel.
    """
    if len(fasc_n) != 2 * _BYTES:
        return ""
    try:
        bits = f"{int(fasc_n, 16):0{8 * _BYTES}b}"
    except ValueError:
        return ""
    digits = ""
    for at in range(1, 1 + _DIGITS):
        character = bits[at * _BITS : (at + 1) * _BITS]
        value = int(character[3::-1], 2)
        if character.count("1") % 2 == 0 or value > _HIGHEST_DIGIT:
            return ""
        digits += str(value)
    return digits
