"""The tables as they were on 2026-11-26; a database that was made step by step before must have taken the last of these steps."""

import derived.rules.assurance
import derived.rules.kinds
import derived.rules.lifecycle
import django.db.models.deletion
import uuid
from django.db import migrations, models

# What the database itself refuses or does, whoever writes to it.
_MOVE = """UPDATE derived_account SET audit_seq = NEW.seq, audit_head = NEW.hash
    WHERE id = NEW.account_id AND audit_seq = NEW.seq - 1 AND audit_head = NEW.previous"""
TRIGGERS = {
    "sqlite": [
        """CREATE TRIGGER derived_event_no_update BEFORE UPDATE ON derived_event
           BEGIN SELECT RAISE(ABORT, 'events are append-only'); END""",
        """CREATE TRIGGER derived_event_no_delete BEFORE DELETE ON derived_event
           BEGIN SELECT RAISE(ABORT, 'events are append-only'); END""",
        # EL-2: no upgrade of a label in place
        """CREATE TRIGGER derived_label_stays BEFORE UPDATE OF label ON derived_credential WHEN OLD.label <> NEW.label
           BEGIN SELECT RAISE(ABORT, 'a label is for life'); END""",
        # Whoever writes an Event moves the head of its account's chain: no Event stands there unknown to it.
        # One that does not continue the head moves nothing; `audit verify` says so.
        f"CREATE TRIGGER derived_event_moves_the_head AFTER INSERT ON derived_event BEGIN {_MOVE}; END",
    ],
    "postgresql": [
        """CREATE FUNCTION derived_event_refuse() RETURNS trigger LANGUAGE plpgsql AS
           $$ BEGIN RAISE EXCEPTION 'events are append-only'; END $$""",
        """CREATE TRIGGER derived_event_append_only BEFORE UPDATE OR DELETE ON derived_event
           FOR EACH ROW EXECUTE FUNCTION derived_event_refuse()""",
        """CREATE FUNCTION derived_label_refuse() RETURNS trigger LANGUAGE plpgsql AS
           $$ BEGIN RAISE EXCEPTION 'a label is for life'; END $$""",
        """CREATE TRIGGER derived_label_stays BEFORE UPDATE ON derived_credential
           FOR EACH ROW WHEN (OLD.label IS DISTINCT FROM NEW.label) EXECUTE FUNCTION derived_label_refuse()""",
        f"CREATE FUNCTION derived_event_move() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {_MOVE}; RETURN NULL; END $$",
        """CREATE TRIGGER derived_event_moves_the_head AFTER INSERT ON derived_event
           FOR EACH ROW EXECUTE FUNCTION derived_event_move()""",
    ],
}
UNDO = {
    "sqlite": [
        "DROP TRIGGER derived_event_moves_the_head", "DROP TRIGGER derived_label_stays",
        "DROP TRIGGER derived_event_no_update", "DROP TRIGGER derived_event_no_delete",
    ],
    "postgresql": [
        "DROP TRIGGER derived_event_moves_the_head ON derived_event", "DROP FUNCTION derived_event_move()",
        "DROP TRIGGER derived_label_stays ON derived_credential", "DROP FUNCTION derived_label_refuse()",
        "DROP TRIGGER derived_event_append_only ON derived_event", "DROP FUNCTION derived_event_refuse()",
    ],
}


def triggers_on(_apps, editor):
    """Create the triggers of this database."""
    for statement in TRIGGERS[editor.connection.vendor]:
        editor.execute(statement, params=None)


def triggers_off(_apps, editor):
    """Drop them again."""
    for statement in UNDO[editor.connection.vendor]:
        editor.execute(statement, params=None)


