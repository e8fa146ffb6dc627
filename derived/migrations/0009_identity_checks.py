"""The records of checks in person; the database refuses to change one, but for what was issued on it, once (X-9)."""

import django.db.models.deletion
import uuid
from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


COLUMNS = "id, account_id, epoch, how, officer, place, compared, against, sample, digest, at"
SQLITE = [
    f"""CREATE TRIGGER derived_check_stays BEFORE UPDATE OF {COLUMNS} ON derived_identitycheck
       BEGIN SELECT RAISE(ABORT, 'a check is for life'); END""",
    """CREATE TRIGGER derived_check_serves_once BEFORE UPDATE OF credential_id ON derived_identitycheck WHEN OLD.credential_id IS NOT NULL
       BEGIN SELECT RAISE(ABORT, 'a check serves once'); END""",
    """CREATE TRIGGER derived_check_no_delete BEFORE DELETE ON derived_identitycheck
       BEGIN SELECT RAISE(ABORT, 'a check is for life'); END""",
]
POSTGRESQL = [
    """CREATE FUNCTION derived_check_refuse() RETURNS trigger LANGUAGE plpgsql AS
       $$ BEGIN RAISE EXCEPTION 'a check is for life'; END $$""",
    f"""CREATE TRIGGER derived_check_stays BEFORE UPDATE OF {COLUMNS} ON derived_identitycheck
       FOR EACH ROW EXECUTE FUNCTION derived_check_refuse()""",
    """CREATE TRIGGER derived_check_serves_once BEFORE UPDATE ON derived_identitycheck
       FOR EACH ROW WHEN (OLD.credential_id IS NOT NULL) EXECUTE FUNCTION derived_check_refuse()""",
    """CREATE TRIGGER derived_check_no_delete BEFORE DELETE ON derived_identitycheck
       FOR EACH ROW EXECUTE FUNCTION derived_check_refuse()""",
]
NAMES = ("derived_check_stays", "derived_check_serves_once", "derived_check_no_delete")
UNDO = {
    "sqlite": [f"DROP TRIGGER {name}" for name in NAMES],
    "postgresql": [*[f"DROP TRIGGER {name} ON derived_identitycheck" for name in NAMES], "DROP FUNCTION derived_check_refuse()"],
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
    """The table and its triggers."""


    dependencies = [
        ('derived', '0008_events_move_the_head'),
    ]

    operations = [
        migrations.CreateModel(
            name='IdentityCheck',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('epoch', models.PositiveIntegerField()),
                ('how', models.CharField(max_length=20)),
                ('officer', models.CharField(max_length=120)),
                ('place', models.CharField(max_length=120)),
                ('compared', models.CharField(max_length=20)),
                ('against', models.CharField(max_length=120)),
                ('sample', models.BinaryField()),
                ('digest', models.CharField(max_length=64)),
                ('at', models.DateTimeField()),
                ('account', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='identity_checks', to='derived.account')),
                ('credential', models.OneToOneField(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='identity_check', to='derived.credential')),
            ],
        ),
        migrations.RunPython(forwards, backwards),
    ]
