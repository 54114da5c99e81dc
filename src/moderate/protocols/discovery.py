"""How software finds the three ways in: header fields, link elements and an RDF block.

Those who look use regular expressions, each its own: the order of attributes, the quotes and the
blanks are as all of them want it (TrackBack 1.2, Pingback 1.0 §2, Webmention §3.1.2). Pure functions.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING
from urllib.parse import quote

from markupsafe import Markup

from moderate.protocols.plaintext import storable

if TYPE_CHECKING:
    from moderate.model import Article

#: What stays as it is in the address of an endpoint. An ampersand does not: some readers undo ``&amp;``
#: and some do not, and ours stand in paths only, where the escaped one is the same.
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


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The absolute addresses of the three ways in, for one article; None where one is not offered."""

    trackback: str | None = None
    pingback: str | None = None
    webmention: str | None = None


def head_links(endpoints: Endpoints) -> Markup:
    """The link elements for ``<head>``, as early in it as can be: some readers stop after 5 kB."""
    lines = []
    if endpoints.webmention:
        lines.append(f'<link rel="webmention" href="{endpoint(endpoints.webmention)}">')
    if endpoints.pingback:
        lines.append(f'<link rel="pingback" href="{endpoint(endpoints.pingback)}">')
    if endpoints.trackback:
        href = endpoint(endpoints.trackback)
        lines.append(f'<link rel="trackback" type="application/x-www-form-urlencoded" href="{href}">')
    return Markup("\n".join(lines))  # noqa: S704 - every part of it went through `endpoint`


def feed_link(feed: str) -> Markup:
    """The link element by which readers' software finds the feed of an article's comments (RFC 4287)."""
    return Markup(f'<link rel="alternate" type="application/atom+xml" title="Comments" href="{endpoint(feed)}">')  # noqa: S704


def feed_elements(endpoints: Endpoints) -> Markup:
    """For an item of RSS 2.0 or an entry of Atom: where the article takes pings (TrackBack module for RSS).

    The element brings its namespace along, so that nothing else of the feed has to know of it.
    """
    if not endpoints.trackback:
        return Markup("")
    return Markup(f'<trackback:ping xmlns:trackback="{MODULE}">{endpoint(endpoints.trackback)}</trackback:ping>')  # noqa: S704


def headers(endpoints: Endpoints) -> list[tuple[str, str]]:
    """The header fields of an article page, HEAD included.

    ``Link`` is a line of its own and must stay the first of its name: one reader looks at no other.
    """
    fields = []
    if endpoints.webmention:
        fields.append(("Link", f'<{endpoint(endpoints.webmention)}>; rel="webmention"'))
    if endpoints.pingback:
        fields.append(("X-Pingback", endpoint(endpoints.pingback)))
    return fields


def rdf_block(article: Article, endpoints: Endpoints) -> Markup:
    """The block by which TrackBack is found: inside a comment, for HTML knows no RDF.

    It stands within the first 100 kB of the page, once for each article that the page shows.
    """
    if not endpoints.trackback:
        return Markup("")
    # The article's address stays as it is but for XML's sake: readers compare it with what they link to.
    about = within_comment(quoted(storable(article.url)))
    ping = within_comment(endpoint(endpoints.trackback))
    block = RDF.format(about=about, title=title_within_comment(article.title), ping=ping, module=MODULE)
    return Markup(block)  # noqa: S704 - every part of it was escaped above


def endpoint(url: str) -> str:
    """An endpoint's address in plain ASCII, with nothing in it that means something in HTML, XML or a header field."""
    return quote(url, safe=SAFE)


def quoted(text: str) -> str:
    """Text as the value of an attribute in double quotes. The apostrophe stays: readers undo four entities only."""
    return escape(text, quote=False).replace('"', "&quot;")


def within_comment(value: str) -> str:
    """Two hyphens may not stand side by side in a comment; the escaped hyphen is the same address."""
    return value.replace("--", "-%2D")


def title_within_comment(title: str) -> str:
    """A title as the value of an attribute within a comment: one line, escaped, no run of hyphens."""
    one_line = " ".join(storable(title).split())
    return quoted(re.sub("--+", "-", one_line))
