"""The actions of a browser on the pages of a host: links, forms with their hidden fields, redirects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

import html5lib

if TYPE_CHECKING:
    from collections.abc import Callable
    from xml.etree.ElementTree import Element

    from flask import Flask
    from werkzeug.wrappers import Response

    from moderate import Moderate

SITE = "http://127.0.0.1:5000"


@dataclass(frozen=True, slots=True)
class HostedSite:
    """One of the hosts, ready to be visited."""

    app: Flask
    moderate: Moderate
    #: The path of an article, and the key that the host knows it by.
    path: str
    key: str
    #: Logs an editor in by the host's own login; None where the host has none.
    log_in: Callable[[Visitor], object] | None

    def visitor(self) -> Visitor:
        return Visitor(self)

    def run(self, *words: str) -> str:
        """Run ``flask moderate …``."""
        done = self.app.test_cli_runner().invoke(args=["moderate", *words])
        assert done.exit_code == 0, done.output
        return str(done.output)


class Visitor:
    """A browser with cookies of its own and one page open."""

    def __init__(self, site: HostedSite) -> None:
        self.client = site.app.test_client()
        self.url = f"{SITE}/"
        self.answer: Response

    @property
    def page(self) -> str:
        return self.answer.get_data(as_text=True)

    @property
    def words(self) -> str:
        """The text of the page, as one line."""
        return " ".join("".join(self.tree().itertext()).split())

    def tree(self) -> Element:
        tree: Element = html5lib.parse(self.page, namespaceHTMLElements=False)
        return tree

    def open(self, path: str) -> Visitor:
        self.url = urljoin(self.url, path)
        self.answer = self.client.get(self.url.partition("#")[0])
        return self

    def follow(self, part: str) -> Visitor:
        """Follow the first link whose address holds *part*."""
        links = [link.get("href", "") for link in self.tree().iter("a")]
        return self.open(next(link for link in links if part in link))

    def send(self, part: str, button: str | None = None, **fields: str) -> Visitor:
        """Send the first form whose action holds *part*, as a browser does without JavaScript."""
        form = next(form for form in self.tree().iter("form") if part in form.get("action", self.url))
        data = {
            field.get("name", ""): field.get("value", "")
            for field in form.iter("input")
            if field.get("name") and field.get("type") not in {"checkbox", "radio", "submit"}
        }
        for area in form.iter("textarea"):
            data[area.get("name", "")] = area.text or ""
        if button is not None:
            pressed = next(found for found in form.iter("button") if found.get("value") == button)
            data[pressed.get("name", "")] = button
        return self.post(urljoin(self.url, form.get("action", "")), data | fields)

    def post(self, url: str, data: dict[str, str], **headers: str) -> Visitor:
        sent = {"Origin": SITE, "Referer": self.url, "Sec-Fetch-Site": "same-origin", **headers}
        self.answer = self.client.post(url, data=data, headers=sent)
        if self.answer.status_code in {302, 303}:
            self.open(urljoin(url, self.answer.headers["Location"]))
        return self

    def preview(self, text: str) -> Any:
        """Ask for a preview, as the thread's script does."""
        (form,) = [form for form in self.tree().iter("form") if form.get("class") == "moderate-form"]
        url = urljoin(self.url, form.get("data-moderate-preview", ""))
        headers = {"Accept": "application/json", "Origin": SITE, "Sec-Fetch-Site": "same-origin"}
        return self.client.post(url, data={"text": text}, headers=headers).json
