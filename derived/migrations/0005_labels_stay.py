"""Refuse in the database itself to change the label of a credential, on SQLite and on PostgreSQL (EL-2: no upgrade in place)."""

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

FORWARDS = {
    "sqlite": [
        """CREATE TRIGGER derived_label_stays BEFORE UPDATE OF label ON derived_credential WHEN OLD.label <> NEW.label
           BEGIN SELECT RAISE(ABORT, 'a label is for life'); END""",
    ],
    "postgresql": [
        """CREATE FUNCTION derived_label_refuse() RETURNS trigger LANGUAGE plpgsql AS
           $$ BEGIN RAISE EXCEPTION 'a label is for life'; END $$""",
        """CREATE TRIGGER derived_label_stays BEFORE UPDATE ON derived_credential
           FOR EACH ROW WHEN (OLD.label IS DISTINCT FROM NEW.label) EXECUTE FUNCTION derived_label_refuse()""",
    ],
}
BACKWARDS = {
    "sqlite": ["DROP TRIGGER derived_label_stays"],
    "postgresql": ["DROP TRIGGER derived_label_stays ON derived_credential", "DROP FUNCTION derived_label_refuse()"],
}


def forwards(_apps: Apps, editor: BaseDatabaseSchemaEditor) -> None:
    """Create the trigger of this database."""
    for statement in FORWARDS[editor.connection.vendor]:
        editor.execute(statement, params=None)


def backwards(_apps: Apps, editor: BaseDatabaseSchemaEditor) -> None:
    """Drop it again."""
    for statement in BACKWARDS[editor.connection.vendor]:
        editor.execute(statement, params=None)


class Migration(migrations.Migration):
    """The trigger."""

    dependencies = [("derived", "0004_labels_and_verifiers")]
    operations = [migrations.RunPython(forwards, backwards)]
