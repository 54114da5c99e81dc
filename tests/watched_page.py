"""A page that records what runs on it: dialogs, changed globals, requests elsewhere, elements out of place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from playwright.sync_api import Page

#: Before anything of the page: what hostile text likes to call is counted instead.
WATCH = """
window.watched = [];
for (const name of ['alert', 'confirm', 'prompt', 'print', 'open']) {
  window[name] = (...words) => { window.watched.push(name + ': ' + words.join()); };
}
window.addEventListener('error', (event) => window.watched.push('error: ' + event.message));
window.globalsBefore = new Set(Object.getOwnPropertyNames(window));
"""

#: The names that were not there before, and those that the page itself made (an `id` makes a global).
NEW_GLOBALS = "Object.getOwnPropertyNames(window).filter((name) => !window.globalsBefore.has(name))"

#: Finds everything in users' texts other than the few tags, attributes and schemes that are allowed there.
OUT_OF_PLACE = """() => {
  const tags = new Set(('A B STRONG I EM CODE PRE BLOCKQUOTE Q DEL S CITE ABBR P BR UL OL LI').split(' '));
  const attributes = new Set(['href', 'title', 'rel']);
  const found = [];
  const texts = '.moderate-comment .moderate-text, .moderate-ping .moderate-text, .card .text';
  for (const text of document.querySelectorAll(texts)) {
    for (const element of text.querySelectorAll('*')) {
      if (!tags.has(element.tagName)) found.push('element ' + element.tagName);
      for (const {name} of element.attributes) if (!attributes.has(name)) found.push('attribute ' + name);
    }
    for (const node of [...text.querySelectorAll('*'), text].flatMap((element) => [...element.childNodes]))
      if (node.nodeType !== 1 && node.nodeType !== 3) found.push('node ' + node.nodeType);
  }
  for (const link of document.querySelectorAll('.moderate a[href], .card a[href]'))
    if (!['http:', 'https:', 'mailto:'].includes(link.protocol)) found.push('link ' + link.protocol);
  return found;
}"""

#: What readers do without wanting anything: point at things, give them the focus.
TOUCH = """() => {
  for (const element of document.querySelectorAll('.moderate-text *, .card .text *'))
    for (const name of ['mouseover', 'mouseenter', 'pointerover', 'focus', 'animationstart', 'toggle', 'load', 'error'])
      element.dispatchEvent(new Event(name, { bubbles: false }));
}"""


class WatchedPage:
    """Opens addresses of one site and remembers everything that should not have happened."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.happened: list[str] = []
        self._host = ""
        page.add_init_script(WATCH)
        page.on("dialog", self._dialog)
        page.on("request", self._request)
        page.on("popup", lambda popup: self.happened.append(f"popup {popup.url[:100]}"))

    def open(self, address: str) -> None:
        """Load the page, touch everything on it, and look at what has changed."""
        self._host = urlsplit(address).netloc
        self.page.goto(address, wait_until="load")
        title = self.page.title()
        self.page.evaluate(TOUCH)
        self._note("call", self.page.evaluate("window.watched"))
        self._note("global", set(self.page.evaluate(NEW_GLOBALS)) - {"watched", "globalsBefore"})
        self._note("out of place", self.page.evaluate(OUT_OF_PLACE))
        if self.page.url != address or self.page.title() != title:
            self.happened.append(f"went to {self.page.url[:100]}")

    def _note(self, what: str, found: Any) -> None:
        self.happened += [f"{what} {entry}"[:200] for entry in found]

    def _dialog(self, dialog: Any) -> None:
        self.happened.append(f"dialog {dialog.message[:100]}")
        dialog.dismiss()

    def _request(self, request: Any) -> None:
        parts = urlsplit(request.url)
        # An empty icon is the example site's own.
        if parts.netloc != self._host and request.url != "data:,":
            self.happened.append(f"request {request.url[:100]}")
