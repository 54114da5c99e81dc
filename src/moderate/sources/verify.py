"""A look at the page that a ping names: is the link there, and what does the page say of itself?

Deferred work: reading another site's page takes seconds. No transaction is open meanwhile.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from moderate.checks.base import SourceLook
from moderate.errors import FetchFailed, ServiceDown
from moderate.i18n import Message
from moderate.model import Client, Kind, Raw
from moderate.sources.hentry import read_hentry
from moderate.sources.links import LinkFound, Targets, find_link
from moderate.sources.source_page import read_page
from moderate.text.clean import clean

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from moderate.model import Article, Item, Submission
    from moderate.outbound.fetch import GuardedFetcher
    from moderate.sources.hentry import HEntry
    from moderate.sources.source_page import SourcePage
    from moderate.text.policy import Policy


log = logging.getLogger("moderate")

#: What a ping says of itself in one line each.
NAMES = ("title", "blog_name")

#: Some fields of an item, in its sender's latest words.
Words = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Seen:
    """What the look has shown, and the page's own words where the link is there."""

    look: SourceLook
    page: SourcePage | None = None
    link: LinkFound | None = None
    #: The page's own account of the post that links, where it has one (microformats2).
    entry: HEntry | None = None
    #: Whether nothing was tried, because others of the same server's pages were being waited for.
    is_busy: bool = False


class Proof:
    """Says which addresses lead to the article that a ping is about, for one look at its source.

    A link proves the ping where *find* maps its address to that article: the host's `article_finder`, else
    the addresses under which articles were shown.
    """

    def __init__(self, article: Article, find: Callable[[str], Article | None]) -> None:
        self._article = article
        self._find = find
        #: Whether the host's finder has failed, so that a missing link proves nothing.
        self.has_failed = False

    def leads_here(self, address: str) -> bool:
        try:
            found = self._find(address)
        except ServiceDown:
            raise
        except Exception:
            if not self.has_failed:
                log.exception("article_finder failed outside of a request, for an address on another site's page.")
            self.has_failed = True
            return False
        return found is not None and found.key == self._article.key


def look_at(
    fetcher: GuardedFetcher,
    item: Item,
    article: Article,
    *,
    target: str | None,
    find: Callable[[str], Article | None],
    about: str,
    now: datetime,
) -> Seen:
    """Fetch an item's source and look for the link. Raises nothing for what the other site does.

    *target* is the address that the sender of the ping gave for the article, None where it is not known.
    """
    try:
        fetched = fetcher.fetch(item.source_url or "", about=about, own=[article.url])
        if fetched.status >= 400 and fetched.status != 410:
            return Seen(SourceLook(trouble=Message("it answered {status}", status=fetched.status)))
        page = read_page(fetched)
    except FetchFailed as error:
        return Seen(SourceLook(trouble=error.reason), is_busy=error.kind == "busy")
    proof = Proof(article, find)
    wanted = Targets((article.url, *article.aliases, *([target] if target else [])), proof.leads_here)
    link = find_link(page, wanted, any_element=item.kind is Kind.WEBMENTION)
    if link is None and proof.has_failed and not page.is_gone:
        return Seen(SourceLook(trouble=Message("the article finder of this site failed")))
    found = link is not None and not page.is_gone
    look = SourceLook(is_gone=page.is_gone, links_here=found, outgoing_links=page.outgoing_links, read_from=fetched.url)
    return Seen(look, page, link, read_hentry(page, wanted, now=now) if found else None)


def described(item: Item, article: Article, seen: Seen, policy: Policy, words: Words) -> Submission:
    """The item as a submission, with what its protocol left open told by the page itself."""
    stored = raw_of(item, words)
    raw = filled_in(stored, item, seen) if seen.page is not None and seen.look.links_here else stored
    submission = clean(raw, article, policy, require_author=False)
    # What was stored as a title is plain text by now: to clean it again would take a word like <b> for a tag.
    kept = {name: value for name in NAMES if (value := getattr(stored, name)) and getattr(raw, name) == value}
    return replace(submission, author=kept.get("blog_name", submission.author), **kept)


def raw_of(item: Item, words: Words) -> Raw:
    """A stored item as it came in; where a changed text waits, with that text, and with what its sender said since."""
    waiting = {**(item.proposed or {}), **words}

    def word(name: str) -> str | None:
        stored: str | None = waiting[name] if name in waiting else getattr(item, name)
        return stored

    return Raw(
        kind=item.kind,
        client=Client(item.ip or "", item.user_agent or "", item.referrer or ""),
        article=item.article,
        author=word("author") or "",
        email=word("email") or "",
        url=word("url") or "",
        text=word("text") or "",
        parent=item.parent,
        source_url=word("source_url"),
        title=word("title"),
        blog_name=word("blog_name"),
        honeypot=item.honeypot,
    )


def filled_in(raw: Raw, item: Item, seen: Seen) -> Raw:
    """TrackBack senders describe themselves; Pingback and Webmention leave it all to the page."""
    title, name, text, markup = words_of(seen)
    if item.kind is Kind.TRACKBACK:
        # Without a title of its own, a ping has its address for one.
        is_untitled = raw.title in {None, "", raw.source_url}
        return replace(
            raw, title=title if is_untitled else raw.title, text=raw.text or text, markup=None if raw.text else markup
        )
    return replace(raw, title=title, blog_name=name, text=text, markup=markup)


def words_of(seen: Seen) -> tuple[str | None, str | None, str, str | None]:
    """Return title, author's name, text and its markup: the post's own account first, then what surrounds the link."""
    title = seen.page.title if seen.page else None
    context = seen.link.context if seen.link else ""
    if seen.entry is None:
        return title, None, context, None
    text = seen.entry.summary or seen.entry.content or context
    markup = None if seen.entry.summary else seen.entry.markup
    return seen.entry.name or title, seen.entry.author_name, text, markup
