"""The entry point of validation: `validate`."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from derived.errors import Reason, Refused, Unavailable
from idp.certificates import engine, issuers, own, paths, reading, revocation, store, subject
from idp.certificates.configuration import BadConfiguration, Folder, current

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from asn1crypto.x509 import Certificate as Parsed

    from derived.changes.issue import VerifiedCertificate

logger = logging.getLogger(__name__)

_MOST_SENT = 10
# The reported reason if several paths fail differently: that of the path that got furthest.
_FURTHEST = (Reason.CERTIFICATE_REVOKED, Reason.CERTIFICATE_WRONG_POLICY, Reason.CERTIFICATE_UNTRUSTED)


def is_configured() -> bool:
    """True if there is a trust anchor, or an own authority, and no fault in the folder."""
    try:
        return bool(current().anchors) or own.exists()
    except BadConfiguration:
        return False


def left_out() -> tuple[str, ...]:
    """The intermediates that cannot be used, a line each; none if the folder cannot be used."""
    try:
        return current().left_out
    except BadConfiguration:
        return ()


def describe() -> str:
    """The configuration in a line, for an operator."""
    try:
        here = current()
    except BadConfiguration as error:
        return f"the pki folder cannot be used: {error}"
    policies = ", ".join((*here.policy.accepted, *here.policy.derived, *here.policy.derived_hardware))
    hosts = ", ".join(here.policy.fetch_from) or "nobody"
    anchors = f"{len(here.anchors)} anchors" if here.anchors else "no anchor, so no card is accepted"
    if own.exists():
        anchors += " (certificates of Ramet's own authority sign in)"
    unused = f" ({len(here.left_out)} left out)" if here.left_out else ""
    return f"{anchors}, {len(here.intermediates)} intermediates{unused}; accepts {policies}; fetches from {hosts}"


def validate(leaf_der: bytes, chain_der: Sequence[bytes], *, now: datetime) -> VerifiedCertificate:
    """The facts about a card, if its certificate may be used for authentication now (FIPS 201-3 §6.2.3.1; AU-2, AU-3).

    leaf_der: the certificate whose key was proven in a TLS handshake by the caller. chain_der: further certificates of
    the client, in any order, as material for paths.
    Raises: Refused(CERTIFICATE_LOGIN_OFF), Refused(CERTIFICATE_…) for each failure,
    Unavailable(CERTIFICATE_STATUS_UNKNOWN).
    """
    if (row := own.issued_row(leaf_der)) is not None:
        own.require_good(row, now=now)
        return own.facts_of(row)
    try:
        here = current()
    except BadConfiguration as error:
        logger.error("the pki folder cannot be used: %s", error)  # noqa: TRY400 - the message lists the faults
        raise Refused(Reason.CERTIFICATE_LOGIN_OFF) from None
    if not here.anchors:
        raise Refused(Reason.CERTIFICATE_LOGIN_OFF)
    found, leaf = reading.leaf(leaf_der, now=now)
    _require_plausible_policy(leaf, here)
    deadline = store.FetchDeadline(here.policy.total_seconds)
    pool = [*here.intermediates, *_sent_certificates(chain_der)]
    path = _path(leaf, pool, here, deadline, now=now)
    return subject.facts_of(
        found, leaf_der, issuer_key=path.chain[1].public_key.sha256, policies=path.policies, policy=here.policy
    )


def _require_plausible_policy(leaf: Parsed, here: Folder) -> None:
    """A leaf names its policies: none, anyPolicy, or a refused one, needs no path to be refused (X1, AU-3)."""
    stated = leaf.certificate_policies_value
    names = {one["policy_identifier"].native for one in stated} if stated else set()
    dotted = {one["policy_identifier"].dotted for one in stated} if stated else set()
    if not names or "any_policy" in names or dotted & set(here.policy.refused):
        raise Refused(Reason.CERTIFICATE_WRONG_POLICY)


def _sent_certificates(chain_der: Sequence[bytes]) -> list[Parsed]:
    """The readable CA certificates that a client sent."""
    found = []
    for der in chain_der[:_MOST_SENT]:
        try:
            found.append(reading.authority(der))
        except reading.Unreadable:
            continue
    return found


def _path(
    leaf: Parsed, pool: list[Parsed], here: Folder, deadline: store.FetchDeadline, *, now: datetime
) -> engine.ValidatedPath:
    """The first way up on which everything is right; issuers are fetched where none is known.

    Raises: Refused, Unavailable.
    """
    outcome = _first_valid_path(leaf, pool, here, deadline, now=now)
    if isinstance(outcome, Refused) and outcome.reason == Reason.CERTIFICATE_UNTRUSTED and here.policy.fetch_from:
        more = issuers.fetch_issuers(leaf, pool, here, deadline, now=now)
        if more:
            outcome = _first_valid_path(leaf, [*pool, *more], here, deadline, now=now)
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def _first_valid_path(
    leaf: Parsed, pool: Iterable[Parsed], here: Folder, deadline: store.FetchDeadline, *, now: datetime
) -> engine.ValidatedPath | Refused | Unavailable:
    policy = here.policy
    wanted = (*policy.accepted, *policy.derived, *policy.derived_hardware, *policy.refused)
    pool = list(pool)
    reasons: set[Reason] = set()
    unknown = False
    for chain in paths.build(leaf, pool, here.anchors):
        try:
            path = engine.validate_path(chain, wanted=wanted, now=now)
            subject.meaning_of_policies(path.policies, policy)
            revocation.require_good(path, policy, deadline, others=pool, now=now)
        except Refused as refusal:
            if refusal.reason == Reason.CERTIFICATE_REVOKED:
                return refusal
            reasons.add(refusal.reason)
        except Unavailable:
            unknown = True
            if not deadline.left:
                break
        else:
            return path
    if unknown:
        return Unavailable(Reason.CERTIFICATE_STATUS_UNKNOWN)
    return Refused(next((reason for reason in _FURTHEST if reason in reasons), Reason.CERTIFICATE_UNTRUSTED))


def prefetch(*, now: datetime) -> int:
    """Refresh stored CRLs before a login needs them (for the worker); returns their number.

    OCSP responses are about single cards, and requested at their use.
    """
    try:
        here = current()
    except BadConfiguration:
        return 0
    return revocation.refresh(here, now=now) if here.anchors and here.policy.fetch_from else 0
