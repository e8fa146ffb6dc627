"""A strict DER reader (X.690) for attestation certificates: bounded, definite lengths, no trailing bytes."""

from __future__ import annotations

from dataclasses import dataclass

from derived.errors import Reason, Refused

INTEGER, OCTETS, NULL, ENUMERATED, SEQUENCE, SET = 0x02, 0x04, 0x05, 0x0A, 0x30, 0x31
BOOLEAN = 0x01
_MOST = 8192
_LONG_TAG, _CLASS, _CONTEXT = 0x1F, 0xE0, 0xA0
_TRUE = b"\xff"
_MOST_LENGTH_OCTETS, _SHORTEST_LONG = 2, 0x80


@dataclass(frozen=True)
class Element:
    """A DER element. tag: its identifier octet; number: of an explicit context tag (`[503]`), else -1."""

    tag: int
    number: int
    body: bytes

    def expect(self, tag: int) -> bytes:
        """The content.

        Raises: Refused(BAD_PROOF) for another kind of element.
        """
        if self.tag != tag:
            raise Refused(Reason.BAD_PROOF)
        return self.body

    @property
    def integer(self) -> int:
        """The value of a non-negative INTEGER or ENUMERATED.

        Raises: Refused(BAD_PROOF).
        """
        if self.tag not in {INTEGER, ENUMERATED} or not self.body or self.body[0] & 0x80:
            raise Refused(Reason.BAD_PROOF)
        return int.from_bytes(self.body)

    @property
    def boolean(self) -> bool:
        """The value of a BOOLEAN.

        Raises: Refused(BAD_PROOF).
        """
        return self.expect(BOOLEAN) == _TRUE

    @property
    def inner(self) -> Element:
        """The element inside an explicit tag.

        Raises: Refused(BAD_PROOF) unless there is exactly one.
        """
        return only(self.body)


def elements(raw: bytes) -> list[Element]:
    """The consecutive elements of some bytes.

    Raises: Refused(BAD_PROOF).
    """
    if len(raw) > _MOST:
        raise Refused(Reason.BAD_PROOF)
    found, at = [], 0
    while at < len(raw):
        one, at = _one(raw, at)
        found.append(one)
    return found


def only(raw: bytes) -> Element:
    """The single element that fills some bytes.

    Raises: Refused(BAD_PROOF).
    """
    found = elements(raw)
    if len(found) != 1:
        raise Refused(Reason.BAD_PROOF)
    return found[0]


def _one(raw: bytes, at: int) -> tuple[Element, int]:
    try:
        tag, number, at = raw[at], -1, at + 1
        if tag & _CLASS == _CONTEXT:
            number, at = _number(raw, tag & _LONG_TAG, at)
        elif tag & _LONG_TAG == _LONG_TAG:
            raise Refused(Reason.BAD_PROOF)
        length, at = raw[at], at + 1
        if length & 0x80:
            size = length & 0x7F
            length, at = int.from_bytes(raw[at : at + size]), at + size
            # indefinite, too long, or not the shortest form
            if not 1 <= size <= _MOST_LENGTH_OCTETS or length < _SHORTEST_LONG:
                raise Refused(Reason.BAD_PROOF)
    except IndexError:
        raise Refused(Reason.BAD_PROOF) from None
    body = raw[at : at + length]
    if len(body) != length:
        raise Refused(Reason.BAD_PROOF)
    return Element(tag if number < 0 else _CONTEXT, number, body), at + length


def _number(raw: bytes, low: int, at: int) -> tuple[int, int]:
    if low != _LONG_TAG:
        return low, at
    number = 0
    for _ in range(3):
        octet, at = raw[at], at + 1
        number = number << 7 | octet & 0x7F
        if not octet & 0x80:
            return number, at
    raise Refused(Reason.BAD_PROOF)
