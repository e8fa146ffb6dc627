"""Joiners, movers, leavers: what a push does to the person, the account, the outbox and the record."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from derived import clock
from derived.changes import revoke
from derived.errors import Reason
from derived.ledger import accounts, audit
from derived.ledger.locking import under_lock
from derived.models import AccountStatus, Credential, OutboxRow
from idp.signals import worker
from scim.models import Person, Record
from scim.people.directory import person_by_login_name
from tests.fixtures import ledger_rows
from tests.fixtures.scim_client import PATCH, Scim, user

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.database

_OFF = {"op": "replace", "path": "active", "value": False}
_ON = {"op": "replace", "path": "active", "value": True}


def _person(record_id: str) -> Person:
    return Record.objects.select_related("person__account").get(id=record_id).person


def _send_mail() -> None:
    """Deliver what waits, so that the next cause is a mail of its own."""
    while worker.step(now=clock.now()):
        pass


def _outbox(person: Person, kind: str) -> int:
    return OutboxRow.objects.filter(account=person.account, kind=kind, receiver=f"mail:{person.account_id}").count()


def _enrol(person: Person) -> Credential:
    return ledger_rows.recorded(person.account)


def test_joiner(hr: Scim) -> None:
    """A push makes a person with an account, a login name and one invitation."""
    person = _person(hr.create("Ada"))
    assert (person.login_name, person.active, person.account.status) == ("Ada", True, AccountStatus.ACTIVE)
    assert person.addresses() == ["Ada@example.org"]
    assert person.provenance["userName"]["source"] == "hr"
    assert _outbox(person, "invite") == 1
    assert audit.verify(person.account) is None
    assert person_by_login_name("ADA") == person
    assert person_by_login_name("a\x00da") is None


def test_only_a_trusted_source_vouches_for_ial(connect: Callable[..., Scim]) -> None:
    """Only a source with authority gives an identity assurance level (ruling 3)."""
    assert _person(connect("plain").create("a")).account.ial == 0
    assert _person(connect("vouching", vouched_ial=2).create("b")).account.ial == 2


@pytest.mark.parametrize("shape", ["patch", "no path", "string", "Entra", "put", "delete"])
def test_every_vendors_deactivation_ends_everything(hr: Scim, shape: str) -> None:
    """PATCH in every vendor's shape, PUT and DELETE end the account and its credentials at once (ID-6)."""
    record_id = hr.create()
    credential = _enrol(_person(record_id))
    match shape:
        case "put":
            status, _ = hr("PUT", f"/Users/{record_id}", user(active=False))
        case "delete":
            status, _ = hr("DELETE", f"/Users/{record_id}")
        case _:
            operation: dict[str, Any] = {
                "patch": _OFF,
                "no path": {"op": "replace", "value": {"active": False}},
                "string": {"op": "replace", "path": "active", "value": "False"},
                "Entra": {"op": "Replace", "path": "ACTIVE", "value": "false"},
            }[shape]
            status, _ = hr.patch(record_id, operation)
    assert status in {200, 204}
    person = _person(record_id)
    credential.refresh_from_db()
    assert (person.active, person.account.status, credential.state) == (False, AccountStatus.TERMINATED, "revoked")
    assert OutboxRow.objects.filter(account=person.account, kind="fan_out").count() == 1
    assert audit.verify(person.account) is None


def test_pushed_as_inactive(hr: Scim) -> None:
    """A person who is pushed inactive gets no invitation and no live account."""
    person = _person(hr.create(active=False))
    assert (person.account.status, _outbox(person, "invite")) == (AccountStatus.TERMINATED, 0)


@pytest.mark.parametrize("body", [user(), user(title="Boss")])
def test_put_without_active_keeps_false(hr: Scim, body: dict[str, Any]) -> None:
    """A PUT that does not say `active` keeps false. Taking the attribute away takes it away (a checker that others
    wrote looks), and no more.
    """
    record_id = hr.create()
    hr.patch(record_id, _OFF)
    assert hr("PUT", f"/Users/{record_id}", body)[1]["active"] is False
    assert "active" not in hr.patch(record_id, {"op": "remove", "path": "active"})[1]
    assert (Record.objects.get().active, _person(record_id).account.status) == (False, AccountStatus.TERMINATED)
    assert hr.patch(record_id, {"op": "replace", "path": "title", "value": "Clerk"})[0] == 200
    assert hr("PUT", f"/Users/{record_id}", body)[1]["active"] is False
    assert _person(record_id).account.status == AccountStatus.TERMINATED


