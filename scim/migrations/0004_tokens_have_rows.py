from django.db import migrations


class Migration(migrations.Migration):
    """The columns that 0003 has emptied into rows."""

    dependencies = [
        ('scim', '0003_sources'),
    ]

    operations = [
        migrations.RemoveField(model_name='source', name='token_expires_at'),
        migrations.RemoveField(model_name='source', name='token_hash'),
    ]
