"""Whether a directory's own attributes say that an account is disabled; pure.

Each directory states it in its own way, as its documentation says:

    Active Directory     `userAccountControl` and `msDS-User-Account-Control-Computed` (ACCOUNTDISABLE, LOCKOUT),
                         `msDS-UserAccountDisabled` (AD LDS), `accountExpires`, `isDeleted`; its exports: `Enabled`
    Entra ID             `accountEnabled`
    OpenLDAP, ApacheDS   `pwdAccountLockedTime`, `pwdStartTime`, `pwdEndTime` (draft-behera-ldap-password-policy §5.3)
    389, FreeIPA, DSEE   `nsAccountLock`, the roles `nsDisabledRole` and `nsManagedDisabledRole`, `inetUserStatus`,
                         `krbPrincipalExpiration`, and the container of deleted users
    PingDirectory, OUD   `ds-pwp-account-disabled`, `ds-pwp-account-expiration-time`
    eDirectory           `loginDisabled`, `lockedByIntruder`, `loginExpirationTime`
    IBM SDS              `ibm-pwdAccountLocked`
    Oracle OID           `orclIsEnabled`, `orclActiveEndDate`
    Samba, POSIX, qmail  `sambaAcctFlags`, `sambaKickoffTime`, `shadowExpire`, `accountStatus`

An account that is locked counts as disabled: its directory lets it sign in nowhere. A value that cannot be read counts
as disabled too.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_DISABLED_BITS = 0x2 | 0x10  # ACCOUNTDISABLE, LOCKOUT
_NEVER = frozenset({0, 2**63 - 1})  # accountExpires of an account that never expires
_FILETIME_FROM = datetime(1601, 1, 1, tzinfo=UTC)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NUMBER = re.compile(r"-?[0-9]{1,19}")
_TIME = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})?([0-9]{2})?(?:[.,][0-9]+)?(Z|[+-][0-9]{2,4})?")
_DELETED_CONTAINERS = re.compile(r"(?:^|,)\s*cn=(?:deleted users|deleted objects)\s*,", re.IGNORECASE)


def _unless(*words: str) -> Callable[[str, datetime], bool]:
    """An attribute that disables with every value but these."""
    return lambda value, _now: value.lower() not in words


def _bits(value: str, _now: datetime) -> bool:
    return not _NUMBER.fullmatch(value) or bool(int(value) & _DISABLED_BITS)


def _filetime(value: str, now: datetime) -> bool:
    """A count of 100 ns since 1601."""
    if not _NUMBER.fullmatch(value):
        return _past(value, now)
    if int(value) in _NEVER:
        return False
    try:
        return _FILETIME_FROM + timedelta(microseconds=int(value) // 10) <= now
    except OverflowError:
        return int(value) < 0


def _generalized(value: str) -> datetime | None:
    """A GeneralizedTime (RFC 4517 §3.3.13); None for another form."""
    parts = _TIME.fullmatch(value)
    if parts is None:
        return None
    year, month, day, hour, minute, second = (int(one or 0) for one in parts.groups()[:6])
    zone = parts[7] or "Z"
    shift = timedelta() if zone == "Z" else timedelta(hours=int(zone[1:3]), minutes=int(zone[3:] or 0))
    try:
        found = datetime(year, month, day, hour, minute, min(second, 59), tzinfo=UTC)
        return found + shift if zone.startswith("-") else found - shift
    except (ValueError, OverflowError):
        return None


def _past(value: str, now: datetime) -> bool:
    found = _generalized(value)
    return found is None or found <= now


def _future(value: str, now: datetime) -> bool:
    found = _generalized(value)
    return found is None or found > now


def _days(value: str, now: datetime) -> bool:
    """A count of days since 1970; below 0 is never."""
    return not _NUMBER.fullmatch(value) or 0 <= int(value) <= (now - _EPOCH).days


def _seconds(value: str, now: datetime) -> bool:
    """A count of seconds since 1970; 0 and the largest 32-bit number are never."""
    return not _NUMBER.fullmatch(value) or 0 < int(value) <= min(now.timestamp(), 2**31 - 2)


_LOCKED = _unless("false", "no", "0", "n")
_ENABLED = _unless("true", "yes", "1", "y")
_STATES: dict[str, Callable[[str, datetime], bool]] = {
    "useraccountcontrol": _bits,
    "msds-user-account-control-computed": _bits,
    "msds-useraccountdisabled": _LOCKED,
    "accountexpires": _filetime,
    "isdeleted": _LOCKED,
    "enabled": _ENABLED,
    "accountenabled": _ENABLED,
    "pwdaccountlockedtime": lambda _value, _now: True,
    "pwdstarttime": _future,
    "pwdendtime": _past,
    "nsaccountlock": _LOCKED,
    "inetuserstatus": _unless("active"),
    "krbprincipalexpiration": _past,
    "ds-pwp-account-disabled": _LOCKED,
    "ds-pwp-account-expiration-time": _past,
    "logindisabled": _LOCKED,
    "lockedbyintruder": _LOCKED,
    "loginexpirationtime": _past,
    "ibm-pwdaccountlocked": _LOCKED,
    "orclisenabled": _unless("enabled", "true"),
    "orclactiveenddate": _past,
    "sambaacctflags": lambda value, _now: bool(set(value.upper()) & set("DL")),
    "sambakickofftime": _seconds,
    "shadowexpire": _days,
    "accountstatus": _unless("active", "enabled"),
}
_ROLES = frozenset({"nsrole", "nsroledn"})
_DISABLED_ROLES = ("cn=nsdisabledrole", "cn=nsmanageddisabledrole")
# Each says by itself that the account is enabled; without one of these nothing is said about it.
_STATED = frozenset(
    {
        *("useraccountcontrol", "msds-useraccountdisabled", "enabled", "accountenabled", "nsaccountlock"),
        *("inetuserstatus", "ds-pwp-account-disabled", "logindisabled", "orclisenabled", "accountstatus"),
    }
)
ATTRIBUTES = frozenset({*_STATES, *_ROLES})


def is_active(stated: Mapping[str, Sequence[str]], *, now: datetime, dn: str = "") -> bool | None:
    """False if any attribute says that the account is disabled, True if one says that it is not, else None.

    stated: the values of each of `ATTRIBUTES`, by its name in lower case.
    """
    if any(_STATES[name](value, now) for name, values in stated.items() if name in _STATES for value in values):
        return False
    roles = [value.lower() for name in _ROLES for value in stated.get(name, ())]
    if any(role.startswith(_DISABLED_ROLES) for role in roles) or _DELETED_CONTAINERS.search(dn):
        return False
    return True if any(stated.get(name) for name in _STATED) else None
