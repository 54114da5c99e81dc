"""The host's articles: titles, addresses, what moderators set for them, and the counters of their items.

Counters change by differences together with the items, are read in one query, and are rebuilt on demand.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, delete, func, literal, select, union, update

from moderate.database.schema import SITE, article_urls, articles, counters, items
from moderate.database.statements import SQLITE, Lookup, overwrite, upsert
from moderate.lifecycle import Overrides
from moderate.model import COUNTERS, Counts, Kind, Status

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy.engine import Connection
    from sqlalchemy.sql import Select
    from sqlalchemy.sql.base import ReadOnlyColumnCollection
    from sqlalchemy.sql.dml import Insert

    from moderate.database.engine import Database
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
        return Overrides(*row) if row else Overrides()

    def set_overrides(self, article: str, overrides: Overrides, now: datetime) -> None:
        """Replace what moderators set for an article."""
        set_here = asdict(overrides)
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


# --- counters ---------------------------------------------------------------------------------------

#: In the order of the fields of `Counts`.
NAMES = tuple(field.name for field in fields(Counts))
COLUMNS = tuple(counters.c[name] for name in NAMES)
#: The columns that a new row has to name; the others default to 0.
NAMED = tuple(column.name for column in counters.c if not (column.primary_key or column.server_default))

# Statements for page views are built once: building one costs as much as running it.
OF_ARTICLE = counters.c.article_key == bindparam("key")
NUMBERS = select(*COLUMNS).where(OF_ARTICLE)
NUMBERS_OF_ONE = Lookup(NUMBERS)
NUMBERS_OF_MANY = select(counters.c.article_key, *COLUMNS).where(
    counters.c.article_key.in_(bindparam("keys", expanding=True))
)
REVISION = Lookup(select(counters.c.revision).where(OF_ARTICLE))


class CounterChanges:
    """The sum of several changes in one transaction, written at its end."""

    def __init__(self) -> None:
        self._steps: defaultdict[str, Counter[str]] = defaultdict(Counter)

    def add(self, article: str, change: Mapping[str, int]) -> None:
        for key in (article, SITE):
            self._steps[key].update(change)

    def write(self, conn: Connection) -> None:
        changed = {
            key: self._steps[key] for key in sorted(self._steps) if key != SITE and any(self._steps[key].values())
        }
        if changed:
            add_to_counters(conn, {**changed, SITE: self._steps[SITE]})


def add_to_counters(conn: Connection, steps: Mapping[str, Mapping[str, int]]) -> None:
    """Add to the rows of articles and of the site, in the order given.

    Articles' rows are always written first, sorted by key, and the site's last: a transaction that waits for the
    site's row holds no row that the owner of that one still needs. Only the columns in *steps* are written.
    """
    names = sorted(set().union(*steps.values()))
    # Adding 0 to a column creates the row where there is none, and locks it.
    change = _addition(conn.dialect.name, tuple(names) or ("revision",))
    start = dict.fromkeys((*NAMED, *names), 0)
    conn.execute(change, [{"article_key": key, **start, **step} for key, step in steps.items()])


@lru_cache
def _addition(dialect: str, names: tuple[str, ...]) -> Insert:
    def merge(new: ReadOnlyColumnCollection[str, Any]) -> dict[str, Any]:
        return {name: counters.c[name] + new[name] for name in names}

    return upsert(dialect, counters, "article_key", merge)


@lru_cache
def _on_sqlite(number: int) -> str:
    """Return the text of `NUMBERS_OF_MANY` for a number of keys."""
    query = NUMBERS_OF_MANY.params(keys=[""] * number)
    return str(query.compile(dialect=SQLITE, compile_kwargs={"render_postcompile": True}))


@dataclass(frozen=True, slots=True)
class Drift:
    """A counter row that did not match its items: the stored and the counted numbers."""

    article: str
    stored: Counts
    counted: Counts


class Counters:
    """The counters of articles and of the site."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def counts(self, keys: Sequence[str]) -> dict[str, Counts]:
        """Return the counters of articles, in one query for any number of keys; unknown keys count zero."""
        found = dict.fromkeys(keys, Counts())
        if len(found) < 2:
            return {key: self._numbers(key) for key in found}
        for key, *numbers in self._rows(list(found)):
            found[key] = Counts(*numbers)
        return found

    def _rows(self, keys: list[str]) -> Sequence[Sequence[Any]]:
        if self._database.dialect == "sqlite":
            # By the driver itself, which halves the time: see `moderate.database.statements`.
            return self._database.ask_sqlite(_on_sqlite(len(keys)), keys)
        with self._database.read() as conn:
            return conn.execute(NUMBERS_OF_MANY, {"keys": keys}).all()

    def _numbers(self, key: str) -> Counts:
        row = NUMBERS_OF_ONE.first(self._database, key=key)
        return Counts(*row) if row else Counts()

    def totals(self) -> Counts:
        """Return the counters of the whole site."""
        return self._numbers(SITE)

    def revision(self, article: str) -> int:
        """Return a number that grows whenever what readers see of the article changes."""
        row = REVISION.first(self._database, key=article)
        return int(row[0]) if row else 0

    def articles_with_items(self) -> int:
        """Return how many steps `recount` takes, the site's own included."""
        keys = _known_keys().subquery()
        with self._database.read() as conn:
            return conn.execute(select(func.count()).select_from(keys)).scalar_one()

    def recount(self, *, repair: bool) -> Iterator[Drift | None]:
        """Count every article anew, one step an article; yield the drift found, None where there was none."""
        with self._database.read() as conn:
            keys = sorted(conn.execute(_known_keys()).scalars())
        # The site's row sorts first by its empty key, and is counted last: as the sum of the others.
        for key in [*keys[1:], SITE]:
            yield self._recount_one(key, repair=repair)

    def _recount_one(self, key: str, *, repair: bool) -> Drift | None:
        """Count one row in a transaction of its own, which without *repair* is rolled back."""
        with self._database.write() as conn:
            # Adding 0 creates the row where there is none, and locks it: a transaction that moves an item of this
            # article has either finished, or waits and will add to the repaired numbers.
            add_to_counters(conn, {key: {}})
            stored = Counts(*conn.execute(NUMBERS, {"key": key}).one())
            counted = _count(conn, key)
            if repair and counted != stored:
                _overwrite(conn, key, counted)
            if not repair:
                conn.rollback()
        return Drift(key, stored, counted) if counted != stored else None


def _known_keys() -> Select[Any]:
    """Select all keys that have items or counters, and the site's."""
    every = union(select(items.c.article_key), select(counters.c.article_key), select(literal(SITE)))
    return select(every.subquery().c[0])


def _count(conn: Connection, key: str) -> Counts:
    if key == SITE:
        sums = [func.coalesce(func.sum(column), 0) for column in COLUMNS]
        row = conn.execute(select(*sums).where(counters.c.article_key != SITE)).one()
        return Counts(*(int(number) for number in row))
    numbers = dict.fromkeys(NAMES, 0)
    query = select(items.c.kind, items.c.status, func.count()).where(items.c.article_key == key)
    for kind, status, number in conn.execute(query.group_by(items.c.kind, items.c.status)):
        numbers[COUNTERS[Kind(kind), Status(status)]] += number
    return Counts(**numbers)


def _overwrite(conn: Connection, key: str, counted: Counts) -> None:
    numbers = {name: getattr(counted, name) for name in NAMES}
    conn.execute(
        update(counters).where(counters.c.article_key == key).values(**numbers, revision=counters.c.revision + 1)
    )
