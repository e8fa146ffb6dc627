"""A process on an upgraded database: what the people, the apps and the source of before do there, at their own time.

python -m tests.upgrades.visit KNOWN    KNOWN: a JSON file with what they know; the answers are printed as JSON
"""

from __future__ import annotations

import json
import os
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import django
import time_machine

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "idp.settings")
django.setup()

from demo.authenticator import Authenticator  # noqa: E402
from demo.browser import Browser  # noqa: E402
from demo.person import Person  # noqa: E402
from derived import clock  # noqa: E402
from derived.ledger import audit, locking  # noqa: E402
from derived.models import Account, Credential, IssuedCertificate  # noqa: E402
from device.client import DeviceClient  # noqa: E402
from device.keeping import Enrolment  # noqa: E402
from device.key import DeviceKey  # noqa: E402
from tests.fixtures.world import ISSUER, http, userinfo  # noqa: E402


def _person(known: dict[str, Any]) -> Person:
    person = Person(known["username"], name="Alex Moss", email=known["username"], password=known["password"])
    person.authenticator = Authenticator(known["totp_secret"])
    return person


def _refreshed(known: dict[str, Any]) -> dict[str, Any]:
    form = {"grant_type": "refresh_token", "refresh_token": known["refresh_token"]}
    with http() as agent:
        answer = agent.post("/oidc/token", data=form, auth=(known["client_id"], known["client_secret"]))
    return {"status": answer.status_code, **answer.json()}


def _phone(known: dict[str, Any]) -> DeviceClient:
    phone = known["phone"]
    kept = Enrolment(
        key=DeviceKey.from_private_jwk(phone["jwk"]),
        issuer=ISSUER,
        device_name="Alex's phone",
        credential_id=phone["credential"],
        clients=(phone["client_id"],),
    )
    return DeviceClient(kept, http=http(), clock=clock.now, sleep=lambda _: None)


def visited(known: dict[str, Any]) -> dict[str, Any]:
    """Sign in, refresh, log in by the phone, list by SCIM, and walk every chain of the record."""
    before = {str(one.id): audit.verify(one) for one in Account.objects.all()}
    person, browser = _person(known), Browser(http())
    page = person.sign_in(browser, browser.get(f"{ISSUER}/login"))
    refreshed = _refreshed(known)
    phone = known["phone"]
    tokens = _phone(known).login(phone["client_id"], passphrase=phone["passphrase"], scope="openid")
    with http() as agent:
        listed = agent.get("/scim/v2/Users", headers={"Authorization": f"Bearer {known['scim_token']}"}).json()
    return {
        "signed in": page.path,
        "refreshed": refreshed["status"],
        "refreshed for": userinfo(refreshed.get("access_token", "")).json().get("preferred_username"),
        "refresh token rotated": refreshed.get("refresh_token", known["refresh_token"]) != known["refresh_token"],
        "phone": bool(tokens.access_token),
        "listed": sorted(one["userName"] for one in listed["Resources"]),
        "living": Credential.objects.filter(state="active", account__status="active").count(),
        "ended": Credential.objects.filter(account__status="terminated").exclude(state="active").count(),
        "certificates": IssuedCertificate.objects.count(),
        "broken before": [name for name, broken in before.items() if broken],
        "broken after": [str(one.id) for one in Account.objects.all() if audit.verify(one)],
    }


def main() -> None:
    """Print what came of it."""
    known = json.loads(Path(sys.argv[1]).read_text())
    # Time is travelled in this process only, so the database server's clock cannot be compared.
    locking._require_one_time = lambda _there, _before: None  # type: ignore[assignment]
    locking.database_now = lambda: None  # type: ignore[assignment,return-value]
    with time_machine.travel(datetime.fromisoformat(known["made_at"]) + timedelta(minutes=10)):
        print(json.dumps(visited(known)))  # noqa: T201


if __name__ == "__main__":
    main()
