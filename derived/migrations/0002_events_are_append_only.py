"""Refuse UPDATE and DELETE of Events in the database itself, on SQLite and on PostgreSQL."""

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

SQLITE = [
    """CREATE TRIGGER derived_event_no_update BEFORE UPDATE ON derived_event
       BEGIN SELECT RAISE(ABORT, 'events are append-only'); END""",
    """CREATE TRIGGER derived_event_no_delete BEFORE DELETE ON derived_event
       BEGIN SELECT RAISE(ABORT, 'events are append-only'); END""",
]
POSTGRESQL = [
    """CREATE FUNCTION derived_event_refuse() RETURNS trigger LANGUAGE plpgsql AS
       $$ BEGIN RAISE EXCEPTION 'events are append-only'; END $$""",
    """CREATE TRIGGER derived_event_append_only BEFORE UPDATE OR DELETE ON derived_event
       FOR EACH ROW EXECUTE FUNCTION derived_event_refuse()""",
]
UNDO = {
    "sqlite": ["DROP TRIGGER derived_event_no_update", "DROP TRIGGER derived_event_no_delete"],
    "postgresql": ["DROP TRIGGER derived_event_append_only ON derived_event", "DROP FUNCTION derived_event_refuse()"],
}


def forwards(_apps: Apps, editor: BaseDatabaseSchemaEditor) -> None:
    """Create the triggers of this database."""
    for statement in SQLITE if editor.connection.vendor == "sqlite" else POSTGRESQL:
        editor.execute(statement, params=None)


def backwards(_apps: Apps, editor: BaseDatabaseSchemaEditor) -> None:
    """Drop them again."""
    for statement in UNDO[editor.connection.vendor]:
        editor.execute(statement, params=None)


class Migration(migrations.Migration):
    """The triggers."""

    dependencies = [("derived", "0001_initial")]
    operations = [migrations.RunPython(forwards, backwards)]
