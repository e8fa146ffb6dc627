"""An authenticator app (RFC 6238) that never shows a time step twice."""

from __future__ import annotations

import hashlib
import hmac
import sys
import time
from base64 import b32decode
from datetime import UTC, datetime

STEP = 30
_DRIFT = 1  # a server allows one step of clock drift, so the next step may be used a little early
_MARGIN = 5.0  # seconds that the transmission of a code may take


def totp(secret: str, *, step: int) -> str:
    """The six digits of a base32 secret for one 30-second step (RFC 4226 §5.3)."""
    key = b32decode(secret.upper() + "=" * (-len(secret) % 8))
    digest = hmac.new(key, step.to_bytes(8, "big"), hashlib.sha1).digest()
    offset = digest[-1] & 15
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFFFFFF
    return f"{number % 1_000_000:06d}"


class Authenticator:
    """Remembers the last used step, because a server accepts each once."""

    def __init__(self, secret: str) -> None:
        self._secret = secret
        self._last = 0

    def code(self) -> str:
        """The next unused code; waits if its step is too far ahead."""
        return self._at(max(self._last + 1, _current()))

    def first_code(self) -> str:
        """The code of the previous step, so that the present one is left for the first login."""
        if STEP - _seconds() % STEP < _MARGIN:  # about to be two steps old
            time.sleep(_MARGIN)
        return self._at(_current() - 1)

    def _at(self, step: int) -> str:
        while step > _current() + _DRIFT:
            time.sleep(0.5)
        self._last = step
        return totp(self._secret, step=step)


def _current() -> int:
    return int(_seconds()) // STEP


def _seconds() -> float:
    return datetime.now(UTC).timestamp()


def main() -> None:
    """Print the present code: `python -m demo.authenticator SECRET`."""
    if len(sys.argv) != 2:  # noqa: PLR2004 - the program and one argument
        sys.exit("usage: python -m demo.authenticator SECRET")
    left = STEP - int(_seconds()) % STEP
    try:
        print(f"{totp(sys.argv[1], step=_current())}   (for {left} s more)")
    except ValueError:
        sys.exit("that is not a base32 secret")


if __name__ == "__main__":
    main()
