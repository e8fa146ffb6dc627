"""The organisation's settings of the site: read again, checked, and shown (PG-6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from idp.checks.agreements import site_file_is_usable
from idp.policies import colours, site
from tests.fixtures.world import ISSUER, http

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.django_db
SVG = '<svg xmlns="http://www.w3.org/2000/svg"/>'
WHOLE = """
name = "Department of Examples"
contact = "the help desk, 555-0100"
help = "https://help.example.org/"
privacy = "https://example.org/privacy"
banner = "An official website of the Department of Examples"
mail_footer = "Department of Examples, 1 Main Street"
logo = "logo.svg"
colour = "#1a4480"
colour_dark = "#8fb8f0"
languages = ["es", "en"]
"""


@pytest.fixture(autouse=True)
def _no_file_stays() -> Iterator[None]:
    yield
    for name in ("site.toml", "logo.svg", "logo.png"):
        site.path().with_name(name).unlink(missing_ok=True)


def written(text: str, *, logo: str = SVG) -> None:
    site.path().with_name("logo.svg").write_text(logo)
    site.path().write_text(text)


def test_pages_carry_the_name_the_logo_and_the_colours() -> None:
    """The organisation's name stands everywhere, and ours nowhere; what the page names is there."""
    written(WHOLE)
    with http() as agent:
        page = agent.get(f"{ISSUER}/").text
        for shown in ("Department of Examples</title>", "the help desk, 555-0100", "An official website", "/privacy"):
            assert shown in page
        assert "Ramet" not in page.partition("<main")[0]
        found = site.settings()
        assert found.palette is not None
        assert found.logo is not None
        css = agent.get(f"{ISSUER}/brand/{found.palette.version}.css")
        assert css.headers["content-type"].startswith("text/css")
        assert "#1a4480" in css.text
        image = agent.get(f"{ISSUER}/brand/logo/{found.logo.version}")
        assert (image.text, image.headers["content-type"]) == (SVG, "image/svg+xml")
        assert "sandbox" in image.headers["content-security-policy"]
        for old in ("/brand/0.css", "/brand/logo/0"):
            assert agent.get(ISSUER + old).status_code == 404
    assert found.languages == ("es", "en")


def test_without_a_file_nothing_changes() -> None:
    """The built-in name, logo and colours."""
    with http() as agent:
        page = agent.get(f"{ISSUER}/").text
    assert "Ramet</title>" in page
    assert "/brand/" not in page


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ('colour = "#a8d5b8"', "contrast"),
        ('colour = "#ffff00"', "contrast"),
        ('colour_dark = "#0a2a5c"', "contrast"),
        ('colour = "green"', "colour"),
        ("colour = 7", "colour"),
        ('name = ""', "name"),
        ('name = "a\\u0007b"', "name"),
        (f'name = "{"x" * 61}"', "name"),
        ('help = "http://example.org"', "help"),
        ('help = "javascript:alert(1)"', "help"),
        ('logo = "../kek"', "logo"),
        ('logo = "nothing.svg"', "nothing.svg"),
        ('logo = "logo.gif"', "logo"),
        ("languages = []", "languages"),
        ('languages = ["de"]', "languages"),
        ('languages = [["en"]]', "languages"),
        ("logo = 7", "logo"),
        ('languages = ["en", "en"]', "languages"),
        ('agreements = "perhaps"', "agreements"),
        ('surprise = "x"', "surprise"),
        ("name =", "Invalid value"),
    ],
)
def test_check_refuses_what_people_could_not_read_or_use(line: str, named: str) -> None:
    """PG-6: weak colours are refused with their contrast; each other fault names its setting. Pages do not change."""
    written('name = "Before"')
    assert site.settings().name == "Before"
    written(line)
    assert site.settings().name == "Before"
    (fault,) = site_file_is_usable()
    assert (fault.id, named in str(fault.msg)) == ("ramet.E080", True), fault.msg


@pytest.mark.parametrize("content", ["GIF89a", "x" * 10, "<" + "x" * 200_000])
def test_a_logo_is_an_image_of_some_size(content: str) -> None:
    """What is no SVG or PNG, or too much of it, is refused."""
    written('logo = "logo.svg"', logo=content)
    assert [one.id for one in site_file_is_usable()] == ["ramet.E080"]


def test_contrast_is_that_of_wcag() -> None:
    """Known pairs."""
    assert colours.contrast("#000000", "#ffffff") == pytest.approx(21)
    assert colours.contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


def test_only_the_offered_languages_are_spoken() -> None:
    """The first one by default, and none that the organisation does not offer."""
    written('languages = ["fr", "es"]')
    with http() as agent:
        for asked, spoken in (("zh", "fr"), ("es;q=0.5", "es"), ("", "fr")):
            page = agent.get(f"{ISSUER}/", headers={"Accept-Language": asked})
            assert page.headers["content-language"] == spoken
            assert "简体中文" not in page.text
