"""The lists of a thread as HTML, kept from reader to reader for as long as nothing of the article changes."""

from __future__ import annotations

import secrets
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from moderate.http.rendering import render
from moderate.http.words import language

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from moderate.http.state import State
    from moderate.model import Article
    from moderate.reading.thread_links import Place

#: Stands for the page's own query in the links. Nobody learns it, so that no comment can hold it.
PLACE = secrets.token_hex(16)

#: What the lists are made of. A site's own template may show each reader something else.
PARTS = ("thread", "_comments", "_comment", "_pings", "_ping", "_macros")


@dataclass(frozen=True, slots=True)
class Pages:
    """The cursors of the pages before and after one, each None where there is none."""

    earlier: int | None = None
    later: int | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """A page of a thread as HTML: its comments, and what other sites wrote."""

    comments: Markup
    pings: Markup
    comment_pages: Pages
    ping_pages: Pages

    @property
    def size(self) -> int:
        """In bytes, as Python keeps them."""
        return sys.getsizeof(self.comments) + sys.getsizeof(self.pings)

    def with_links(self, query: str) -> Listing:
        """Return it with the query of the page that it is shown on in its links."""
        return replace(self, comments=self.comments.replace(PLACE, query), pings=self.pings.replace(PLACE, query))


def key_of(state: State, article: Article, places: tuple[Place, Place], *, comments_open: bool) -> Hashable:
    """Return what tells one listing from another. It is read before the items, so that newer ones are never missed."""
    return article.key, state.desk.store.counters.revision(article.key), places, language(), comments_open


def listed(context: Mapping[str, Any], comment_pages: Pages, ping_pages: Pages) -> Listing:
    """Return the lists as their templates make them, with `PLACE` where the page's own query goes."""
    names = ("page_query", "at_query", "reply_query")
    shown = {**context, **{name: context[name].replace(context["page_query"], PLACE, 1) for name in names}}
    return Listing(part("_comments", shown), part("_pings", shown), comment_pages, ping_pages)


def part(name: str, context: Mapping[str, Any]) -> Markup:
    return Markup(render(name, **context).strip())  # noqa: S704 - our templates escape
