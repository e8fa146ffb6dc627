"""When the merged e-mail addresses of a person last changed (ruling 29)."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("scim", "0013_refused_pushes")]

    operations = [
        migrations.AddField("person", "contact_changed_at", models.DateTimeField(null=True)),
    ]
