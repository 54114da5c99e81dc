"""Read the page that a ping names as its source: a bounded tree of its HTML, its title, and the link to this site.

lxml's own tree takes quadratic time over one tag with very many attributes, and drops what is nested deeply. So lxml
only reports the tags, and the tree is built of what is needed: few attributes, at most `MAX_ELEMENTS` elements, at
most `MAX_DEPTH` deep with everything below laid flat. Nothing is loaded or run.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from moderate.errors import FetchFailed
from moderate.i18n import Message
from moderate.sources.page_text import cropped_end, one_line, plain_text, words_around
from moderate.text.charsets import page_text
from moderate.web_address import MAX_ADDRESS, host_of, read, resolved

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from lxml import etree

    from moderate.outbound.fetch import Fetched

#: Pages larger than this (characters, decoded) are not read.
MAX_PAGE = 2_097_152
#: Longest title, in characters.
MAX_TITLE = 200
MAX_ELEMENTS = 50_000
MAX_DEPTH = 200

_KEPT = frozenset(
    "alt cite class content data href http-equiv name property rel src title value".split()  # noqa: SIM905
)
#: Elements whose content no browser shows as part of the page (with scripts on, as nearly all readers have them).
_INERT = frozenset({"noembed", "noframes", "noscript", "plaintext", "script", "style", "template", "textarea", "xmp"})
_NAME = re.compile(r"[a-z][a-z0-9-]*", re.ASCII)
_NOT_XML = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")

#: How many addresses of one page `Targets` looks up: on hosts of known targets, and on all others.
MOST_ASKED = (1000, 200)

#: Elements whose links readers can follow, with the attribute that holds the address.
_LINKS = {"a": "href", "area": "href"}
#: Webmention §3.2.2 counts any mention in the elements that take an address.
_MENTIONS = {
    **_LINKS,
    "audio": "src",
    "blockquote": "cite",
    "del": "cite",
    "embed": "src",
    "iframe": "src",
    "img": "src",
    "ins": "cite",
    "link": "href",
    "object": "data",
    "q": "cite",
    "source": "src",
    "video": "src",
}
#: Of several links the first with prose around it is shown; a menu comes before the text on many pages.
_LOOKED_AT = 20
#: JSON sources are searched to this depth, and this many values.
_JSON_DEPTH = 64
_JSON_VALUES = 50_000
_WORD = re.compile(r"https?://[^\s<>\"'`{}|\\^]{1,2048}", re.IGNORECASE)
_TRAILING = ")].,;:!?"
#: Characters that no database takes in a text, or that no address has.
_UNASKABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class SourcePage:
    """A source page. All texts are plain, in one line, and not to be trusted: escape them where they are shown."""

    #: The address at which the redirects ended.
    url: str
    kind: Literal["html", "json", "text"]
    title: str | None = None
    #: The page says that it is deleted, by status 410 or by a meta element with that status.
    is_gone: bool = False
    #: The number of different addresses of other hosts that it links to: a link farm has hundreds.
    outgoing_links: int = 0
    #: The base address of relative links.
    base: str = ""
    tree: etree._Element | None = None
    #: The decoded value of a JSON source, the text of a plain one.
    data: Any = None


class LinkFound(NamedTuple):
    """A link to a wanted address. `text` and `context` are plain, in one line, and not to be trusted."""

    url: str
    text: str = ""
    #: The text of the same paragraph, about 100 characters on each side of the link.
    context: str = ""


class Targets:
    """The addresses that one page has to link to.

    *given* are known targets, in any spelling, with http and https as one. For any other address *leads_here* is
    called, once each and for no more than `MOST_ASKED` of them: it may query a database, and a page may have any
    number of links. It is never called for an address that would be refused as the target of a ping.
    """

    def __init__(self, given: Iterable[str], leads_here: Callable[[str], bool] = lambda _: False) -> None:
        self._leads_here = leads_here
        self._given = frozenset(address.page for url in given if (address := read(url)))
        self._known = dict.fromkeys(self._given, True)
        self._hosts = {page.partition("/")[0] for page in self._given}
        self._left = list(MOST_ASKED)

    def are_given(self, url: str) -> bool:
        """Return whether *url* is one of the given addresses."""
        address = read(url)
        return address is not None and address.page in self._given

    def __contains__(self, url: str) -> bool:
        address = read(url)
        if address is None or address.has_user:
            return False
        page = address.page
        if page not in self._known:
            self._known[page] = self._is_askable(page, url) and self._leads_here(url)
        return self._known[page]

    def _is_askable(self, page: str, url: str) -> bool:
        if len(url) > MAX_ADDRESS or _UNASKABLE.search(url):
            return False
        kind = 0 if page.partition("/")[0] in self._hosts else 1
        self._left[kind] -= 1
        return self._left[kind] >= 0


def read_page(fetched: Fetched) -> SourcePage:
    """Read a fetched page. Raises `FetchFailed` for one that is too large or not of its declared type.

    The time is linear in the size.
    """
    if fetched.status == 410:
        return SourcePage(url=fetched.url, kind="text", is_gone=True, data="")
    text = page_text(fetched.body, fetched.content_type)
    if len(text) > MAX_PAGE:
        raise FetchFailed("too-large", "the source is larger than is read")
    essence = fetched.content_type.partition(";")[0].strip().lower()
    if essence == "application/json" or essence.endswith("+json"):
        return SourcePage(url=fetched.url, kind="json", data=_json(text))
    if essence == "text/plain":
        return SourcePage(url=fetched.url, kind="text", data=text)
    return _html_page(fetched.url, parse_html(text))


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise FetchFailed("bad-response", "the source is not the JSON that it says it is") from None


def _html_page(url: str, tree: etree._Element | None) -> SourcePage:
    if tree is None:
        return SourcePage(url=url, kind="html", base=url)
    base = _base(url, tree)
    return SourcePage(
        url=url,
        kind="html",
        title=_title(tree),
        is_gone=any(_says_gone(meta) for meta in tree.iter("meta")),
        outgoing_links=len(set(_outgoing(url, base, tree))),
        base=base,
        tree=tree,
    )


def _base(url: str, tree: etree._Element) -> str:
    """Return the address of the first base element with an href, resolved against the page's (HTML §4.2.3)."""
    href = next((base.get("href") for base in tree.iter("base") if base.get("href")), "") or ""
    return resolved(url, href) or url


