"""Any sequence of logins, enrolments, refreshes, step-ups, clock moves and revocations (R6, C2, C3, I1, I2, I5).

The model is small: who is live, and the least level on each line of descent. What the product says is compared with it
after every step.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
import time_machine
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)

from derived import clock
from derived.changes import issue, revoke
from derived.errors import Reason, Refused
from derived.ledger import accounts, audit, status
from derived.ledger.locking import under_lock
from derived.models import Account, Credential, DeviceKey
from derived.rules.assurance import AAL, Factor, VerifiedFactors
from derived.rules.eligibility import BoundBy, BoundVia
from derived.rules.kinds import POLICIES, Kind, policy_of
from idp import clients
from idp.clients import Registration
from idp.login.session import login_of, record_login
from idp.models import AuthenticationEvent, Grant
from idp.oidc.endpoints.resource import live_grant
from idp.oidc.issuing import tokens
from idp.oidc.issuing.families import NewFamily, add_refresh_token, open_family
from idp.oidc.issuing.grants.refresh_token import PresentedRefreshToken, rotate
from idp.oidc.proofs.bound import ProofBinding
from scim.people import provision
from tests.fixtures import fresh_proofs

pytestmark = pytest.mark.database

LONG = os.environ.get("RAMET_TEST_LONG") == "1"
BOTH = VerifiedFactors(factors=frozenset({Factor.PASSWORD, Factor.TOTP}))
GROWN = [kind for kind in POLICIES if policy_of(kind).is_derived]
START = datetime(2026, 11, 23, 12, tzinfo=UTC)


class Machine(RuleBasedStateMachine):
    """One person's life, as the product sees it and as a few dictionaries do."""

    roots = Bundle("roots")
    devices = Bundle("devices")
    logins = Bundle("logins")
    families = Bundle("families")

    @initialize(target=roots)
    def begin(self) -> Any:
        self.travel = time_machine.travel(START, tick=False)
        self.time = self.travel.start()
        source, _ = provision.register_source(f"hr-{uuid4().hex[:8]}", vouched_ial=2, now=clock.now())
        body = {
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
            "userName": f"{uuid4().hex}@example.org",
            "active": True,
        }
        record = provision.create_user(source, body, now=clock.now())
        self.account_id = record.person.account_id
        self.party, _ = clients.register(
            Registration(name="App", redirect_uris=["https://app.example/cb"], public=True), now=clock.now()
        )
        self.bound: dict[Any, AAL] = {}  # credential id → the most it may ever be
        self.dead: set[Any] = set()
        self.auth_times: dict[Any, datetime] = {}
        self.families_of: dict[Any, Any] = {}
        self.refresh: dict[Any, str] = {}
        return self.invite()

    def teardown(self) -> None:
        if hasattr(self, "travel"):
            self.travel.stop()

    @property
    def account(self) -> Account:
        return Account.objects.get(id=self.account_id)

    # --- what may happen ----------------------------------------------------------------------------------------------

    @rule(target=roots)
    def invited_again(self) -> Any:
        """Bind a root, which succeeds once an epoch."""
        return self.invite()

    def invite(self) -> Any:
        try:
            root = under_lock(self.account_id, lambda locked: issue.password_totp(
                locked, credential_id=uuid4(), password_hash="x", totp_seed=b"x", totp_step=0, recovery_code_hashes=[],
                bound_by=BoundBy(how=BoundVia.INVITATION), now=clock.now(), actor="t",
            ))  # fmt: skip
        except Refused:
            return multiple()
        self.bound[root.id] = AAL.AAL2
        return root.id

    @initialize(target=logins, root=roots)
    def first_login(self, root: Any) -> Any:
        """Most lives begin with one."""
        return self._log_in(root, BOTH)

    @rule(target=logins, root=roots)
    def log_in(self, root: Any) -> Any:
        """Password and TOTP."""
        return self._log_in(root, BOTH)

    @rule(target=logins, device=devices, whole=st.booleans())
    def log_in_with_device(self, device: Any, whole: bool) -> Any:  # noqa: FBT001
        """All that it takes, or the key alone."""
        kind = Kind(Credential.objects.get(id=device).kind)
        return self._log_in(device, fresh_proofs.WHOLE[kind] if whole else fresh_proofs.ALONE[kind])

    def _log_in(self, used: Any, factors: VerifiedFactors) -> Any:
        credential = Credential.objects.get(id=used)

        def claim(locked: Account) -> None:
            fresh = Credential.objects.get(id=used)
            if fresh.state == "pending":
                if not factors.is_multi_factor:
                    raise Refused(Reason.CREDENTIAL_NOT_LIVE)
                issue.activate(fresh, account=locked, now=clock.now(), actor="t")
            DeviceKey.objects.filter(credential=fresh).update(authenticated_at=clock.now())

        try:
            event = under_lock(
                self.account_id, lambda locked: record_login(locked, credential, factors, now=clock.now(), claim=claim)
            )
        except Refused:
            return multiple()
        assert used not in self.dead
        self.auth_times[event.id] = clock.now()
        return event.id

    @rule(target=devices, login=logins, kind=st.sampled_from(GROWN))
    def enrol(self, login: Any, kind: Kind) -> Any:
        """Grow something from a login."""
        event = AuthenticationEvent.objects.select_related("credential__root", "credential__parent").get(id=login)
        evidence = login_of(event)
        try:
            device = under_lock(self.account_id, lambda locked: issue.derive(
                locked, fresh_proofs.PROOFS[kind](),
                issue.IssuanceRequest(login=evidence, root=event.credential, name="P", by="t"), now=clock.now(),
            ))  # fmt: skip
        except Refused:
            return multiple()
        assert event.credential.root_id is None, "something grew from a derived credential"
        assert event.credential_id not in self.dead
        assert clock.now() - self.auth_times[login] <= timedelta(minutes=20)
        self.bound[device.id] = min(self.bound[event.credential_id], evidence.aal)
        return device.id

    @rule(target=families, login=logins, offline=st.booleans())
    def get_tokens(self, login: Any, offline: bool) -> Any:  # noqa: FBT001
        """Open a family on a login."""
        event = AuthenticationEvent.objects.select_related("credential__root", "credential__parent").get(id=login)
        scope = "openid offline_access" if offline else "openid"

        def work(locked: Account) -> tuple[Grant, str | None]:
            acr = "http://idmanagement.gov/ns/assurance/aal/1"
            new = NewFamily(party=self.party, event=event, scope=scope, acr=acr, bound=ProofBinding(), refreshes=False)
            grant, _ = open_family(locked, new, now=clock.now())
            return grant, add_refresh_token(grant, now=clock.now())

        try:
            grant, token = under_lock(self.account_id, work)
        except Refused:
            return multiple()
        assert event.credential_id not in self.dead
        self.bound[grant.family_id] = min(self.bound[event.credential_id], AAL(event.aal))
        self.families_of[grant.family_id] = event.credential_id
        self.auth_times[grant.family_id] = self.auth_times[login]
        self.refresh[grant.family_id] = token or ""
        return grant.family_id

    @rule(family=families)
    def refresh_tokens(self, family: Any) -> None:
        """Rotate; what comes back is no newer a login and no stronger than before."""
        before = self.auth_times[family]
        try:
            granted = rotate(
                self.party,
                PresentedRefreshToken(token=self.refresh[family], bound=ProofBinding()),
                spend_proof=lambda: None,
                now=clock.now(),
            )
        except Refused:
            return
        assert family not in self.dead
        self.refresh[family] = granted.refresh_token or ""
        about = tokens.login_claims(granted.grant, granted.account)
        assert about["auth_time"] == int(before.timestamp())
        assert about["aal"] <= self.bound[family]
        assert int(about["acr"][-1]) <= about["aal"]

    @rule(family=families)
    def replay(self, family: Any) -> None:
        """An old token comes back: the family is over."""
        old = self.refresh[family]
        try:
            rotate(
                self.party,
                PresentedRefreshToken(token=old, bound=ProofBinding()),
                spend_proof=lambda: None,
                now=clock.now(),
            )
        except Refused:
            return
        try:
            rotate(
                self.party,
                PresentedRefreshToken(token=old, bound=ProofBinding()),
                spend_proof=lambda: None,
                now=clock.now(),
            )
            raise AssertionError("a refresh token served twice")
        except Refused:
            self.dead.add(family)

    @rule(seconds=st.sampled_from([1, 60, 299, 301, 1199, 1201, 3600, 86400, 40 * 86400]))
    def wait(self, seconds: int) -> None:
        """Time goes on."""
        self.time.shift(seconds)

    @rule(device=consumes(devices))
    def revoke_device(self, device: Any) -> None:
        """One ends, with the families it opened."""
        row = Credential.objects.get(id=device)
        under_lock(
            self.account_id,
            lambda locked: revoke.credential(
                row, account=locked, because=Reason.REMOVED_BY_PERSON, now=clock.now(), actor="t"
            ),
        )
        self._died(device)

    @rule(root=consumes(roots))
    def revoke_root(self, root: Any) -> None:
        """A lost root: its devices live on."""
        row = Credential.objects.get(id=root)
        under_lock(
            self.account_id,
            lambda locked: revoke.credential(
                row, account=locked, because=Reason.REPORTED_BY_PERSON, now=clock.now(), actor="t"
            ),
        )
        self._died(root)

    def _died(self, credential: Any) -> None:
        self.dead.add(credential)
        self.dead |= {family for family, used in self.families_of.items() if used == credential}

    @rule(root=roots)
    def weaken_root(self, root: Any) -> None:
        """It turns out weaker than recorded: everything below falls with it."""

        def weaken(locked: Account) -> None:
            row = Credential.objects.get(id=root)
            Credential.objects.filter(id=root).update(aal=AAL.AAL1)
            body = {"from": row.aal, "to": int(AAL.AAL1)}
            audit.record(locked, "credential.lowered", now=clock.now(), actor="t", credential=row, body=body)

        under_lock(self.account_id, weaken)
        below = {row.id for row in Credential.objects.filter(root_id=root)} | {root}
        for known in self.bound:
            if known in below:
                self.bound[known] = min(self.bound[known], AAL.AAL1)

    @precondition(lambda self: len(self.families_of) > 1)
    @rule()
    def end_and_reopen(self) -> None:
        """HR ends the person and takes it back: nothing returns."""
        if not self.account.is_active:
            return
        under_lock(
            self.account_id,
            lambda locked: revoke.everything(locked, because=Reason.DEACTIVATED_BY_SOURCE, now=clock.now(), actor="t"),
        )
        assert not Credential.objects.filter(
            account_id=self.account_id, state__in=["active", "pending", "suspended"]
        ).exists()
        self.dead |= set(self.bound)
        under_lock(self.account_id, lambda locked: accounts.reopen(locked, now=clock.now(), actor="t"))

    # --- what must hold after each step -------------------------------------------------------------------------------

    @invariant()
    def nothing_outranks_its_ancestors(self) -> None:
        if not hasattr(self, "bound"):
            return
        for row in Credential.objects.filter(id__in=self.bound).select_related("root", "parent"):
            assert status.level(row) <= self.bound[row.id]
            assert row.root is None or status.level(row) <= AAL(row.root.aal)
            assert row.parent is None or status.level(row) <= AAL(row.parent.aal)

    @invariant()
    def the_rows_are_as_the_chain_tells_them(self) -> None:
        if hasattr(self, "bound"):
            assert audit.verify(self.account) is None

    @invariant()
    def nothing_revoked_is_live(self) -> None:
        if not hasattr(self, "bound"):
            return
        account = self.account
        for row in Credential.objects.filter(id__in=self.dead):
            assert not status.is_live(row, account, now=clock.now()), row.kind
        for family in self.families_of:
            if family in self.dead:
                assert live_grant(Grant.objects.get(family_id=family), has_rules=True, now=clock.now()) is None


class TestMachine(TestCase, Machine.TestCase):  # type: ignore[misc,name-defined]
    """The machine, each run in a transaction of its own."""

    settings = settings(
        max_examples=1000 if LONG else int(os.environ.get("RAMET_TEST_EXAMPLES", "60")),
        stateful_step_count=50 if LONG else 30, deadline=None, derandomize=not LONG,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
