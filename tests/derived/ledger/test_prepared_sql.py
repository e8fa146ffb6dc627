"""Prepared SQL: constants are part of its text, and rows are bound as Django's own fields would bind them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from oidc_provider.models import Client

from derived import clock
from derived.ledger.prepared_sql import BoundValue, PreparedSelect, field_of, insert_rows, options, statement_cursor
from derived.models import Account, Event, SigningKey, Spent
from idp.models import ClientPolicy

if TYPE_CHECKING:
    from django.db.models import Model

    from tests.fixtures.world import World

pytestmark = [pytest.mark.django_db, pytest.mark.database]


def test_constants_are_written_into_the_text(world: World) -> None:
    """SQLite plans a statement anew at each execution while a partial index depends on a bound value."""
    world.app()
    select = PreparedSelect(
        lambda: SigningKey.objects.filter(purpose="tokens", state="active", kid=BoundValue("kid", field_of(SigningKey)))
    )
    plan = select.plan()
    assert "'tokens'" in plan.sql
    assert "'active'" in plan.sql
    assert plan.bound({"kid": "x"}, connection) == ["x"]
    kid = SigningKey.objects.get(state="active").kid
    found = select.first(kid=kid)
    assert found is not None
    assert found.kid == kid
    assert select.first(kid="other") is None


@pytest.mark.parametrize("value", ["it's", "100%", "a b", "%s"])
def test_constant_with_other_characters_is_bound(value: str) -> None:
    """Nothing is quoted by hand."""
    select = PreparedSelect(lambda: SigningKey.objects.filter(alg=value, kid=BoundValue("kid", field_of(SigningKey))))
    assert value in select.plan().bound({"kid": "x"}, connection)
    assert select.first(kid="x") is None


def test_inserted_values_are_those_of_the_fields(world: World) -> None:
    """Each column of a row is read back as it was."""
    world.enrolled()
    event = Event.objects.select_related("account").order_by("-id").first()
    assert event is not None
    copy = Event(account=event.account, seq=event.seq + 1, at=event.at, kind=event.kind, actor=event.actor)
    copy.credential_id, copy.body, copy.previous, copy.hash = event.credential_id, {"a": [1, None]}, "p" * 64, "h" * 64
    spent = Spent(key="d" * 64, expires_at=clock.now())
    insert_rows(spent, copy)
    stored = Event.objects.get(account=event.account, seq=event.seq + 1)
    for field in options(Event).concrete_fields:
        if field.attname != "id":
            assert getattr(stored, field.attname) == getattr(copy, field.attname), field.attname
    assert Spent.objects.get(pk=spent.pk).expires_at == spent.expires_at


def same(found: Model, expected: Model) -> None:
    """Each column has the value, and the type, that the ORM reads."""
    for field in options(type(expected)).concrete_fields:
        value, other = getattr(found, field.attname), getattr(expected, field.attname)
        assert (type(value), value) == (type(other), other), field


def test_rows_are_those_of_the_orm(world: World) -> None:
    """Joined forward, by a missing relation, and backward: the same columns, and nothing is read later."""
    world.enrolled()
    world.app()
    events = Event.objects.select_related("account", "credential__root", "credential__parent")
    select = PreparedSelect(lambda: events.filter(id=BoundValue("id", field_of(Event))))
    for expected in events.filter(credential__isnull=False):
        found = select.first(id=expected.id)
        assert found is not None
        assert found.credential is not None
        assert expected.credential is not None
        with CaptureQueriesContext(connection) as read:
            same(found, expected)
            same(found.account, expected.account)
            same(found.credential, expected.credential)
            assert (found.credential.parent is None) == (expected.credential.parent is None)
        assert len(read) == 0
    policy = ClientPolicy.objects.select_related("client").get()
    client = PreparedSelect(
        lambda: Client.objects.select_related("policy").filter(id=BoundValue("id", field_of(Client)))
    ).first(id=policy.client_id)
    with CaptureQueriesContext(connection) as read:
        same(client.policy, policy)
        assert client.policy.client is client
    assert len(read) == 0


@pytest.mark.postgresql  # SQLite gets a cursor for each statement
@pytest.mark.django_db(transaction=True)
def test_new_connection_gets_a_new_cursor() -> None:
    """The kept cursor ends with its connection."""
    with statement_cursor() as first:
        first.execute("SELECT 1")
    with statement_cursor() as again:
        again.execute("SELECT 2")
        assert again.fetchone() == (2,)
    assert again is first
    connection.close()
    with statement_cursor() as later:
        later.execute("SELECT 3")
        assert later.fetchone() == (3,)
    assert later is not first
    assert Account.objects.count() == 0