def _title(tree: etree._Element) -> str | None:
    named = [meta.get("content", "") for meta in tree.iter("meta") if meta.get("property", "").lower() == "og:title"]
    # An SVG image has a title element of its own.
    own = [plain_text(title) for title in tree.iter("title") if "svg" not in (e.tag for e in title.iterancestors())]
    title = next((" ".join(text.split()) for text in (*own, *named) if text.strip()), None)
    return cropped_end(title, MAX_TITLE) if title else None


def _says_gone(meta: etree._Element) -> bool:
    """Return whether a meta element declares status 410, as static hosts need (the Webmention test suite does it)."""
    return meta.get("http-equiv", "").lower() == "status" and meta.get("content", "").split()[:1] == ["410"]


def _outgoing(url: str, base: str, tree: etree._Element) -> Iterator[str]:
    own = host_of(url)
    for link in tree.iter("a"):
        address = resolved(base, link.get("href", ""))
        if address and (found := read(address)) and found.host != own:
            yield address


# --- the link to this site ---------------------------------------------------------------------------


def find_link(page: SourcePage, wanted: Targets, *, any_element: bool) -> LinkFound | None:
    """Return the link from the page to one of the *wanted* addresses, None where there is none.

    An address matches as a whole. A mention in a comment, a script or another attribute is no link.
    *any_element* takes what Webmention takes: images, media, quotations and JSON or plain-text sources
    too; else only what a reader can follow. A page that is the target itself (after redirects) does not
    link to it.
    """
    if wanted.are_given(page.url):
        return None
    if page.kind == "html":
        return _in_elements(page, wanted, _MENTIONS if any_element else _LINKS)
    if not any_element:
        return None
    return _in_text(page.data, wanted) if page.kind == "text" else _in_json(page.data, wanted)


