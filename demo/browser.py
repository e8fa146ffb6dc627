"""A desktop browser without a screen: cookies, redirects, forms."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import unescape
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

import httpx

from demo.forms import Form, PageReader

if TYPE_CHECKING:
    from collections.abc import Mapping

_MOST_REDIRECTS = 12


class UnexpectedPage(Exception):
    """The page is not the expected one."""


@dataclass(frozen=True)
class Page:
    """A page, after redirects.

    stopped_at: the URL of a redirect that was not followed, because the caller asked to stop there.
    """

    url: str
    status: int
    html: str
    stopped_at: str = ""

    @property
    def path(self) -> str:
        """The path of the URL in the address bar."""
        return urlsplit(self.url).path

    def forms(self) -> list[Form]:
        """All forms, in the page's order, but for those of the header that every page shares."""
        return [form for form in self._read().forms if not form.framed]

    def form_with(self, *names: str) -> Form | None:
        """The first form with all these fields or buttons, or None."""
        return next((form for form in self.forms() if {*names} <= {*form.fields, *form.buttons}), None)

    def form_to(self, suffix: str) -> Form:
        """The first form whose action ends with this; the header's last.

        Raises: UnexpectedPage.
        """
        for form in [*self.forms(), *(form for form in self._read().forms if form.framed)]:
            target = urljoin(self.url, form.action)
            if target.endswith(suffix) or target.partition("?")[0].endswith(suffix):
                return form
        raise UnexpectedPage(f"{self.path} ({self.status}) has no form to …{suffix}: {self.words()}")

    def link_to(self, path: str) -> str:
        """The address of the first link to this path, with its query.

        Raises: UnexpectedPage.
        """
        for href in re.findall(r'<a [^>]*href="([^"]*)"', self.html):
            target = urljoin(self.url, unescape(href))
            if urlsplit(target).path == path:
                return target
        raise UnexpectedPage(f"{self.path} ({self.status}) has no link to {path}: {self.words()}")

    def by_id(self, name: str) -> str:
        """The text of the element with this id.

        Raises: UnexpectedPage.
        """
        for element in self._read().elements:
            if element.id == name:
                return element.text
        raise UnexpectedPage(f"{self.path} ({self.status}) has no element with id {name}: {self.words()}")

    def by_class(self, name: str) -> list[str]:
        """The texts of all elements of this class."""
        return [element.text for element in self._read().elements if name in element.classes]

    def words(self) -> str:
        """The first words in `<main>`, for an error message."""
        texts = [element.text for element in self._read().elements if element.tag in {"main", "body"}]
        return (texts[-1] if texts else self.html)[:300]

    def _read(self) -> PageReader:
        reader = PageReader()
        reader.feed(self.html)
        return reader


class Browser:
    """A browser: stores cookies, follows redirects, submits forms.

    http: an httpx client of its own: its cookies are this browser's.
    """

    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    def get(self, url: str, *, stop_at: str = "") -> Page:
        """Open a URL. `stop_at`: do not follow a redirect to a URL that begins with this."""
        return self._follow(self._http.build_request("GET", url), stop_at=stop_at)

    def submit(
        self,
        page: Page,
        form: Form,
        *,
        values: Mapping[str, str] | None = None,
        stop_at: str = "",
        files: Mapping[str, tuple[str, bytes]] | None = None,
    ) -> Page:
        """Fill in a form of a page and submit it; files: name and content, by field."""
        url = urljoin(page.url, form.action or page.url)
        fields = {**form.fields, **(values or {})}
        # Django's CSRF check reads the Referer over TLS.
        headers = {"Referer": page.url, "Origin": _origin(page.url)}
        if form.method == "post":
            request = self._http.build_request("POST", url, data=fields, files=files, headers=headers)
        else:
            request = self._http.build_request("GET", url, params=fields, headers=headers)
        return self._follow(request, stop_at=stop_at)

    def json(self, url: str) -> dict[str, object]:
        """Fetch JSON as a script of the page would.

        Raises: UnexpectedPage unless it is a JSON object with status 200.
        """
        response = self._http.get(url)
        try:
            found = response.json() if response.status_code == httpx.codes.OK else None
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise UnexpectedPage(f"{url} answered {response.status_code}, not a JSON object")
        return found

    def _follow(self, request: httpx.Request, *, stop_at: str) -> Page:
        for _ in range(_MOST_REDIRECTS):
            response = self._http.send(request, follow_redirects=False)
            if response.next_request is None:
                return Page(str(response.url), response.status_code, response.text)
            request = response.next_request
            # The raw header: httpx may write the same URL otherwise.
            target = urljoin(str(response.url), response.headers["Location"])
            if stop_at and target.startswith(stop_at):
                return Page(str(response.url), response.status_code, response.text, stopped_at=target)
        raise UnexpectedPage(f"more than {_MOST_REDIRECTS} redirects, the last to {request.url}")


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
