"""The host's articles: titles for moderators, addresses for pings, and what moderators set for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from sqlalchemy import bindparam, delete, func, select, update

from moderate.database.schema import article_urls, articles
from moderate.database.statements import Lookup, overwrite
from moderate.lifecycle import Overrides

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sqlalchemy.engine import Connection

    from moderate.database.engine import Database
    from moderate.lifecycle import Premoderation
    from moderate.lru import LRUCache
    from moderate.model import Article


#: Addresses that are kept of one article, former ones included.
MOST_ADDRESSES = 50

# Run with each submission or page view, and so built once.
OF_KEY = articles.c.key == bindparam("of_key")
STANDING = select(articles.c.title, articles.c.url, articles.c.published_at).where(OF_KEY)
OVERRIDES = Lookup(select(articles.c.comments_open, articles.c.pings_open, articles.c.premoderation).where(OF_KEY))
OWNER = select(article_urls.c.article_key).where(article_urls.c.url_key == bindparam("of_url"))


def note_article(conn: Connection, article: Article, now: datetime) -> None:
    """Write the host's title, address and date of an article, and keep what moderators set for it."""
    title, url, published_at = fact_of(article)
    values = {"key": article.key, "title": title, "url": url, "published_at": published_at, "updated_at": now}
    conn.execute(overwrite(conn.dialect.name, articles, "key", "title", "url", "published_at", "updated_at"), values)


def fact_of(article: Article) -> tuple[str, str, datetime | None]:
    """Return the values that are stored of an article besides its key."""
    return article.title, article.url, article.published_at


class Articles:
    """The host's articles as they were last shown, and what moderators set for them."""

    def __init__(self, database: Database, known: LRUCache[object]) -> None:
        """*known* holds what this process has written lately, so that it is not written again."""
        self._database = database
        self._known = known

    def remember(self, article: Article, url_keys: Mapping[str, str], now: datetime) -> None:
        """Store an article, and its addresses as {key: address}; write only what is new or changed.

        Does not wait for other writers: raises `ServiceDown` where it cannot be written at once.
        """
        fact = (*fact_of(article), frozenset(url_keys))
        if self._known.get(("urls", article.key)) == fact:
            return
        # Always in the same order, so that two processes cannot wait for each other.
        rows = [{"url_key": key, "url": url_keys[key], "article_key": article.key} for key in sorted(url_keys)]
        with self._database.read() as conn:
            is_known = _stands(conn, article) and not _missing(conn, article, rows)

        def remember(conn: Connection) -> None:
            if not _stands(conn, article):
                note_article(conn, article, now)
            missing = _missing(conn, article, rows)
            if missing:
                _make_room(conn, article.key, set(url_keys), len(missing))
                conn.execute(overwrite(conn.dialect.name, article_urls, "url_key", "url", "article_key"), missing)

        if not is_known:
            self._database.promptly(remember)
        self._known.put(("urls", article.key), fact)
        self._known.put(article.key, fact_of(article))

    def by_url(self, url_key: str) -> str | None:
        """Return the key of the article that was remembered under that address."""
        with self._database.read() as conn:
            return _owner(conn, url_key)

    def overrides(self, article: str) -> Overrides:
        """Return what moderators set for an article; all fields are None where they set nothing."""
        row = OVERRIDES.first(self._database, of_key=article)
        if row is None:
            return Overrides()
        comments_open, pings_open, premoderation = row
        return Overrides(comments_open, pings_open, cast("Premoderation | None", premoderation))

    def set_overrides(self, article: str, overrides: Overrides, now: datetime) -> None:
        """Replace what moderators set for an article."""
        set_here = {
            "comments_open": overrides.comments_open,
            "pings_open": overrides.pings_open,
            "premoderation": overrides.premoderation,
        }
        values = {"key": article, "title": "", "url": "", "updated_at": now, **set_here}
        statement = overwrite(self._database.dialect, articles, "key", *set_here)
        self._database.transaction(lambda conn: conn.execute(statement, values))

    def override_older(self, before: datetime, set_here: Mapping[str, object], now: datetime) -> int:
        """Set some fields of `Overrides` for all known articles published before then; return for how many."""
        older = update(articles).where(articles.c.published_at < before)
        changed = older.values({**set_here, "updated_at": now})
        return self._database.transaction(lambda conn: conn.execute(changed).rowcount)


def _stands(conn: Connection, article: Article) -> bool:
    row = conn.execute(STANDING, {"of_key": article.key}).first()
    return row is not None and tuple(row) == fact_of(article)


def _missing(conn: Connection, article: Article, rows: Sequence[Mapping[str, str]]) -> list[Mapping[str, str]]:
    """Return those of the addresses that do not lead to the article yet."""
    return [row for row in rows if _owner(conn, row["url_key"]) != article.key]


def _make_room(conn: Connection, article: str, present: set[str], more: int) -> None:
    """Delete an article's former addresses once there are too many.

    A host that builds addresses from the request's Host field gets one for each value that a stranger sends there.
    """
    of_article = article_urls.c.article_key == article
    if conn.execute(select(func.count()).where(of_article)).scalar_one() + more > MOST_ADDRESSES:
        conn.execute(delete(article_urls).where(of_article, article_urls.c.url_key.not_in(present)))


def _owner(conn: Connection, url_key: str) -> str | None:
    return conn.execute(OWNER, {"of_url": url_key}).scalar()