def test_reactivation_restores_no_credential(hr: Scim) -> None:
    """Who comes back is invited anew, in a new epoch, and what was revoked stays revoked (C30)."""
    record_id = hr.create()
    credential = _enrol(_person(record_id))
    epoch = _person(record_id).account.epoch
    _send_mail()
    hr.patch(record_id, _OFF)
    assert hr.patch(record_id, _ON, If_Match=hr.tag(record_id))[1]["active"] is True
    person = _person(record_id)
    credential.refresh_from_db()
    assert (person.account.status, credential.state) == (AccountStatus.ACTIVE, "revoked")
    assert person.account.epoch > epoch
    assert _outbox(person, "invite") == 2
    assert audit.verify(person.account) is None


def test_source_does_not_reopen_what_a_manager_ended(hr: Scim) -> None:
    """Off and on from a source does not lift a manager's termination."""
    record_id = hr.create()
    person = _person(record_id)
    now = clock.now()
    under_lock(
        person.account_id,
        lambda account: revoke.everything(account, because=Reason.ENDED_BY_MANAGER, now=now, actor="operator"),
    )
    hr.patch(record_id, _OFF)
    hr.patch(record_id, _ON, If_Match=hr.tag(record_id))
    assert _person(record_id).account.status == AccountStatus.TERMINATED


def test_repeated_deactivation_ends_a_reopened_account(hr: Scim) -> None:
    """An `active:false` that changes no record still ends an account that somebody reopened."""
    record_id = hr.create()
    hr.patch(record_id, _OFF)
    now = clock.now()
    under_lock(_person(record_id).account_id, lambda account: accounts.reopen(account, now=now, actor="operator"))
    hr.patch(record_id, _OFF)
    assert _person(record_id).account.status == AccountStatus.TERMINATED


def test_tombstone(hr: Scim) -> None:
    """A deleted person is 404 for every method and in no list; the same name makes a new person (ID-5, C28)."""
    record_id = hr.create(externalId="7")
    before = _person(record_id)
    assert hr("DELETE", f"/Users/{record_id}")[0] == 204
    for method, body in (("GET", None), ("PUT", user()), ("DELETE", None)):
        assert hr(method, f"/Users/{record_id}", body)[0] == 404
    assert hr.patch(record_id, _ON)[0] == 404
    assert hr.names() == []
    after = _person(hr.create(externalId="7"))
    assert (after.id, after.account_id) != (before.id, before.account_id)
    assert after.login_name == "ada"
    before.refresh_from_db()
    assert (before.login_name, before.addresses()) == (None, ["ada@example.org"])


def test_changed_address_before_enrolment_is_invited_again(hr: Scim) -> None:
    """A corrected address gets an invitation while nobody has enrolled, and none afterwards (ruling 3)."""
    record_id = hr.create()
    change = {"op": "replace", "path": 'emails[type eq "work"].value', "value": "new@example.org"}
    _send_mail()
    hr.patch(record_id, change)
    assert _outbox(_person(record_id), "invite") == 2
    _send_mail()
    _enrol(_person(record_id))
    hr.patch(record_id, {**change, "value": "newer@example.org"})
    person = _person(record_id)
    assert _outbox(person, "invite") == 2
    assert person.former_addresses == ["new@example.org", "ada@example.org"]


def test_missing_address(hr: Scim) -> None:
    """Without an address there is no invitation; it goes out when one comes."""
    record_id = hr.create(emails=[])
    assert (_outbox(_person(record_id), "invite"), _person(record_id).invitation_address()) == (0, None)
    hr.patch(record_id, {"op": "add", "path": "emails", "value": [{"value": "a@example.org"}]})
    assert _outbox(_person(record_id), "invite") == 1


def test_changed_name_is_notified(hr: Scim) -> None:
    """The person is told when a source changes their name (ID-9), and not when it changes a title."""
    record_id = hr.create()
    hr.patch(record_id, {"op": "replace", "path": "title", "value": "Boss"})
    assert _outbox(_person(record_id), "profile_changed") == 0
    hr.patch(record_id, {"op": "replace", "path": "name.familyName", "value": "Byron"})
    assert _outbox(_person(record_id), "profile_changed") == 1


