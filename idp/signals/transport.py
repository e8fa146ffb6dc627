"""A mail handed to the server as addressed: never to another mailbox.

Django encodes what is not ASCII: the local part as an encoded-word (RFC 2047), which is another mailbox, and the domain
by IDNA 2003, by which straße.example becomes strasse.example. Here the domain is encoded by IDNA 2008 (RFC 5891), and a
local part that is not ASCII is sent only to a server with SMTPUTF8 (RFC 6531), else to nobody.
"""

from __future__ import annotations

import re
import smtplib
from email.message import EmailMessage as InternationalMessage
from email.policy import SMTPUTF8
from email.utils import formatdate, make_msgid
from typing import TYPE_CHECKING

import idna
from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.core.mail.backends.smtp import EmailBackend
from django.core.mail.message import sanitize_address
from django.core.mail.utils import DNS_NAME

if TYPE_CHECKING:
    from django.core.mail.backends.base import BaseEmailBackend


_LOCAL_PART = re.compile(r"[^\s\"<>(),:;@\[\]\\]+")


class NotInternational(smtplib.SMTPException):
    """The mail server does not take an address whose local part is not ASCII."""


def hand_over(connection: BaseEmailBackend, *, subject: str, body: str, address: str, page: str = "") -> None:
    """Send a message over an open connection; with `page`, its HTML beside the text.

    Raises: ValueError for an impossible address; NotInternational; OSError, SMTPException of the server.
    """
    local, _, domain = address.rpartition("@")
    if not domain.isascii():
        domain = idna.encode(domain, uts46=True).decode()
    if local.isascii():
        _message(subject, body, page, to=f"{local}@{domain}", connection=connection).send()
        return
    if not _LOCAL_PART.fullmatch(local):
        why = "the local part is no dot-atom (RFC 6532)"
        raise ValueError(why)
    if not isinstance(connection, EmailBackend):
        _message(subject, body, page, to=address, connection=connection).send()  # a file, or the console
        return
    message = InternationalMessage(policy=SMTPUTF8)
    message["Subject"], message["From"], message["To"] = subject, settings.DEFAULT_FROM_EMAIL, f"{local}@{domain}"
    message["Date"], message["Message-ID"] = formatdate(), make_msgid(domain=DNS_NAME.get_fqdn())
    message.set_content(body)
    if page:
        message.add_alternative(page, subtype="html")
    server = connection.connection
    if server is None:
        raise smtplib.SMTPServerDisconnected
    server.ehlo_or_helo_if_needed()
    if not server.has_extn("smtputf8"):
        raise NotInternational
    sender = sanitize_address(settings.DEFAULT_FROM_EMAIL, settings.DEFAULT_CHARSET)
    server.send_message(message, sender, [f"{local}@{domain}"])


def _message(subject: str, body: str, page: str, *, to: str, connection: BaseEmailBackend) -> EmailMultiAlternatives:
    message = EmailMultiAlternatives(subject, body, to=[to], connection=connection)
    if page:
        message.attach_alternative(page, "text/html")
    return message
