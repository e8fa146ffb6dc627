"""Mail: text and HTML together, in the language of its reader (people.md §5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.core import mail
from django.utils import translation

from idp.signals.mail_page import as_page
from scim.models import Person

if TYPE_CHECKING:
    from tests.fixtures.world import World


def test_page_of_a_mail_has_its_words_and_links_and_nothing_remote() -> None:
    """NT-6: what a person wrote cannot become a tag, and nothing is fetched when the mail is opened."""
    page = as_page(
        "Hello", "Hello <b>Alex</b>,\n\nOpen it:\n\n  http://localhost:8000/undo/a?b=1&c=2\n\n  What: x\n  When: y\n"
    )
    assert "&lt;b&gt;Alex&lt;/b&gt;" in page
    assert '<a href="http://localhost:8000/undo/a?b=1&amp;c=2">' in page
    assert "What: x<br>When: y" in page
    assert all(word not in page for word in ("<img", "<link", "<script", "src=", "@import"))
    with translation.override("ar"):
        assert '<html lang="ar" dir="rtl">' in as_page("x", "y")


@pytest.mark.django_db
def test_notice_comes_in_the_language_of_the_person(world: World) -> None:
    """NT-11 and NT-6: Spanish, as text and as HTML; what reads in English is not left."""
    world.enrolled()
    Person.objects.update(language="es")
    world.mails()
    mail.outbox.clear()
    world.deactivate()
    world.mails()
    sent = mail.outbox[0]
    assert sent.subject == "Su cuenta se ha cerrado"
    assert "Por qué: su organización terminó su acceso" in sent.body
    (page,) = sent.alternatives  # type: ignore[attr-defined]
    assert page.mimetype == "text/html"
    assert "su cuenta ya no se puede usar" in page.content
    assert '<html lang="es"' in page.content


def test_only_our_own_addresses_become_links() -> None:
    """A device that somebody named like an address is text."""
    page = as_page("Hello", "Device: https://evil.example/login\n\nhttp://localhost:8000/devices")
    assert 'href="https://evil' not in page
    assert '<a href="http://localhost:8000/devices">' in page