class Migration(migrations.Migration):

    initial = True

    replaces = [
        ('derived', '0001_initial'),
        ('derived', '0002_events_are_append_only'),
        ('derived', '0003_roots'),
        ('derived', '0004_labels_and_verifiers'),
        ('derived', '0005_labels_stay'),
        ('derived', '0006_eligibility'),
        ('derived', '0007_certificates'),
        ('derived', '0008_events_move_the_head'),
    ]

    dependencies = []

    operations = [
        migrations.CreateModel(
            name='Credential',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('epoch', models.PositiveIntegerField()),
                ('kind', models.CharField(max_length=24)),
                ('state', models.CharField(choices=[('pending', 'pending'), ('active', 'active'), ('suspended', 'suspended'), ('revoked', 'revoked'), ('expired', 'expired')], max_length=12)),
                ('aal', models.PositiveSmallIntegerField()),
                ('ial', models.PositiveSmallIntegerField()),
                ('name', models.CharField(default='', max_length=80)),
                ('evidence', models.JSONField(default=dict)),
                ('label', models.CharField(choices=[('derived_piv', 'derived_piv'), ('generic', 'generic')], default=derived.rules.kinds.Label['GENERIC'], max_length=16)),
                ('jkt', models.CharField(max_length=43, null=True, unique=True)),
                ('failures', models.PositiveSmallIntegerField(default=0)),
                ('created_at', models.DateTimeField()),
                ('activated_at', models.DateTimeField(null=True)),
                ('last_used_at', models.DateTimeField(null=True)),
                ('expires_at', models.DateTimeField(null=True)),
                ('ended_at', models.DateTimeField(null=True)),
                ('end_reason', models.CharField(default='', max_length=32)),
            ],
        ),
        migrations.CreateModel(
            name='Spent',
            fields=[
                ('key', models.CharField(max_length=64, primary_key=True, serialize=False)),
                ('expires_at', models.DateTimeField(db_index=True)),
            ],
        ),
        migrations.CreateModel(
            name='Account',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('status', models.CharField(choices=[('active', 'Active'), ('suspended', 'Suspended'), ('terminated', 'Terminated')], default='active', max_length=12)),
                ('epoch', models.PositiveIntegerField(default=1)),
                ('ial', models.PositiveSmallIntegerField(default=derived.rules.assurance.IAL['NONE'])),
                ('eligible', models.BooleanField(default=True)),
                ('audit_head', models.CharField(default='0000000000000000000000000000000000000000000000000000000000000000', max_length=64)),
                ('audit_seq', models.PositiveIntegerField(default=0)),
                ('created_at', models.DateTimeField()),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(('ial__lte', derived.rules.assurance.IAL['IAL3'])), name='account_ial_is_a_level')],
            },
        ),
        migrations.CreateModel(
            name='Authority',
            fields=[
                ('name', models.CharField(max_length=16, primary_key=True, serialize=False)),
                ('state', models.CharField(max_length=8)),
                ('organisation', models.CharField(max_length=64)),
                ('common_name', models.CharField(max_length=64)),
                ('public', models.TextField()),
                ('certificate', models.BinaryField(null=True)),
                ('chain', models.JSONField(default=list)),
                ('lists', models.JSONField(default=list)),
                ('signer', models.CharField(max_length=12)),
                ('reference', models.JSONField(default=dict)),
                ('secret', models.BinaryField()),
                ('base_url', models.CharField(max_length=200)),
                ('oid', models.CharField(max_length=120)),
                ('asserts_piv', models.BooleanField(default=False)),
                ('crl_number', models.PositiveBigIntegerField(default=0)),
                ('responder', models.BinaryField(null=True)),
                ('responder_key', models.BinaryField(null=True)),
                ('created_at', models.DateTimeField()),
                ('not_after', models.DateTimeField(null=True)),
                ('retired_at', models.DateTimeField(null=True)),
            ],
            options={
                'constraints': [models.UniqueConstraint(condition=models.Q(('state', 'active')), fields=('state',), name='one_authority_issues')],
            },
        ),
        migrations.CreateModel(
            name='DeviceKey',
            fields=[
                ('credential', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, primary_key=True, related_name='device_key', serialize=False, to='derived.credential')),
                ('jwk', models.JSONField()),
                ('passphrase_hash', models.CharField(max_length=256)),
                ('clients', models.JSONField(default=list)),
                ('authenticated_at', models.DateTimeField(null=True)),
            ],
        ),
        migrations.CreateModel(
            name='Passkey',
            fields=[
                ('credential', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, primary_key=True, related_name='passkey', serialize=False, to='derived.credential')),
                ('raw_id', models.BinaryField(max_length=1023)),
                ('raw_id_hash', models.CharField(max_length=64, unique=True)),
                ('public_key', models.BinaryField()),
                ('sign_count', models.PositiveBigIntegerField(default=0)),
                ('backup_eligible', models.BooleanField()),
                ('backed_up', models.BooleanField()),
                ('user_verified', models.BooleanField()),
                ('discoverable', models.BooleanField(default=False)),
                ('aaguid', models.CharField(default='', max_length=36)),
                ('attestation', models.CharField(default='none', max_length=24)),
                ('attested', models.BooleanField(default=False)),
                ('hardware', models.BooleanField(default=False)),
                ('model', models.CharField(default='', max_length=200)),
                ('transports', models.JSONField(default=list)),
            ],
        ),
        migrations.CreateModel(
            name='PasswordAndTotp',
            fields=[
                ('credential', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, primary_key=True, related_name='password_totp', serialize=False, to='derived.credential')),
                ('password_hash', models.CharField(max_length=256)),
                ('totp_seed', models.BinaryField()),
                ('totp_last_step', models.BigIntegerField(default=-1)),
            ],
        ),
        migrations.CreateModel(
            name='Verifier',
            fields=[
                ('credential', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, primary_key=True, related_name='verifier', serialize=False, to='derived.credential')),
                ('data', models.JSONField()),
            ],
        ),
        migrations.AddField(
            model_name='credential',
            name='account',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='credentials', to='derived.account'),
        ),
        migrations.AddField(
            model_name='credential',
            name='parent',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='children', to='derived.credential'),
        ),
        migrations.AddField(
            model_name='credential',
            name='root',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='grown', to='derived.credential'),
        ),
        migrations.CreateModel(
            name='CardCertificate',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('issuer', models.CharField(max_length=1000)),
                ('issuer_key', models.CharField(db_index=True, max_length=64)),
                ('serial', models.CharField(max_length=64)),
                ('ski', models.CharField(max_length=128)),
                ('fasc_n', models.CharField(db_index=True, default='', max_length=64)),
                ('card_uuid', models.CharField(db_index=True, default='', max_length=36)),
                ('fingerprint', models.CharField(db_index=True, max_length=64)),
                ('der', models.BinaryField()),
                ('not_after', models.DateTimeField()),
                ('seen_at', models.DateTimeField()),
                ('superseded_at', models.DateTimeField(null=True)),
                ('credential', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='certificates', to='derived.credential')),
            ],
        ),
        migrations.CreateModel(
            name='BoundKey',
            fields=[
                ('name', models.CharField(max_length=64, primary_key=True, serialize=False)),
                ('credential', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='keys', to='derived.credential')),
            ],
        ),
        migrations.CreateModel(
            name='Event',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('seq', models.PositiveIntegerField()),
                ('at', models.DateTimeField()),
                ('kind', models.CharField(max_length=48)),
                ('actor', models.CharField(max_length=120)),
                ('body', models.JSONField()),
                ('previous', models.CharField(max_length=64)),
                ('hash', models.CharField(max_length=64)),
                ('account', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='events', to='derived.account')),
                ('credential', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='events', to='derived.credential')),
            ],
        ),
        migrations.CreateModel(
            name='EventDetail',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=48)),
                ('value', models.TextField()),
                ('salt', models.CharField(max_length=32)),
                ('event', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='details', to='derived.event')),
            ],
        ),
        migrations.CreateModel(
            name='Holder',
            fields=[
                ('key', models.CharField(max_length=64, primary_key=True, serialize=False)),
                ('account', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='derived.account')),
                ('credential', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='derived.credential')),
            ],
        ),
        migrations.CreateModel(
            name='OutboxRow',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(max_length=48)),
                ('receiver', models.CharField(max_length=255)),
                ('payload', models.JSONField()),
                ('created_at', models.DateTimeField()),
                ('due_at', models.DateTimeField()),
                ('attempts', models.PositiveSmallIntegerField(default=0)),
                ('leased_until', models.DateTimeField(null=True)),
                ('delivered_at', models.DateTimeField(null=True)),
                ('parked_at', models.DateTimeField(null=True)),
                ('last_error', models.CharField(default='', max_length=200)),
                ('account', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='outbox', to='derived.account')),
            ],
        ),
        migrations.CreateModel(
            name='RecoveryCode',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('code_hash', models.CharField(max_length=64, unique=True)),
                ('expires_at', models.DateTimeField()),
                ('consumed_at', models.DateTimeField(null=True)),
                ('credential', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='recovery_codes', to='derived.credential')),
            ],
        ),
        migrations.CreateModel(
            name='Request',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('requested_by', models.CharField(max_length=80)),
                ('kind', models.CharField(max_length=24)),
                ('device_name', models.CharField(max_length=80)),
                ('device_type', models.CharField(default='software', max_length=24)),
                ('purpose', models.CharField(max_length=120)),
                ('login_aal', models.PositiveSmallIntegerField()),
                ('created_at', models.DateTimeField()),
                ('decided_at', models.DateTimeField()),
                ('decision', models.CharField(max_length=12)),
                ('account', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='requests', to='derived.account')),
                ('credential', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='requests', to='derived.credential')),
            ],
        ),
        migrations.CreateModel(
            name='RevocationList',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('shard', models.IntegerField()),
                ('number', models.PositiveBigIntegerField()),
                ('der', models.BinaryField()),
                ('entries', models.PositiveIntegerField()),
                ('made_at', models.DateTimeField()),
                ('next_update', models.DateTimeField()),
                ('authority', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='revocation_lists', to='derived.authority')),
            ],
        ),
        migrations.CreateModel(
            name='SigningKey',
            fields=[
                ('kid', models.CharField(max_length=43, primary_key=True, serialize=False)),
                ('purpose', models.CharField(max_length=24)),
                ('alg', models.CharField(max_length=8)),
                ('state', models.CharField(max_length=12)),
                ('public_jwk', models.JSONField()),
                ('wrapped', models.BinaryField()),
                ('created_at', models.DateTimeField()),
                ('active_from', models.DateTimeField()),
                ('retired_at', models.DateTimeField(null=True)),
            ],
            options={
                'constraints': [models.UniqueConstraint(condition=models.Q(('state', 'active')), fields=('purpose', 'alg'), name='one_active_key_per_purpose_and_alg')],
            },
        ),
        migrations.CreateModel(
            name='IssuedCertificate',
            fields=[
                ('credential', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, primary_key=True, related_name='issued', serialize=False, to='derived.credential')),
                ('serial', models.CharField(max_length=40)),
                ('shard', models.PositiveIntegerField()),
                ('uuid', models.UUIDField(unique=True)),
                ('shown', models.JSONField()),
                ('spki', models.BinaryField()),
                ('passphrase_hash', models.CharField(default='', max_length=256)),
                ('policies', models.JSONField(default=list)),
                ('not_before', models.DateTimeField()),
                ('not_after', models.DateTimeField()),
                ('der', models.BinaryField(null=True)),
                ('fingerprint', models.CharField(max_length=64, null=True, unique=True)),
                ('released_at', models.DateTimeField(null=True)),
                ('rechecked_at', models.DateTimeField(null=True)),
                ('authority', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='issued', to='derived.authority')),
                ('replaces', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='replaced_by', to='derived.issuedcertificate')),
            ],
        ),
        migrations.CreateModel(
            name='UpstreamIdentity',
            fields=[
                ('credential', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, primary_key=True, related_name='upstream_identity', serialize=False, to='derived.credential')),
                ('issuer', models.CharField(max_length=500)),
                ('subject', models.CharField(max_length=255)),
            ],
            options={
                'indexes': [models.Index(fields=['issuer', 'subject'], name='upstream_identity_is_sought')],
            },
        ),
        migrations.AddIndex(
            model_name='credential',
            index=models.Index(fields=['account', 'state'], name='credential_of_account'),
        ),
        migrations.AddConstraint(
            model_name='credential',
            constraint=models.CheckConstraint(condition=models.Q(('aal__gte', derived.rules.assurance.AAL['AAL1']), ('aal__lte', derived.rules.assurance.AAL['AAL3'])), name='credential_aal_is_a_level'),
        ),
        migrations.AddConstraint(
            model_name='credential',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('parent__isnull', True), ('root__isnull', True)), models.Q(('parent__isnull', False), ('root__isnull', False)), _connector='OR'), name='credential_root_and_parent_together'),
        ),
        migrations.AddConstraint(
            model_name='credential',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('ended_at__isnull', True), ('state__in', [derived.rules.lifecycle.State['ACTIVE'], derived.rules.lifecycle.State['PENDING'], derived.rules.lifecycle.State['SUSPENDED']])), ('ended_at__isnull', False), _connector='OR'), name='credential_ended_says_when'),
        ),
        migrations.AddConstraint(
            model_name='credential',
            constraint=models.CheckConstraint(condition=models.Q(('parent', models.F('id')), _negated=True), name='credential_is_not_its_own_parent'),
        ),
        migrations.AddConstraint(
            model_name='cardcertificate',
            constraint=models.UniqueConstraint(fields=('credential', 'fingerprint'), name='certificate_once_per_credential'),
        ),
        migrations.AddConstraint(
            model_name='event',
            constraint=models.UniqueConstraint(fields=('account', 'seq'), name='event_chain_has_no_forks'),
        ),
        migrations.AddIndex(
            model_name='outboxrow',
            index=models.Index(condition=models.Q(('delivered_at__isnull', True), ('parked_at__isnull', True)), fields=['receiver', 'id'], name='outbox_waiting'),
        ),
        migrations.AddConstraint(
            model_name='revocationlist',
            constraint=models.UniqueConstraint(fields=('authority', 'shard'), name='one_list_per_shard'),
        ),
        migrations.AddIndex(
            model_name='issuedcertificate',
            index=models.Index(fields=['authority', 'shard'], name='certificates_of_a_shard'),
        ),
        migrations.AddConstraint(
            model_name='issuedcertificate',
            constraint=models.UniqueConstraint(fields=('authority', 'serial'), name='serial_once_per_authority'),
        ),
        migrations.RunPython(triggers_on, triggers_off),
    ]
