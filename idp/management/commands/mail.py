"""`manage.py mail`: test the transport of mail."""

from __future__ import annotations

import smtplib
from typing import Any, ClassVar

from django.conf import settings
from django.core.mail import get_connection
from django.core.management.base import CommandError

from idp.config import config
from idp.management.verbs import Noun, name_argument
from idp.signals import transport
from idp.signals.transport import NotInternational

_BODY = "This is a test of the way that {issuer} sends mail. There is nothing to do.\n"


class Command(Noun):
    """The operator's verbs for mail."""

    help = "Mail: test."
    unguarded = frozenset({"test"})
    verbs: ClassVar = {
        "test": (
            "Send one mail now, in this process, and report what the mail server said.",
            name_argument("the address"),
        ),
    }
    reads: ClassVar = frozenset({"test"})

    def test(self, options: dict[str, Any]) -> dict[str, Any]:
        """Send the mail.

        Raises: CommandError with the server's words.
        """
        address = options["name"]
        server = f"{settings.EMAIL_HOST}:{settings.EMAIL_PORT}" if "smtp" in settings.EMAIL_BACKEND else "no server"
        body = _BODY.format(issuer=config().issuer)
        try:
            with get_connection() as connection:
                transport.hand_over(connection, subject="Ramet: a test mail", body=body, address=address)
        except NotInternational:
            message = (
                f"The mail was not sent: {server} takes no address with letters outside ASCII before the @ (SMTPUTF8)."
            )
            raise CommandError(message) from None
        except (ValueError, OSError, smtplib.SMTPException) as error:
            message = (
                f"The mail was not sent by {server}: {type(error).__name__}: {error}. See "
                "RAMET_EMAIL_URL in docs/settings.md."
            )
            raise CommandError(message) from error
        tls = "TLS" if settings.EMAIL_USE_SSL else "STARTTLS" if settings.EMAIL_USE_TLS else "none"
        return {"sent to": address, "server": server, "encryption": tls, "from": settings.DEFAULT_FROM_EMAIL}
