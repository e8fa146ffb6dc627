"""Redeem a device code (RFC 8628 §3.4): polled, approved by a person elsewhere, spent once (A8, C13, P34)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from authlib.oauth2.rfc6749 import OAuth2Error
from django.db.models import F, Q

from derived.errors import AlreadySpent, Reason, Refused
from derived.ledger.locking import transacted, under_lock
from derived.ledger.single_use import claim_once
from idp.clients import DEVICE_CODE
from idp.login.session import has_not_ended
from idp.models import DeviceAuthorization
from idp.oidc.claims import acr
from idp.oidc.issuing.families import NewFamily, open_family, relayed_login
from idp.oidc.issuing.grants.base import GrantBase
from idp.oidc.issuing.tokens import Granted
from idp.oidc.requests.target import audience
from idp.secrets import hash_secret

if TYPE_CHECKING:
    from datetime import datetime

    from derived.models import Account
    from idp.clients import RelyingParty
    from idp.oidc.proofs.bound import ProofBinding

_SLOWER_BY = 5
_LONGEST_INTERVAL = 120


class DeviceCodeGrant(GrantBase):
    """`grant_type=urn:ietf:params:oauth:grant-type:device_code`."""

    GRANT_TYPE = DEVICE_CODE
    REQUIRED = ("device_code",)

    def grant(self, party: RelyingParty, *, bound: ProofBinding, now: datetime) -> Granted:
        """Redeem the device code of this request, if a person has approved it."""
        form = self.request.form
        device_hash = hash_secret(form["device_code"], kind="device-code")
        row = DeviceAuthorization.objects.filter(device_hash=device_hash).first()
        if row is None or row.client_id != party.client.pk or row.consumed_at is not None:
            raise Refused(Reason.BAD_CODE)
        if row.expires_at <= now:
            raise OAuth2Error(error="expired_token", description="Nobody typed the code in time. Start again.")
        if row.status == "denied":
            raise OAuth2Error(error="access_denied", description="The person said no.")
        if row.status != "approved" or row.account_id is None:
            raise _not_yet(row, now=now)
        return under_lock(
            row.account_id,
            lambda account: _redeemed(
                device_hash, account, party, bound=bound, resource=form.get("resource", ""), now=now
            ),
        )


def _not_yet(row: DeviceAuthorization, *, now: datetime) -> OAuth2Error:
    """RFC 8628 §3.5: wait, or wait longer; asking too soon adds five seconds for good."""

    def came_in_time() -> bool:
        rows = DeviceAuthorization.objects.filter(pk=row.pk)
        in_time = Q(asked_at__isnull=True) | Q(asked_at__lte=now - timedelta(seconds=row.interval))
        if rows.filter(in_time, interval=row.interval).update(asked_at=now) == 1:
            return True
        rows.filter(interval__lt=_LONGEST_INTERVAL).update(asked_at=now, interval=F("interval") + _SLOWER_BY)
        return False

    if transacted(came_in_time):
        return OAuth2Error(error="authorization_pending", description="Nobody has approved this yet.")
    return OAuth2Error(error="slow_down", description="Ask less often: wait five seconds longer from now on.")


def _redeemed(  # noqa: PLR0913 - the compared values
    device_hash: str, account: Account, party: RelyingParty, *, bound: ProofBinding, resource: str, now: datetime
) -> Granted:
    """Claim the code under the account's lock, and evaluate every gate again (C16, P25)."""
    rows = DeviceAuthorization.objects.filter(device_hash=device_hash)
    if not claim_once(rows.filter(status="approved", account=account), now=now):
        raise AlreadySpent
    row = rows.select_related(
        "session__event__credential__root",
        "session__event__credential__parent",
        "session__event__beside",
        "event__credential__root",
        "event__credential__parent",
        "event__beside",
    ).get()
    session, event = row.session, row.event
    if session is None or event is None or row.epoch != account.epoch:
        raise Refused(Reason.LOGIN_ENDED, spends=True)
    session.account = account
    if not has_not_ended(session, now=now):
        raise Refused(Reason.LOGIN_ENDED, spends=True)
    login = relayed_login(event)
    value = acr.first_satisfied(row.acr_values, login)
    if value is None or not party.admits(login):
        raise Refused(Reason.LEVEL_NOT_REACHED, spends=True)
    scope = party.get_allowed_scope(row.scope)
    target = audience(resource, row.resources, scope)
    new = NewFamily(
        party=party,
        event=event,
        session=session,
        scope=scope,
        acr=value,
        bound=bound,
        refreshes=True,
        resources=row.resources,
        fal=1,
        relayed=True,
    )
    grant, refresh_token = open_family(account, new, now=now)
    return Granted(
        grant=grant,
        account=account,
        party=party,
        scope=scope,
        audience=target,
        bound=bound,
        refresh_token=refresh_token,
    )
