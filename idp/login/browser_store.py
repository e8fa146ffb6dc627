"""Django's database sessions, stored under the hash of their key, so that a copy of the table signs nobody in (I10)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.contrib.sessions.models import Session

from derived import clock
from derived.ledger.prepared_sql import BoundValue, PreparedSelect, field_of
from idp.secrets import hash_secret

if TYPE_CHECKING:
    from datetime import datetime

    from django.db.models import QuerySet

_POINTER = "login_session"  # `idp.login.session`
_ANONYMOUS = timedelta(hours=1)


def _live() -> QuerySet[Session]:
    return Session.objects.filter(
        session_key=BoundValue("session_key", field_of(Session)),
        expire_date__gt=BoundValue("now", field_of(Session, "expire_date")),
    )


_STATE = PreparedSelect(_live)


class SessionStore(DatabaseStore):
    """The anonymous state of a browser; its login is a `LoginSession` to which this points."""

    @property
    def _row_key(self) -> str:
        return hash_secret(self.session_key or "", kind="browser")[:40]

    def _get_session_from_db(self) -> Session | None:
        row = _STATE.first(session_key=self._row_key, now=clock.now())
        if row is None:
            self._session_key = None
        return row

    def exists(self, session_key: str) -> bool:
        """True if a key is in use."""
        return Session.objects.filter(session_key=hash_secret(session_key, kind="browser")[:40]).exists()

    def create_model_instance(self, data: dict[str, Any]) -> Session:
        """The row to save: keyed by the hash."""
        expires: datetime = self.get_expiry_date()
        if (
            _POINTER not in data
        ):  # nobody has signed in here: a stranger can make as many as the gate lets in (`idp.gate`)
            expires = min(expires, clock.now() + _ANONYMOUS)
        return Session(session_key=self._row_key, session_data=self.encode(data), expire_date=expires)

    def delete(self, session_key: str | None = None) -> None:
        """Delete the state of a browser."""
        key = session_key or self.session_key
        if key:
            Session.objects.filter(session_key=hash_secret(key, kind="browser")[:40]).delete()
