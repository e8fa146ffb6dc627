"""A process with Ramet's environment that makes people, codes and tokens by the product's own functions.

JSON lines in: {"codes": 100, "jkts": [...]}, {"refresh_tokens": 100} or {"access_token": true}; the results out.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
from base64 import urlsafe_b64encode
from datetime import timedelta
from hashlib import sha256
from itertools import cycle, islice
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "idp.settings")
django.setup()

from derived import clock  # noqa: E402 - Django's apps come first
from derived.changes import issue  # noqa: E402 - Django's apps come first
from derived.ledger.locking import transacted, under_lock  # noqa: E402
from derived.ledger.prepared_sql import insert_rows  # noqa: E402
from derived.rules.assurance import Factor, VerifiedFactors  # noqa: E402
from derived.rules.eligibility import BoundBy, BoundVia  # noqa: E402
from idp import clients  # noqa: E402
from idp.clients import CLIENT_CREDENTIALS, SERVICE_SCOPES, Registration  # noqa: E402
from idp.login import password, totp  # noqa: E402
from idp.login.session import record_login  # noqa: E402
from idp.models import AuthorizationRequest, Code, LoginSession  # noqa: E402
from idp.oidc.issuing.families import NewFamily, open_family  # noqa: E402
from idp.oidc.issuing.tokens import Granted, signing_keys, token_response  # noqa: E402
from idp.oidc.proofs.bound import ProofBinding  # noqa: E402
from idp.oidc.requests.ask import Ask  # noqa: E402
from idp.secrets import hash_secret, opaque  # noqa: E402
from scim.people import provision  # noqa: E402

if TYPE_CHECKING:
    from derived.models import Account

CALLBACK, SCOPE = "https://app.example/callback", "openid profile email offline_access"
VERIFIER = "v" * 43
CHALLENGE = urlsafe_b64encode(sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
CORE = "urn:ietf:params:scim:schemas:core:2.0:User"


class Fixture:
    """A client, and signed-in people."""

    def __init__(self, people: int) -> None:
        self.party, self.secret = clients.register(
            Registration(
                name="Bench",
                redirect_uris=[CALLBACK],
                scopes=[*SCOPE.split(), *SERVICE_SCOPES],
                grants=[CLIENT_CREDENTIALS],
            ),
            now=clock.now(),
        )
        source, _ = provision.register_source("bench", vouched_ial=2, now=clock.now())
        self._hash = password.hashed("mossy stones by the river")
        self.sessions = [self._signed_in(source) for _ in range(people)]

    def _signed_in(self, source: Any) -> LoginSession:  # noqa: ANN401
        name, now = f"bench-{secrets.token_hex(6)}@example.org", clock.now()
        body = {
            "schemas": [CORE],
            "userName": name,
            "name": {"givenName": "Bench", "familyName": "Mark"},
            "emails": [{"value": name, "type": "work", "primary": True}],
        }
        person = provision.create_user(source, body, now=now).person
        credential_id, seed = uuid4(), totp.new_seed()

        def work(account: Account) -> LoginSession:
            root = issue.password_totp(
                account,
                credential_id=credential_id,
                password_hash=self._hash,
                totp_seed=totp.wrap(seed, owner=credential_id),
                totp_step=0,
                recovery_code_hashes=[],
                bound_by=BoundBy(how=BoundVia.INVITATION),
                now=now,
                actor="person",
            )
            event = record_login(
                account, root, VerifiedFactors(factors=frozenset({Factor.PASSWORD, Factor.TOTP})), now=now
            )
            return LoginSession.objects.create(
                sid=opaque(),
                account=account,
                epoch=account.epoch,
                event=event,
                created_at=now,
                last_seen_at=now,
                expires_at=now + timedelta(hours=24),
            )

        return under_lock(person.account_id, work)

    def codes(self, count: int) -> list[str]:
        """Codes of many people."""
        now, made = clock.now(), []
        ask = Ask(scope=SCOPE, code_challenge=CHALLENGE, nonce="n").stored()

        def work() -> None:
            made.clear()
            for session in islice(cycle(self.sessions), count):
                code = opaque()
                asked = AuthorizationRequest(
                    id=opaque(),
                    client=self.party.client,
                    browser="",
                    redirect_uri=CALLBACK,
                    ask=ask,
                    created_at=now,
                    expires_at=now + timedelta(minutes=10),
                    consumed_at=now,
                )
                row = Code(
                    code_hash=hash_secret(code, kind="code"),
                    request=asked,
                    session=session,
                    event=session.event,
                    account=session.account,
                    epoch=session.epoch,
                    created_at=now,
                    expires_at=now + timedelta(minutes=10),
                )
                insert_rows(asked, row)
                made.append(code)

        transacted(work)
        return made

    def refresh_tokens(self, count: int, jkt: str = "") -> list[str]:
        """Refresh tokens, each of its own token family."""
        return [self._granted(session, jkt).refresh_token or "" for session in islice(cycle(self.sessions), count)]

    def access_token(self) -> str:
        """One access token."""
        granted, now = self._granted(self.sessions[0], ""), clock.now()
        return str(token_response(granted, signing_keys(self.party, now=now), now=now)["access_token"])

    def _granted(self, session: LoginSession, jkt: str) -> Granted:
        now = clock.now()

        def work(account: Account) -> Granted:
            family = NewFamily(
                party=self.party,
                event=session.event,
                session=session,
                scope=SCOPE,
                nonce="n",
                bound=ProofBinding(jkt=jkt),
                acr="http://idmanagement.gov/ns/assurance/aal/2",
                refreshes=True,
            )
            grant, token = open_family(account, family, now=now)
            return Granted(
                grant=grant,
                account=account,
                party=self.party,
                scope=SCOPE,
                audience=os.environ["RAMET_ISSUER"],
                bound=ProofBinding(jkt=jkt),
                refresh_token=token,
            )

        return under_lock(session.account_id, work)


def main() -> None:
    """Answer requests until the end of the input."""
    fixture = Fixture(people=50)
    first = {
        "client_id": fixture.party.client_id,
        "client_secret": fixture.secret,
        "code_verifier": VERIFIER,
        "redirect_uri": CALLBACK,
    }
    sys.stdout.write(json.dumps(first) + "\n")
    sys.stdout.flush()
    for line in sys.stdin:
        ((name, value),) = json.loads(line).items()
        made = fixture.access_token() if name == "access_token" else getattr(fixture, name)(value)
        sys.stdout.write(json.dumps(made) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
