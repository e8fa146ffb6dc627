"""Read the mail of a Ramet with `RAMET_EMAIL_URL=file:`."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from email import message_from_bytes, policy
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_BETWEEN = re.compile(rb"\n-{79}\n")  # Django's file backend
_LINK = re.compile(r"https?://\S+")


@dataclass(frozen=True)
class Mail:
    """One message."""

    to: str
    subject: str
    body: str

    def link(self, part: str) -> str:
        """The first link that contains this, or an empty text."""
        return next((found.rstrip(".,;>)") for found in _LINK.findall(self.body) if part in found), "")


@dataclass(frozen=True)
class Mailbox:
    """All mail of a Ramet; `folder` is its `$RAMET_VAR/mail`."""

    folder: Path

    def to(self, address: str) -> list[Mail]:
        """The mail to one address, oldest first."""
        return [mail for mail in self._all() if address in mail.to]

    def wait_for(
        self, address: str, *, link: str = "", subject: str = "", after: int = 0, seconds: float = 20.0
    ) -> Mail | None:
        """The newest mail to an address, or None if none comes in time.

        link: only mail with a link that contains this. subject: only mail whose subject does.
        after: the number of such mails that are known already.
        """
        until = time.monotonic() + seconds
        while True:
            found = [mail for mail in self.to(address) if (not link or mail.link(link)) and subject in mail.subject]
            if len(found) > after:
                return found[-1]
            if time.monotonic() > until:
                return None
            time.sleep(0.2)

    def _all(self) -> list[Mail]:
        if not self.folder.is_dir():
            return []
        files = sorted(self.folder.iterdir(), key=lambda path: (path.stat().st_mtime_ns, path.name))
        return [_read(raw) for path in files for raw in _BETWEEN.split(path.read_bytes()) if raw.strip()]


def _read(raw: bytes) -> Mail:
    message = message_from_bytes(raw.lstrip(b"\n"), policy=policy.default)
    body = message.get_body(("plain",))
    return Mail(str(message["To"]), str(message["Subject"]), body.get_content() if body else "")
