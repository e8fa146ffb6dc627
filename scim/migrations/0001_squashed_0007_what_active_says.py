"""The tables as they were on 2026-11-26; a database that was made step by step before must have taken the last of these steps."""

import django.db.models.deletion
import scim.columns
import scim.models
import uuid
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    replaces = [
        ('scim', '0001_initial'),
        ('scim', '0002_groups'),
        ('scim', '0003_sources'),
        ('scim', '0004_tokens_have_rows'),
        ('scim', '0005_matching'),
        ('scim', '0006_access'),
        ('scim', '0007_what_active_says'),
    ]

    dependencies = [
        ('derived', '0001_squashed_0008_events_move_the_head'),
    ]

    operations = [
        migrations.CreateModel(
            name='MatchRule',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('attribute', models.CharField(max_length=160, unique=True)),
                ('created_at', models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name='Person',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('user_name', models.CharField(max_length=256)),
                ('login_name', models.CharField(max_length=256, null=True)),
                ('login_name_fold', models.CharField(max_length=512, null=True, unique=True)),
                ('login_name_taken', models.BooleanField(default=False)),
                ('profile', models.JSONField(default=dict)),
                ('provenance', models.JSONField(default=dict)),
                ('contact', models.JSONField(default=dict)),
                ('former_addresses', models.JSONField(default=list)),
                ('active', models.BooleanField(default=True)),
                ('suspended', models.BooleanField(default=False)),
                ('said_ial', models.PositiveSmallIntegerField(default=0)),
                ('created_at', models.DateTimeField()),
                ('updated_at', models.DateTimeField()),
                ('account', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='person', to='derived.account')),
            ],
        ),
        migrations.CreateModel(
            name='AccessRule',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('client_key', models.CharField(max_length=255)),
                ('entitlement', models.CharField(default='', max_length=120)),
                ('kind', models.CharField(max_length=12)),
                ('subject', models.CharField(default='', max_length=400)),
                ('by_request', models.BooleanField(default=False)),
                ('created_at', models.DateTimeField()),
                ('ended_at', models.DateTimeField(null=True)),
            ],
            options={
                'indexes': [models.Index(condition=models.Q(('ended_at__isnull', True)), fields=['client_key'], name='rule_of_client')],
            },
        ),
        migrations.CreateModel(
            name='Manager',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('epoch', models.PositiveIntegerField()),
                ('appointed_at', models.DateTimeField()),
                ('ended_at', models.DateTimeField(null=True)),
                ('person', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='manager', to=settings.AUTH_USER_MODEL)),
            ],
        ),
        migrations.CreateModel(
            name='Source',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.SlugField(max_length=63, unique=True)),
                ('disabled_at', models.DateTimeField(null=True)),
                ('vouched_ial', models.PositiveSmallIntegerField(default=0)),
                ('precedence', models.IntegerField(default=100)),
                ('trusted_for', models.JSONField(default=scim.models.every_attribute)),
                ('normalisers', models.JSONField(default=list)),
                ('most_per_minute', models.PositiveIntegerField(default=60000)),
                ('created_at', models.DateTimeField()),
                ('last_seen_at', models.DateTimeField(null=True)),
                ('last_said', models.CharField(default='', max_length=80)),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(('vouched_ial__lte', 3)), name='source_ial_is_a_level')],
            },
        ),
        migrations.CreateModel(
            name='Record',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('pushed', models.JSONField()),
                ('resource', models.JSONField()),
                ('external_id', scim.columns.CodePoints(max_length=256, null=True)),
                ('user_name_fold', scim.columns.CodePoints(max_length=512)),
                ('display_name_fold', scim.columns.CodePoints(max_length=512, null=True)),
                ('family_name_fold', scim.columns.CodePoints(max_length=512, null=True)),
                ('employee_number_fold', scim.columns.CodePoints(max_length=512, null=True)),
                ('shows_active', models.BooleanField(null=True)),
                ('active', models.BooleanField()),
                ('version', models.PositiveIntegerField(default=1)),
                ('source_version', models.BigIntegerField(null=True)),
                ('adopted', models.BooleanField(default=True)),
                ('was_active', models.BooleanField(default=False)),
                ('returns_at', models.DateTimeField(null=True)),
                ('stated_at', models.DateTimeField(null=True)),
                ('created_at', models.DateTimeField()),
                ('updated_at', models.DateTimeField()),
                ('deleted_at', models.DateTimeField(null=True)),
                ('person', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='records', to=settings.AUTH_USER_MODEL)),
                ('source', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='records', to='scim.source')),
            ],
        ),
        migrations.CreateModel(
            name='Group',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('display_name', models.CharField(max_length=256)),
                ('display_name_fold', scim.columns.CodePoints(max_length=512)),
                ('external_id', scim.columns.CodePoints(max_length=256, null=True)),
                ('version', models.PositiveIntegerField(default=1)),
                ('created_at', models.DateTimeField()),
                ('updated_at', models.DateTimeField()),
                ('deleted_at', models.DateTimeField(null=True)),
                ('source', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='groups', to='scim.source')),
            ],
        ),
        migrations.CreateModel(
            name='SourceCredential',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('key', models.CharField(max_length=300, unique=True)),
                ('created_at', models.DateTimeField()),
                ('expires_at', models.DateTimeField(null=True)),
                ('ended_at', models.DateTimeField(null=True)),
                ('last_used_at', models.DateTimeField(null=True)),
                ('source', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='credentials', to='scim.source')),
            ],
        ),
        migrations.CreateModel(
            name='Access',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('epoch', models.PositiveIntegerField()),
                ('purpose', models.CharField(max_length=300)),
                ('state', models.CharField(choices=[('requested', 'Requested'), ('assigned', 'Assigned'), ('refused', 'Refused'), ('removed', 'Removed')], default='requested', max_length=10)),
                ('requested_by', models.CharField(max_length=120)),
                ('requested_at', models.DateTimeField()),
                ('decided_by', models.CharField(default='', max_length=120)),
                ('decided_at', models.DateTimeField(null=True)),
                ('ended_at', models.DateTimeField(null=True)),
                ('person', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='accesses', to=settings.AUTH_USER_MODEL)),
                ('rule', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='accesses', to='scim.accessrule')),
            ],
            options={
                'constraints': [models.UniqueConstraint(condition=models.Q(('state__in', ['requested', 'assigned'])), fields=('person', 'rule'), name='access_once_at_a_time')],
            },
        ),
        migrations.CreateModel(
            name='Membership',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('added_at', models.DateTimeField()),
                ('child', models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='parents', to='scim.group')),
                ('group', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='memberships', to='scim.group')),
                ('record', models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='memberships', to='scim.record')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('group', 'record'), name='member_record_once'), models.UniqueConstraint(fields=('group', 'child'), name='member_group_once'), models.CheckConstraint(condition=models.Q(models.Q(('child__isnull', True), ('record__isnull', False)), models.Q(('child__isnull', False), ('record__isnull', True)), _connector='OR'), name='member_is_a_record_or_a_group')],
            },
        ),
        migrations.CreateModel(
            name='Match',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('attribute', models.CharField(default='', max_length=160)),
                ('state', models.CharField(choices=[('waiting', 'Waiting'), ('joined', 'Joined'), ('apart', 'Apart'), ('undone', 'Undone')], max_length=8)),
                ('why', models.CharField(default='', max_length=80)),
                ('created_at', models.DateTimeField()),
                ('decided_at', models.DateTimeField(null=True)),
                ('decided_by', models.CharField(default='', max_length=120)),
                ('from_person', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('person', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='matches', to=settings.AUTH_USER_MODEL)),
                ('record', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='matches', to='scim.record')),
            ],
            options={
                'indexes': [models.Index(fields=['state', 'created_at'], name='match_by_state')],
                'constraints': [models.UniqueConstraint(fields=('record', 'person'), name='match_once_per_pair')],
            },
        ),
        migrations.CreateModel(
            name='RecordKey',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('attribute', models.CharField(max_length=160)),
                ('value', scim.columns.CodePoints(max_length=512)),
                ('record', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='keys', to='scim.record')),
            ],
            options={
                'indexes': [models.Index(fields=['attribute', 'value'], name='key_is_sought')],
                'constraints': [models.UniqueConstraint(fields=('record', 'attribute'), name='key_once_per_record')],
            },
        ),
        migrations.CreateModel(
            name='RecordEmail',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('value_fold', scim.columns.CodePoints(max_length=512)),
                ('record', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='emails', to='scim.record')),
                ('source', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='scim.source')),
            ],
            options={
                'indexes': [models.Index(fields=['source', 'value_fold', 'record'], name='record_by_email')],
            },
        ),
        migrations.AddIndex(
            model_name='record',
            index=models.Index(condition=models.Q(('deleted_at__isnull', True)), fields=['source', 'created_at', 'id'], name='record_of_source'),
        ),
        migrations.AddIndex(
            model_name='record',
            index=models.Index(condition=models.Q(('deleted_at__isnull', True)), fields=['source', 'updated_at', 'id'], name='record_by_change'),
        ),
        migrations.AddIndex(
            model_name='record',
            index=models.Index(condition=models.Q(('deleted_at__isnull', True)), fields=['source', 'display_name_fold', 'id'], name='record_by_display_name'),
        ),
        migrations.AddIndex(
            model_name='record',
            index=models.Index(condition=models.Q(('deleted_at__isnull', True)), fields=['source', 'family_name_fold', 'id'], name='record_by_family_name'),
        ),
        migrations.AddIndex(
            model_name='record',
            index=models.Index(condition=models.Q(('deleted_at__isnull', True)), fields=['source', 'employee_number_fold', 'id'], name='record_by_number'),
        ),
        migrations.AddIndex(
            model_name='record',
            index=models.Index(condition=models.Q(('deleted_at__isnull', True)), fields=['source', 'shows_active', 'created_at', 'id'], name='record_by_active'),
        ),
        migrations.AddConstraint(
            model_name='record',
            constraint=models.UniqueConstraint(condition=models.Q(('deleted_at__isnull', True)), fields=('source', 'user_name_fold'), name='record_user_name_per_source'),
        ),
        migrations.AddConstraint(
            model_name='record',
            constraint=models.UniqueConstraint(condition=models.Q(('deleted_at__isnull', True), ('external_id__isnull', False)), fields=('source', 'external_id'), name='record_external_id_per_source'),
        ),
        migrations.AddIndex(
            model_name='group',
            index=models.Index(condition=models.Q(('deleted_at__isnull', True)), fields=['source', 'created_at', 'id'], name='group_by_creation'),
        ),
        migrations.AddIndex(
            model_name='group',
            index=models.Index(condition=models.Q(('deleted_at__isnull', True)), fields=['source', 'updated_at', 'id'], name='group_by_change'),
        ),
        migrations.AddIndex(
            model_name='group',
            index=models.Index(condition=models.Q(('deleted_at__isnull', True)), fields=['source', 'display_name_fold', 'id'], name='group_by_display_name'),
        ),
        migrations.AddConstraint(
            model_name='group',
            constraint=models.UniqueConstraint(condition=models.Q(('deleted_at__isnull', True), ('external_id__isnull', False)), fields=('source', 'external_id'), name='group_external_id_per_source'),
        ),
    ]
