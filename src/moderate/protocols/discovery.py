"""Announce the addresses of the ping protocols: header fields, link elements and an RDF block.

Software that looks for them uses regular expressions of its own: the order of attributes, the quotes and the blanks
suit all that are known (TrackBack 1.2, Pingback 1.0 §2, Webmention §3.1.2). Pure functions.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING
from urllib.parse import quote

from markupsafe import Markup

from moderate.protocols.base import storable

if TYPE_CHECKING:
    from moderate.model import Article

#: The absolute addresses at which one article takes pings, by the link relations of their protocols.
Endpoints = Mapping[str, str]

#: The link relations of this package's protocols, in the order of their link elements.
KNOWN = ("webmention", "pingback", "trackback")

#: Characters of an endpoint's address that are not escaped. An ampersand is: some readers undo ``&amp;`` and some do
#: not, and it occurs in paths only, where the escaped one is equivalent.
SAFE = "%/:?#[]@!$()*+,;=~"

#: The namespace of the TrackBack module for RSS.
MODULE = "http://madskills.com/public/xml/rss/module/trackback/"

RDF = """<!--
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"
         xmlns:dc="http://purl.org/dc/elements/1.1/"
         xmlns:trackback="{module}">
<rdf:Description
    rdf:about="{about}"
    dc:identifier="{about}"
    dc:title="{title}"
    trackback:ping="{ping}" />
</rdf:RDF>
-->
"""


def head_links(endpoints: Endpoints) -> Markup:
    """Return the link elements for ``<head>``, where they should come early: some readers stop after 5 kB."""
    lines = []
    # Those of further protocols come first.
    for rel in sorted(endpoints, key=lambda rel: KNOWN.index(rel) if rel in KNOWN else -1):
        kind = ' type="application/x-www-form-urlencoded"' if rel == "trackback" else ""
        lines.append(f'<link rel="{rel}"{kind} href="{endpoint(endpoints[rel])}">')
    return Markup("\n".join(lines))  # noqa: S704 - every part of it went through `endpoint`


def feed_link(feed: str) -> Markup:
    """Return the link element by which readers' software finds the feed of an article's comments (RFC 4287)."""
    return Markup(f'<link rel="alternate" type="application/atom+xml" title="Comments" href="{endpoint(feed)}">')  # noqa: S704


def feed_elements(endpoints: Endpoints) -> Markup:
    """Return the element of the TrackBack module for RSS, for an item of RSS 2.0 or an entry of Atom.

    The element declares its namespace itself, so that the rest of the feed need not.
    """
    if "trackback" not in endpoints:
        return Markup("")
    return Markup(f'<trackback:ping xmlns:trackback="{MODULE}">{endpoint(endpoints["trackback"])}</trackback:ping>')  # noqa: S704


def headers(endpoints: Endpoints) -> list[tuple[str, str]]:
    """Return the header fields of an article page, for HEAD as well.

    Each ``Link`` is a line of its own, and that of Webmention must be the first: one reader looks at no other.
    """
    fields = []
    if "webmention" in endpoints:
        fields.append(("Link", f'<{endpoint(endpoints["webmention"])}>; rel="webmention"'))
    if "pingback" in endpoints:
        fields.append(("X-Pingback", endpoint(endpoints["pingback"])))
    fields += [("Link", f'<{endpoint(url)}>; rel="{rel}"') for rel, url in endpoints.items() if rel not in KNOWN]
    return fields


def rdf_block(article: Article, endpoints: Endpoints) -> Markup:
    """Return the RDF by which TrackBack is found, inside a comment because it is not HTML.

    It has to be within the first 100 kB of the page, once for each article that the page shows.
    """
    if "trackback" not in endpoints:
        return Markup("")
    # The article's address is only escaped for XML: readers compare it with the one that they link to.
    about = within_comment(quoted(storable(article.url)))
    ping = within_comment(endpoint(endpoints["trackback"]))
    # On one line, and without a run of hyphens.
    title = quoted(re.sub("--+", "-", " ".join(storable(article.title).split())))
    block = RDF.format(about=about, title=title, ping=ping, module=MODULE)
    return Markup(block)  # noqa: S704 - every part of it was escaped above


def endpoint(url: str) -> str:
    """Return an address in ASCII without any character that is special in HTML, XML or a header field."""
    return quote(url, safe=SAFE)


def quoted(text: str) -> str:
    """Escape text for an attribute in double quotes. The apostrophe stays: readers undo four entities only."""
    return escape(text, quote=False).replace('"', "&quot;")


def within_comment(value: str) -> str:
    """Escape the second of two hyphens, which a comment must not contain; the address stays equivalent."""
    return value.replace("--", "-%2D")