def links_to(page: SourcePage, wanted: Targets, attributes: dict[str, str]) -> Iterator[tuple[etree._Element, str]]:
    """Yield the elements that link to a *wanted* address, and the address; *attributes* names it for each tag."""
    for element in page.tree.iter(*attributes) if page.tree is not None else ():
        value = element.get(attributes[str(element.tag)])
        address = resolved(page.base, value) if value else None
        if address and address in wanted:
            yield element, address


def _in_elements(page: SourcePage, wanted: Targets, attributes: dict[str, str]) -> LinkFound | None:
    matches = islice(links_to(page, wanted, attributes), _LOOKED_AT)
    found = [LinkFound(address, *words_around(element)) for element, address in matches]
    return next((link for link in found if len(link.context) > len(link.text)), found[0] if found else None)


def _in_text(text: str, wanted: Targets) -> LinkFound | None:
    for match in _WORD.finditer(text):
        # A sentence's full stop belongs to the sentence, unless the address is wanted with it.
        for address in (match[0], match[0].rstrip(_TRAILING)):
            if address in wanted:
                return LinkFound(address, address, _sentence(text, *match.span()))
    return None


def _sentence(text: str, start: int, end: int) -> str:
    before = one_line(text[max(0, start - 400) : start])
    after = one_line(text[end : end + 400])
    shown = (cropped_end(before[::-1], 100)[::-1], text[start:end], cropped_end(after, 100))
    return " ".join(part for part in shown if part)


def _in_json(value: Any, wanted: Targets) -> LinkFound | None:
    for text in islice(_strings(value, _JSON_DEPTH), _JSON_VALUES):
        if text.startswith(("http", "HTTP")) and text in wanted:
            return LinkFound(text)
    return None


def _strings(value: Any, depth: int) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif depth and isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _strings(inner, depth - 1)


# --- the tree ---------------------------------------------------------------------------------------


def parse_html(text: str) -> etree._Element | None:
    """Return the tree of a document, None where it holds no element. Raises `FetchFailed` where it is too large."""
    from lxml import etree

    target: Any = _SmallTree(etree.TreeBuilder())
    parser = etree.HTMLParser(target=target, encoding="utf-8", recover=True, no_network=True, huge_tree=False)
    try:
        root: etree._Element | None = etree.fromstring(text.encode("utf-8", "replace"), parser)
    except etree.XMLSyntaxError:
        return None
    return root


class _SmallTree:
    """A parser target of lxml, which passes the tags that are kept to a builder."""

    def __init__(self, builder: etree.TreeBuilder) -> None:
        self._builder = builder
        self._elements = 0
        self._inert = 0
        #: For each open tag: whether the builder expects its end.
        self._open: list[bool] = []

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        self._elements += 1
        if self._elements > MAX_ELEMENTS:
            raise FetchFailed("too-large", Message("the source has more than {n} elements", n=MAX_ELEMENTS))
        if self._inert or tag in _INERT:
            self._inert += 1
            self._open.append(False)
            return
        name = tag if _NAME.fullmatch(tag) else "span"
        self._builder.start(name, {k: _NOT_XML.sub("", v) for k, v in attributes.items() if k in _KEPT})
        nests = len(self._open) < MAX_DEPTH and tag != "iframe"
        if not nests:
            self._builder.end(name)
        # The content of an iframe is for browsers that know none.
        self._inert = 1 if tag == "iframe" else 0
        self._open.append(nests)

    def end(self, tag: str) -> None:
        if self._open.pop():
            self._builder.end(tag if _NAME.fullmatch(tag) else "span")
        elif self._inert:
            self._inert -= 1

    def data(self, text: str) -> None:
        if not self._inert:
            self._builder.data(_NOT_XML.sub("", text))

    def comment(self, text: str) -> None:
        """Skip a comment."""

    def pi(self, target: str, data: str) -> None:
        """Skip a processing instruction."""

    def close(self) -> etree._Element | None:
        # lxml calls this after a failure as well, and an error from here would hide that one.
        try:
            root: etree._Element = self._builder.close()
        except AssertionError:
            return None
        return root
