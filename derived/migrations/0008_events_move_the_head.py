"""Whoever writes an Event moves the head of its account's chain, in the database itself: no Event stands there unknown to it.

An Event that does not continue the head moves nothing; `audit verify` says so.
"""

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

MOVE = """UPDATE derived_account SET audit_seq = NEW.seq, audit_head = NEW.hash
    WHERE id = NEW.account_id AND audit_seq = NEW.seq - 1 AND audit_head = NEW.previous"""
SQLITE = [f"CREATE TRIGGER derived_event_moves_the_head AFTER INSERT ON derived_event BEGIN {MOVE}; END"]
POSTGRESQL = [
    f"CREATE FUNCTION derived_event_move() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {MOVE}; RETURN NULL; END $$",
    """CREATE TRIGGER derived_event_moves_the_head AFTER INSERT ON derived_event
       FOR EACH ROW EXECUTE FUNCTION derived_event_move()""",
]
UNDO = {
    "sqlite": ["DROP TRIGGER derived_event_moves_the_head"],
    "postgresql": ["DROP TRIGGER derived_event_moves_the_head ON derived_event", "DROP FUNCTION derived_event_move()"],
}


def forwards(_apps: Apps, editor: BaseDatabaseSchemaEditor) -> None:
    """Create the trigger of this database."""
    for statement in SQLITE if editor.connection.vendor == "sqlite" else POSTGRESQL:
        editor.execute(statement, params=None)


def backwards(_apps: Apps, editor: BaseDatabaseSchemaEditor) -> None:
    """Drop it again."""
    for statement in UNDO[editor.connection.vendor]:
        editor.execute(statement, params=None)


class Migration(migrations.Migration):
    """The trigger."""

    dependencies = [("derived", "0007_certificates")]
    operations = [migrations.RunPython(forwards, backwards)]
