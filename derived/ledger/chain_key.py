"""The key of the audit chain: made once for a database, stored wrapped, never in the clear (promise 5).

Whoever can write SQL but does not hold the key-encryption key cannot compute a link. The migration that creates
`LedgerState` makes the key; `idp` says at start how to unwrap it.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from derived.errors import Reason, Unavailable
from derived.models import LedgerState

if TYPE_CHECKING:
    from collections.abc import Callable

    from derived.wrapping import Wrapper

_PURPOSE, _OWNER = "audit-chain", "ledger"


class _Holder:
    """The wrapper of this process, and the key once it was unwrapped."""

    wrapper: Callable[[], Wrapper] | None = None
    key: bytes = b""


def unwrap_with(wrapper: Callable[[], Wrapper]) -> None:
    """Name the wrapper of this process; called once, when the application starts."""
    _Holder.wrapper = wrapper
    _Holder.key = b""


def new_wrapped() -> bytes:
    """A new key, wrapped, for the row of a new database.

    Raises: Unavailable(KEY_UNAVAILABLE).
    """
    return _wrapper().wrap(secrets.token_bytes(32), purpose=_PURPOSE, owner=_OWNER)


def unwrapped(wrapped: bytes) -> bytes:
    """The key of a row.

    Raises: Unavailable(KEY_UNAVAILABLE) if it was wrapped by another key-encryption key.
    """
    return _wrapper().unwrap(wrapped, purpose=_PURPOSE, owner=_OWNER)


def chain_key() -> bytes:
    """The key of this database's chains, read and unwrapped once in a process.

    Raises: Unavailable(KEY_UNAVAILABLE).
    """
    if not _Holder.key:
        wrapped = LedgerState.objects.values_list("chain_key", flat=True).first()
        if wrapped is None:
            raise Unavailable(Reason.KEY_UNAVAILABLE)
        _Holder.key = unwrapped(bytes(wrapped))
    return _Holder.key


def _wrapper() -> Wrapper:
    if _Holder.wrapper is None:
        raise Unavailable(Reason.KEY_UNAVAILABLE)
    return _Holder.wrapper()
