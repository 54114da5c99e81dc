"""The lists of a thread as HTML, kept from reader to reader for as long as nothing of the article changes."""

from __future__ import annotations

import secrets
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from moderate.web.rendering import render
from moderate.web.words import language

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from moderate.model import Article
    from moderate.web.state import State

#: Stands for the page's own query in the "Reply" links. Nobody learns it, so that no comment can hold it.
PLACE = secrets.token_hex(16)

#: What the lists are made of. A site's own template may show each reader something else.
PARTS = ("thread", "_comments", "_comment", "_pings", "_ping", "_macros")


@dataclass(frozen=True, slots=True)
class Listing:
    """A page of a thread: its comments, what other sites wrote, and where the next page begins."""

    comments: Markup
    pings: Markup
    next: int | None

    @property
    def size(self) -> int:
        """In bytes, as Python keeps them."""
        return sys.getsizeof(self.comments) + sys.getsizeof(self.pings)

    def with_links(self, query: str) -> Listing:
        """With the query of the page that it is shown on in its "Reply" links."""
        return replace(self, comments=self.comments.replace(PLACE, query))


def key_of(state: State, article: Article, cursor: int | None, *, comments_open: bool) -> Hashable:
    """What tells one listing from another. Read before the items are, so that newer ones never stay for old."""
    return article.key, state.desk.store.revision(article.key), cursor, language(), comments_open


def listed(context: Mapping[str, Any]) -> Listing:
    """The lists as their templates make them."""
    shown = {**context, "reply_query": PLACE}
    return Listing(part("_comments", shown), part("_pings", shown), context["next"])


def part(name: str, context: Mapping[str, Any]) -> Markup:
    return Markup(render(name, **context).strip())  # noqa: S704 - our templates escape
