"""Canaille with its SQL backend on SQLite, as documented: the application for gunicorn, and its people."""

import datetime as dt
import json
import os
import sys

from canaille import create_app
from canaille.app import models
from canaille.backends import Backend
from sqlalchemy import insert

_CHUNK = 5_000

application = create_app({
    "SECRET_KEY": "only for the bench", "SERVER_NAME": f"127.0.0.1:{os.environ['PORT']}",
    "PREFERRED_URL_SCHEME": "http",
    "CANAILLE": {"DATABASE": "sql", "LOGGING": {"version": 1, "disable_existing_loggers": True}},
    "CANAILLE_SQL": {"DATABASE_URI": os.environ["BENCH_DATABASE"]},
    "CANAILLE_OIDC": {}, "CANAILLE_SCIM": {"ENABLE_SERVER": True},
})  # fmt: skip


def fill(users: int, members: int) -> str:
    """People 1 to `users`, the first `members` of them in one group; a client with a token for itself."""
    from canaille.backends.sql.models.core import Group, Membership, User

    now = dt.datetime.now(dt.UTC)
    with application.app_context(), Backend.instance.session():
        session = Backend.instance.db_session
        for begin in range(1, users + 1, _CHUNK):
            session.execute(insert(User), [
                {
                    "id": str(n), "created": now, "last_modified": now, "user_name": f"bench-n{n:07d}@example.org",
                    "given_name": "Bench",
                    "family_name": f"Mark n{n:07d}", "formatted_name": f"Bench Mark n{n:07d}",
                    "display_name": f"Bench n{n:07d}",
                    "emails": [f"bench-n{n:07d}@example.org"],
                }
                for n in range(begin, min(begin + _CHUNK, users + 1))
            ])  # fmt: skip
        session.execute(
            insert(Group), [{"id": "everybody", "created": now, "last_modified": now, "display_name": "Everybody"}]
        )
        session.execute(
            insert(Membership),
            [{"user_id": str(n), "group_id": "everybody", "created_at": now} for n in range(1, members + 1)],
        )
        client = models.Client(
            client_id="bench", client_name="Bench", client_secret="x", redirect_uris=["http://127.0.0.1/"]
        )
        Backend.instance.save(client)
        Backend.instance.save(models.Token(
            token_id="bench", access_token=os.environ["BENCH_TOKEN"], client=client, subject=None, type="access_token",
            scope=["openid"],
            issue_date=now, lifetime=86_400, audience=[client],
        ))  # fmt: skip
        session.commit()
    return "everybody"


if __name__ == "__main__":
    sys.stdout.write(json.dumps({"group": fill(**json.loads(sys.argv[1]))}) + "\n")
