"""The gate of every access token: family, login, session and client still allow it (TK-1, I2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from derived.errors import Reason, Refused
from derived.ledger import status
from idp.clients import DEVICE_CODE
from idp.login.session import has_live_credentials, has_not_ended
from idp.oidc.issuing.families import login_of_grant, require_allowed, require_entitled

if TYPE_CHECKING:
    from datetime import datetime

    from derived.models import Account
    from idp import models
    from idp.clients import RelyingParty


def require_live(grant: models.Grant, account: Account, party: RelyingParty, *, now: datetime) -> None:
    """Require that the family, its login credential and its session are live, and that its client still permits it.

    See TK-1, I2.
    Raises: Refused(CREDENTIAL_NOT_LIVE), Refused(LOGIN_ENDED), Refused(LEVEL_NOT_REACHED), Refused(NOT_ENTITLED).
    """
    family = grant.family
    if not status.is_live(family, account, now=now) or not has_live_credentials(grant.event, account, now=now):
        raise Refused(Reason.CREDENTIAL_NOT_LIVE)
    policy = party.policy
    if (policy.dpop_required and not grant.jkt) or (policy.certificate_bound and not (grant.x5t or grant.jkt)):
        # granted before its client was required to (C21)
        raise Refused(Reason.CREDENTIAL_NOT_LIVE)
    if grant.session is not None and not grant.offline:
        grant.session.account = account
        if not has_not_ended(grant.session, now=now):
            raise Refused(Reason.LOGIN_ENDED)
    if grant.relayed and not party.check_grant_type(DEVICE_CODE):  # the operator took it away since (C13, C16)
        raise Refused(Reason.CREDENTIAL_NOT_LIVE)
    if policy.most_session is not None and now - grant.event.at > policy.most_session:
        raise Refused(Reason.LOGIN_ENDED)
    if not party.admits(login_of_grant(grant)):
        raise Refused(Reason.LEVEL_NOT_REACHED)
    require_entitled(account, party, now=now)
    require_allowed(grant, account, party, now=now)