def test_no_op_leaves_version_and_time(hr: Scim) -> None:
    """A PATCH or PUT that changes nothing moves neither version nor lastModified, and writes no Event."""
    record_id = hr.create(active=True)
    before = hr("GET", f"/Users/{record_id}")[1]
    events = _person(record_id).account.events.count()
    assert hr.patch(record_id, {"op": "replace", "path": "userName", "value": "ada"})[1] == before
    assert hr("PUT", f"/Users/{record_id}", user())[1] == before
    assert _person(record_id).account.events.count() == events


def test_etags(hr: Scim) -> None:
    """A stale If-Match is 412 and changes nothing; a current one goes through; If-None-Match answers 304."""
    record_id = hr.create()
    path, title = f"/Users/{record_id}", {"op": "replace", "path": "title", "value": "Boss"}
    tag = hr("GET", path)[1]["meta"]["version"]
    assert hr.last is not None
    assert hr.last["ETag"] == tag
    assert hr("GET", path, If_None_Match=tag)[0] == 304
    assert hr.patch(record_id, title, If_Match=tag)[0] == 200
    for status in (
        hr.patch(record_id, {**title, "value": "X"}, If_Match=tag)[0],
        hr("PUT", path, user(title="X"), If_Match=tag)[0],
        hr("DELETE", path, If_Match=tag)[0],
        hr.patch(record_id, {**title, "value": "X"}, If_Match="junk")[0],
    ):
        assert status == 412
    assert hr("GET", path)[1]["title"] == "Boss"
    assert hr.patch(record_id, {**title, "value": "Y"}, If_Match="*")[0] == 200


def test_sequence_of_the_source(hr: Scim) -> None:
    """A source that numbers its versions cannot be overtaken by its own past; our own tag is no number (C29)."""
    record_id = hr.create(active=True, meta={"version": "5"})
    path = f"/Users/{record_id}"
    assert hr("PUT", path, user(active=False, meta={"version": "7"}))[0] == 200
    assert hr("PUT", path, user(active=True, meta={"version": "6"}))[0] == 412
    assert hr("PUT", path, user(active=True, meta={"version": "7"}))[0] == 412
    assert hr("PUT", path, user(meta={"version": "8"}))[1]["scimType"] == "invalidValue"
    assert hr("PUT", path, user(active=False, meta={"version": "7"}))[0] == 200
    assert hr("GET", path)[1]["active"] is False
    assert hr("PUT", path, user(title="Boss", meta={"version": 'W/"1"'}))[0] == 200


def test_verbatim_but_no_secret(hr: Scim) -> None:
    """What was pushed is kept as it was spelled, without the password, also after a PATCH of another attribute."""
    record_id = hr.create("Ada", password="canary-s3cret", title="E\u0301lan", meta={"Password": "canary-s3cret"})
    record = Record.objects.get(id=record_id)
    assert (record.pushed["title"], record.resource["title"]) == ("E\u0301lan", "\u00c9lan")
    assert "canary" not in str(record.pushed) + str(record.resource)
    hr.patch(record_id, {"op": "replace", "path": "nickName", "value": "A"})
    hr.patch(record_id, {"op": "replace", "path": "password", "value": "canary-s3cret"})
    record.refresh_from_db()
    assert (record.pushed["title"], record.pushed["nickName"]) == ("E\u0301lan", "A")
    assert "canary" not in str(record.pushed) + str(record.resource) + hr.last.content.decode()  # type: ignore[union-attr]


def test_failed_write_leaves_nothing(hr: Scim) -> None:
    """A refused create makes no person, account or outbox row."""
    hr.create("ada")
    people, rows = Person.objects.count(), OutboxRow.objects.count()
    assert hr("POST", "/Users", user("ADA"))[0] == 409
    assert (Person.objects.count(), OutboxRow.objects.count()) == (people, rows)


def test_expired_token_is_refused(connect: Callable[..., Scim]) -> None:
    """A source whose token has expired is nobody."""
    assert connect("old", token_expires_at=clock.now() - timedelta(seconds=1))("GET", "/Users")[0] == 401
    assert connect("new", token_expires_at=clock.now() + timedelta(hours=1))("GET", "/Users")[0] == 200


def test_patch_schema_is_required(hr: Scim) -> None:
    """A PATCH without its schema is refused for a plain source."""
    record_id = hr.create()
    assert hr("PATCH", f"/Users/{record_id}", {"Operations": [_OFF]})[1]["scimType"] == "invalidSyntax"
    assert hr("PATCH", f"/Users/{record_id}", {"schemas": [PATCH.upper()], "operations": [_OFF]})[0] == 200
