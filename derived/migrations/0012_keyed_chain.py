"""Key the audit chain: its key, a keyed Event at the end of every chain, and triggers against REPLACE and TRUNCATE.

Events from before stay as they are. The keyed Event `audit.keyed` covers the last of them by its hash, so that nobody
can exchange them without the key; a chain whose last Event is not keyed is a broken chain from now on.
"""

from datetime import UTC, datetime

from django.db import migrations, models
from django.db.models import Q

from derived.ledger import audit, chain_key

TRIGGERS = {
    "sqlite": [
        # REPLACE deletes the old row without firing the trigger that refuses deletion
        """CREATE TRIGGER derived_event_no_replace BEFORE INSERT ON derived_event
           WHEN EXISTS (SELECT 1 FROM derived_event WHERE id = NEW.id)
             OR EXISTS (SELECT 1 FROM derived_event WHERE account_id = NEW.account_id AND seq = NEW.seq)
           BEGIN SELECT RAISE(ABORT, 'events are append-only'); END""",
        """CREATE TRIGGER derived_check_no_replace BEFORE INSERT ON derived_identitycheck
           WHEN EXISTS (SELECT 1 FROM derived_identitycheck WHERE id = NEW.id OR credential_id = NEW.credential_id)
           BEGIN SELECT RAISE(ABORT, 'a check is for life'); END""",
    ],
    "postgresql": [
        """CREATE TRIGGER derived_event_no_truncate BEFORE TRUNCATE ON derived_event
           FOR EACH STATEMENT EXECUTE FUNCTION derived_event_refuse()""",
        """CREATE TRIGGER derived_check_no_truncate BEFORE TRUNCATE ON derived_identitycheck
           FOR EACH STATEMENT EXECUTE FUNCTION derived_check_refuse()""",
    ],
}
UNDO = {
    "sqlite": ["DROP TRIGGER derived_event_no_replace", "DROP TRIGGER derived_check_no_replace"],
    "postgresql": [
        "DROP TRIGGER derived_event_no_truncate ON derived_event",
        "DROP TRIGGER derived_check_no_truncate ON derived_identitycheck",
    ],
}


# Django would make the table of SQLite anew, and its triggers would be lost.
ADD_KEYED = "ALTER TABLE derived_event ADD COLUMN keyed bool NOT NULL DEFAULT false"
DROP_KEYED = "ALTER TABLE derived_event DROP COLUMN keyed"


def key_all_chains(apps, editor):
    """Make the key, and append a keyed Event to every chain that has Events."""
    Account, Event = apps.get_model("derived", "Account"), apps.get_model("derived", "Event")
    State = apps.get_model("derived", "LedgerState")
    state = State.objects.create(id=1, chain_key=chain_key.new_wrapped())
    key, now = chain_key.unwrapped(bytes(state.chain_key)), datetime.now(UTC)
    batch = []
    chains = Account.objects.filter(audit_seq__gt=0).order_by("id")
    for account_id, seq, head in list(chains.values_list("id", "audit_seq", "audit_head")):
        fields = {"account_id": account_id, "seq": seq + 1, "at": now, "kind": "audit.keyed", "actor": "operator",
                  "credential_id": None, "body": {}, "previous": head}
        batch.append(Event(**fields, keyed=True, hash=audit.link(key, **fields)))
        if len(batch) == 1000:
            Event.objects.bulk_create(batch)
            batch.clear()
    Event.objects.bulk_create(batch)


def triggers_on(_apps, editor):
    """Create the triggers of this database."""
    for statement in TRIGGERS[editor.connection.vendor]:
        editor.execute(statement, params=None)


def triggers_off(_apps, editor):
    """Drop them again."""
    for statement in UNDO[editor.connection.vendor]:
        editor.execute(statement, params=None)


class Migration(migrations.Migration):

    dependencies = [
        ('derived', '0011_due_to_expire'),
    ]

    operations = [
        migrations.CreateModel(
            name='LedgerState',
            fields=[
                ('id', models.PositiveSmallIntegerField(default=1, primary_key=True, serialize=False)),
                ('chain_key', models.BinaryField()),
                ('generation', models.PositiveIntegerField(default=1)),
                ('compared_at', models.DateTimeField(null=True)),
            ],
            options={'constraints': [models.CheckConstraint(condition=Q(('id', 1)), name='ledger_state_is_one_row')]},
        ),
        migrations.RunSQL(ADD_KEYED, DROP_KEYED, state_operations=[
            migrations.AddField(
                model_name='event',
                name='keyed',
                field=models.BooleanField(db_default=False, default=True),
            ),
        ]),
        migrations.RunPython(triggers_on, triggers_off),
        migrations.RunPython(key_all_chains, migrations.RunPython.noop),
    ]
