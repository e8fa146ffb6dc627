"""The form of log lines: one per record, control characters escaped, secrets masked (C78, I10, A14)."""

from __future__ import annotations

import logging
import re

_MOST = 2048
_SECRETS = re.compile(
    r"(?P<name>(?:access_token|refresh_token|id_token|client_secret|code_verifier|passphrase|password|totp|assertion"
    r"|client_assertion|proof|code|token|secret|authorization|dpop|cookie)['\"]?\s*[=:]\s*['\"]?)(?P<value>[^\s'\"&,}]+)",
    re.IGNORECASE,
)
_LINKS = re.compile(r"(?P<path>/(?:invitation|undo)/)[A-Za-z0-9_-]{16,}")
_JWT = re.compile(r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*")


def redacted(text: str) -> str:
    """The text with tokens, codes and passwords masked."""
    text = _JWT.sub("[token]", text)
    text = _LINKS.sub(r"\g<path>[token]", text)
    return _SECRETS.sub(r"\g<name>[masked]", text)


class OneLine(logging.Formatter):
    """Formats a record, traceback included, as one redacted line."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line = redacted(super().format(record))
        line = line.replace("\r", "\\r").replace("\n", "\\n")
        return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in line)[:_MOST]
