"""Make the tables and the people: JSON in (how many), JSON out (the group's id)."""

import json
import os
import sys

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "directory_site.settings")
django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import connection, transaction  # noqa: E402
from directory_site.models import Group, User  # noqa: E402

_CHUNK = 5_000


def fill(users: int, members: int) -> int:
    """People 1 to `users`, the first `members` of them in one group."""
    call_command("migrate", "auth", verbosity=0)
    call_command("migrate", run_syncdb=True, verbosity=0)
    for begin in range(1, users + 1, _CHUNK):
        numbers = range(begin, min(begin + _CHUNK, users + 1))
        with transaction.atomic():
            User.objects.bulk_create(
                User(
                    id=n,
                    username=f"bench-n{n:07d}@example.org",
                    scim_username=f"bench-n{n:07d}@example.org",
                    scim_id=str(n),
                    scim_external_id=f"x-n{n:07d}",
                    first_name="Bench",
                    last_name=f"Mark n{n:07d}",
                    email=f"bench-n{n:07d}@example.org",
                )
                for n in numbers
            )
    group = Group.objects.create(name="Everybody")
    link = User.scim_groups.through
    link.objects.bulk_create((link(user_id=n, group_id=group.id) for n in range(1, members + 1)), batch_size=_CHUNK)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT setval(pg_get_serial_sequence('directory_site_user', 'id'), (SELECT max(id) FROM "
                "directory_site_user))"
            )
            cursor.execute("VACUUM ANALYZE")
    return group.id


sys.stdout.write(json.dumps({"group": str(fill(**json.loads(sys.argv[1])))}) + "\n")
