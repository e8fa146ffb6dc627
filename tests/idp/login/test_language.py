"""The language of pages and mail, and the catalogues (people.md §6; TX-2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.utils import translation

from idp.login import language
from tests import messages
from tests.fixtures.world import ISSUER, http

if TYPE_CHECKING:
    import httpx
    from babel.messages.catalog import Catalog

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module", params=messages.LANGUAGES)
def catalogue(request: pytest.FixtureRequest) -> Catalog:
    """The catalogue of each language, as it is committed."""
    return messages.read(request.param)


@pytest.fixture(scope="module")
def marked() -> set[messages.Message]:
    """Every text that is marked."""
    return {message for _place, message, _context in messages.texts()}


def test_a_catalogue_has_every_text_and_no_other(catalogue: Catalog, marked: set[messages.Message]) -> None:
    """TX-2: a text that is marked is in each catalogue (`make messages` puts it there)."""
    assert {one.id for one in catalogue if one.id} == marked


def test_a_catalogue_is_complete(catalogue: Catalog) -> None:
    """TX-2: no translation is missing, none is fuzzy."""
    wanting = [one.id for one in catalogue if one.id and (one.fuzzy or not messages.all_of(one.string))]
    assert wanting == []


def test_a_translation_keeps_the_placeholders(catalogue: Catalog) -> None:
    """What a page puts into a text has its place in every translation of it."""
    faults = [(one.id, error) for one in catalogue for error in one.check()]
    assert faults == []


def test_the_compiled_catalogue_is_of_the_present_one(catalogue: Catalog) -> None:
    """A .mo file that was not made again (`make messages`) would show yesterday's texts."""
    file = messages.path(str(catalogue.locale)).with_suffix(".mo")
    assert file.read_bytes() == messages.compiled(catalogue)


def _shown(client: httpx.Client, accepted: str = "") -> str:
    response = client.get("/language", headers={"Accept-Language": accepted} if accepted else {})
    return str(response.headers["Content-Language"])


def _choose(client: httpx.Client, tongue: str, back: str = "/") -> httpx.Response:
    token = client.get("/language").text.partition('name="csrfmiddlewaretoken" value="')[2].partition('"')[0]
    form = {"csrfmiddlewaretoken": token, "language": tongue, "next": back}
    return client.post("/language", data=form, headers={"Origin": ISSUER})


def test_the_choice_comes_before_the_browser() -> None:
    """Chosen, else the browser's, else English."""
    client = http()
    assert _shown(client) == "en"
    assert _shown(client, accepted="fr-CA,en;q=0.5") == "fr"
    assert _shown(client, accepted="zh-CN") == "zh-hans"
    assert _shown(client, accepted="tlh") == "en"
    chosen = _choose(client, "es", "https://elsewhere.example/")
    assert (chosen.status_code, chosen.headers["Location"]) == (302, "/")
    assert _shown(client, accepted="fr") == "es"


@pytest.mark.parametrize("back", ["%", "devices", "//elsewhere.example/", "javascript:alert(1)", ""])
def test_what_is_no_path_of_ours_leads_to_the_front_page(back: str) -> None:
    """Neither an error nor another site."""
    chosen = _choose(http(), "es", back)
    assert (chosen.status_code, chosen.headers["Location"]) == (302, "/")


def test_an_unknown_language_is_refused() -> None:
    """Nothing is kept."""
    response = _choose(http(), "xx")
    assert response.status_code == 400
    assert "ramet_language" not in response.cookies


@pytest.mark.parametrize(
    ("chosen", "stated", "expected"),
    [
        ("", None, "en"),
        ("", "es-MX, en;q=0.5", "es"),
        ("fr", "es", "fr"),
        ("", ["es"], "en"),
        ("", "zh-Hans", "zh-hans"),
    ],
)
def test_mail_follows_the_person(chosen: str, stated: object, expected: str) -> None:
    """Chosen by the person, else `preferredLanguage` of a source, else English."""
    person = language.Person(language=chosen, profile={"preferredLanguage": stated} if stated else {})
    assert language.of_person(person) == expected


def test_a_page_in_another_language() -> None:
    """The page, its `lang`, and the language of the next request are apart."""
    page = http().get("/language", headers={"Accept-Language": "es"}).text
    assert '<html lang="es" dir="ltr">' in page
    assert "Elija un idioma" in page
    assert translation.get_language() == "en"
