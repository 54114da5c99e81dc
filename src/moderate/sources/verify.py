"""Read the page that a ping names: find the link, take over the page's own words, and act where the link is gone.

Deferred work: reading another site's page takes seconds. No transaction is open meanwhile.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from moderate import signals
from moderate.checks.base import SourceLook
from moderate.errors import FetchFailed, ServiceDown
from moderate.i18n import Message
from moderate.model import Client, Finding, Kind, Lean, Raw
from moderate.notices.delivery import notice_tasks
from moderate.sources.hentry import read_hentry
from moderate.sources.page import LinkFound, Targets, find_link, read_page
from moderate.text.clean import clean

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from moderate.model import Article, Item, Submission, Task
    from moderate.outbound.fetch import GuardedFetcher
    from moderate.sources.hentry import HEntry
    from moderate.sources.page import SourcePage
    from moderate.submit.desk import Desk
    from moderate.text.tags import Policy

log = logging.getLogger("moderate")

#: The one-line fields in which a ping describes itself.
NAMES = ("title", "blog_name")

#: Fields of an item as its sender has sent them last.
Words = Mapping[str, Any]

#: The time after which the page of a missing link is read again.
SECOND_LOOK = timedelta(hours=6)

#: The check name of a missing link among an item's findings.
MISSED = "link"


class Seen(NamedTuple):
    """The result of reading a source, with the page's own words where the link was found."""

    look: SourceLook
    page: SourcePage | None = None
    link: LinkFound | None = None
    #: The page's own description of the post that links, where it has one (microformats2).
    entry: HEntry | None = None
    #: Nothing was read, because other fetches from the same server were under way.
    is_busy: bool = False


class Proof:
    """The addresses that lead to *article*, for one reading of a source.

    A link proves a ping if *find* maps its address to that article: the host's `article_finder`, else the addresses
    under which articles were shown.
    """

    def __init__(self, article: Article, find: Callable[[str], Article | None]) -> None:
        self._article = article
        self._find = find
        #: The host's finder has failed, so that a missing link proves nothing.
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


def read_source(
    fetcher: GuardedFetcher,
    item: Item,
    article: Article,
    *,
    target: str | None,
    find: Callable[[str], Article | None],
    about: str,
) -> Seen:
    """Fetch an item's source and look for the link. Failures of the other site are part of the result.

    *target* is the article's address as the ping's sender gave it, None where it is not known. *about* goes into the
    User-Agent.
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
    return Seen(look, page, link, read_hentry(page, wanted) if found else None)


def described(item: Item, article: Article, seen: Seen, policy: Policy, words: Words) -> Submission:
    """Return the item as a submission, with the fields that its protocol leaves open taken from the page."""
    stored = raw_of(item, words)
    raw = filled_in(stored, item, seen) if seen.page is not None and seen.look.links_here else stored
    submission = clean(raw, article, policy, require_author=False)
    # A stored title is plain text already: cleaning it again would take a word like <b> for a tag.
    kept = {name: value for name in NAMES if (value := getattr(stored, name)) and getattr(raw, name) == value}
    return replace(submission, author=kept.get("blog_name", submission.author), **kept)


def raw_of(item: Item, words: Words) -> Raw:
    """Return a stored item as it came in, with the text of a waiting change and the sender's latest *words*."""
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
    """Return *raw* with texts from the page: the missing ones of a TrackBack, all of other pings.

    The post's own description (microformats2) is preferred to the page's title and the text around the link.
    """
    title = seen.page.title if seen.page else None
    text = seen.link.context if seen.link else ""
    name = markup = None
    if seen.entry is not None:
        title, name = seen.entry.name or title, seen.entry.author_name
        text, markup = seen.entry.text or text, seen.entry.markup
    if item.kind is not Kind.TRACKBACK:
        return replace(raw, title=title, blog_name=name, text=text, markup=markup)
    # A ping without a title has its address there.
    is_untitled = raw.title in {None, "", raw.source_url}
    return replace(
        raw, title=title if is_untitled else raw.title, text=raw.text or text, markup=None if raw.text else markup
    )


# --- links that are gone ----------------------------------------------------------------------------
#
# Webmention asks for the deletion of a ping whose page does not link any more (W3C Recommendation, section 3.2.4).
# But a page may answer 200 and be a notice of maintenance, a login form, or an error page: so a link must be missing
# twice, some hours apart, before its ping is withdrawn. A page that declares that it is gone (410) is believed at
# once; 404 and other errors prove nothing about the link, and the page is read again later.


def is_link_missing(item: Item, seen: Seen | None) -> bool:
    """Return whether the page of an approved ping was read and does not link here."""
    return seen is not None and item.is_public and not seen.look.trouble and not seen.look.links_here


def handle_missing_link(desk: Desk, task: Task, item: Item, seen: Seen) -> None:
    """Withdraw a ping whose link is gone for certain, else have its page read again."""
    now = desk.clock.now()
    missed = missed_at(item)
    if seen.look.is_gone or (missed is not None and now - missed >= SECOND_LOOK):
        tasks = notice_tasks(desk, now)
        decided = desk.store.items.withdraw(item.id, now, note="its page no longer links here", tasks=tasks)
        desk.store.tasks.finish(task)
        if decided.changed:
            signals.announce(desk.app, decided.item, before=decided.before, by=None)
        return
    if missed is None:
        missed = now
        reason = Message("its page does not link here at the moment; it is read once more before this leaves the page")
        desk.store.items.annotate(item, (*item.findings, Finding(MISSED, Lean.HOLD, reason, at=now)))
    desk.store.tasks.retry(task, missed + SECOND_LOOK, "its page did not link here", is_attempt=False)


def clear_missing_link(desk: Desk, item: Item, seen: Seen | None) -> None:
    """Remove the finding of a missing link where the link is there again."""
    if missed_at(item) is not None and seen is not None and seen.look.links_here:
        desk.store.items.annotate(item, tuple(finding for finding in item.findings if finding.check != MISSED))


def missed_at(item: Item) -> datetime | None:
    return next((finding.at for finding in item.findings if finding.check == MISSED), None)
