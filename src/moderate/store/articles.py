"""The host's articles: titles, addresses, what moderators set for them, and the counters of their items.

Counters change by differences together with the items, are read in one query, and are rebuilt on demand.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import fields
from functools import lru_cache
from json.encoder import encode_basestring
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import and_, bindparam, case, delete, func, literal, literal_column, select, union, update

from moderate.database.schema import SITE, article_urls, articles, counters, items
from moderate.database.statements import ListLookup, Lookup, Prepared, overwrite, upsert
from moderate.lifecycle import Overrides
from moderate.model import COUNTERS, Counts, Kind, Status

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy.engine import Connection
    from sqlalchemy.sql import Select
    from sqlalchemy.sql.base import ReadOnlyColumnCollection
    from sqlalchemy.sql.dml import Insert

    from moderate.database.engine import Database
    from moderate.lru import LRUCache
    from moderate.model import Article


#: Articles that are recounted in one query.
RANGE = 500

#: Addresses that are kept of one article, former ones included.
MOST_ADDRESSES = 50

# Run with each submission or page view, and so built once.
OF_KEY = articles.c.key == bindparam("of_key")
STANDING = select(articles.c.title, articles.c.url, articles.c.published_at).where(OF_KEY)
PREMODERATION = case(
    (and_(articles.c.links_only, articles.c.premoderation == literal_column("'strangers'")), literal_column("'links'")),
    else_=articles.c.premoderation,
).label("premoderation")
OVERRIDING = (articles.c.comments_open, articles.c.pings_open, PREMODERATION)
OVERRIDES = Lookup(select(*OVERRIDING).where(OF_KEY))
OWNER = select(article_urls.c.article_key).where(article_urls.c.url_key == bindparam("of_url"))


def note_article(conn: Connection, article: Article, now: datetime) -> None:
    """Write the host's title, address and date of an article, and keep what moderators set for it."""
    title, url, published_at = fact_of(article)
    values = {"key": article.key, "title": title, "url": url, "published_at": published_at, "updated_at": now}
    conn.execute(overwrite(conn.dialect.name, articles, "key", "title", "url", "published_at", "updated_at"), values)


def fact_of(article: Article) -> tuple[str, str, datetime | None]:
    """Return the values that are stored of an article besides its key."""
    return article.title, article.url, article.published_at


def columns_of(set_here: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns of fields of `Overrides`; what `PREMODERATION` reads as "links" is two of them."""
    if "premoderation" not in set_here:
        return dict(set_here)
    links_only = set_here["premoderation"] == "links"
    return {
        **set_here,
        "premoderation": "strangers" if links_only else set_here["premoderation"],
        "links_only": links_only,
    }


class Snapshot(NamedTuple):
    """The moderators' settings for an article, its counters, and their revision; see `Counters.revision`."""

    overrides: Overrides
    counts: Counts
    revision: int


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

    def snapshot(self, article: str) -> Snapshot:
        """Return what an article's page shows besides its items, in one query."""
        row = SNAPSHOT.rows(self._database, key=article)[0]
        revision, numbers, overrides = row[0], row[1 : 1 + len(COLUMNS)], row[1 + len(COLUMNS) :]
        return Snapshot(Overrides(*overrides), Counts() if revision is None else Counts(*numbers), revision or 0)

    def set_overrides(self, article: str, overrides: Overrides, now: datetime) -> None:
        """Replace what moderators set for an article."""
        set_here = columns_of(overrides._asdict())
        values = {"key": article, "title": "", "url": "", "updated_at": now, **set_here}
        statement = overwrite(self._database.dialect, articles, "key", *set_here)
        self._database.transaction(lambda conn: conn.execute(statement, values))

    def override_older(self, before: datetime, set_here: Mapping[str, object], now: datetime) -> int:
        """Set some fields of `Overrides` for all known articles published before then; return for how many."""
        older = update(articles).where(articles.c.published_at < before)
        changed = older.values({**columns_of(set_here), "updated_at": now})
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
NUMBERS_OF_MANY = ListLookup(select(counters.c.article_key, *COLUMNS), counters.c.article_key)
PUBLIC = (counters.c.comments, counters.c.trackback + counters.c.pingback + counters.c.webmention)
PUBLIC_OF_MANY = ListLookup(select(counters.c.article_key, *PUBLIC), counters.c.article_key)
#: The same as one JSON text: SQLite lets other threads run at each row that it returns.
PUBLIC_ON_SQLITE = """
SELECT json_group_object(wanted.key, json_object(
    'comments', coalesce(comments, 0), 'trackbacks', coalesce(trackback + pingback + webmention, 0)))
FROM json_each(?) AS wanted LEFT JOIN moderate_counters ON article_key = wanted.value
"""
REVISION = Lookup(select(counters.c.revision).where(OF_ARTICLE))
# Either row may be missing: nobody has written yet, or the host finds articles by their addresses itself.
_WANTED = select(bindparam("key", type_=articles.c.key.type).label("key")).subquery()
SNAPSHOT = Lookup(
    select(counters.c.revision, *COLUMNS, *OVERRIDING).select_from(
        _WANTED.outerjoin(counters, counters.c.article_key == _WANTED.c.key).outerjoin(
            articles, articles.c.key == _WANTED.c.key
        )
    )
)


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
    # Adding 0 to a column creates the row where there is none, and locks it.
    names = tuple(sorted(set().union(*steps.values()))) or ("revision",)
    values: dict[str, Any] = {}
    for number, (key, step) in enumerate(steps.items()):
        values[f"article_key_{number}"] = key
        for name in names:
            values[f"{name}_{number}"] = step.get(name, 0)
    _addition(conn.dialect.name, names, len(steps)).run(conn, values)


def addition(dialect: str, names: Collection[str]) -> Insert:
    """Build an insert of rows whose columns *names* are added to those of the rows that are there."""

    def merge(new: ReadOnlyColumnCollection[str, Any]) -> dict[str, Any]:
        return {name: counters.c[name] + new[name] for name in names}

    return upsert(dialect, counters, "article_key", merge)


@lru_cache
def _addition(dialect: str, names: tuple[str, ...], rows: int) -> Prepared:
    """Return the statement for a number of rows, with a parameter for each column of each row."""

    def row(number: int) -> dict[str, Any]:
        given = {name: bindparam(f"{name}_{number}", type_=counters.c[name].type) for name in ("article_key", *names)}
        return {**dict.fromkeys(NAMED, literal_column("0")), **given}

    return Prepared(addition(dialect, names).values([*map(row, range(rows))]))


class Drift(NamedTuple):
    """A counter row that did not match its items: the stored and the counted numbers."""

    article: str
    stored: Counts
    counted: Counts


@lru_cache(maxsize=32)
def _as_object(keys: tuple[str, ...], articles: tuple[str | None, ...]) -> str:
    return json.dumps(dict(zip(keys, articles, strict=True)))


class Counters:
    """The counters of articles and of the site."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def counts(self, keys: Sequence[str]) -> dict[str, Counts]:
        """Return the counters of articles, in one query for any number of keys; unknown keys count zero."""
        found = dict.fromkeys(keys, Counts())
        if len(found) < 2:
            return {key: self._numbers(key) for key in found}
        for key, *numbers in NUMBERS_OF_MANY.rows(self._database, list(found)):
            found[key] = Counts(*numbers)
        return found

    def public_json(self, keys: tuple[str, ...], articles: tuple[str | None, ...]) -> str:
        """Return the public comments and pings of articles as JSON, in one query; unknown ones count zero.

        *keys* are those of the JSON object, and *articles* those of the articles, None where a key has none.
        """
        if self._database.dialect == "sqlite":
            found: str = self._database.ask(PUBLIC_ON_SQLITE, (_as_object(keys, articles),))[0][0]
            return found
        numbers = {
            key: f'{{"comments":{comments},"trackbacks":{pings}}}'
            for key, comments, pings in PUBLIC_OF_MANY.rows(self._database, [*filter(None, articles)])
        }
        zero = '{"comments":0,"trackbacks":0}'
        pairs = zip(keys, articles, strict=True)
        shown = [f"{encode_basestring(key)}:{numbers.get(article, zero)}" for key, article in pairs]
        return f"{{{','.join(shown)}}}"

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
        """Count every article anew, one step an article; yield the drift found, None where there was none.

        Articles are read in ranges of their keys, and only a row that seems wrong is locked and counted once more.
        """
        # The site's row sorts first by its empty key, and is counted last: as the sum of the others.
        after = SITE
        while keys := self._next_keys(after):
            wrong = self._differing(after, keys[-1])
            yield from (self._recount_one(key, repair=repair) if key in wrong else None for key in keys)
            after = keys[-1]
        yield self._recount_one(SITE, repair=repair)

    def _next_keys(self, after: str) -> Sequence[str]:
        """Return the next articles after one that have items or counters, in the database's order."""
        nexts = [
            select(column).where(column > after).distinct().order_by(column).limit(RANGE).subquery()
            for column in (items.c.article_key, counters.c.article_key)
        ]
        both = union(*(select(each.c.article_key) for each in nexts)).subquery()
        with self._database.read() as conn:
            return conn.execute(select(both.c.article_key).order_by(both.c.article_key).limit(RANGE)).scalars().all()

    def _differing(self, after: str, last: str) -> set[str]:
        """Return the articles after one, up to the last, whose counters and items seem to differ."""
        of_items, of_counters = (
            and_(column > after, column <= last) for column in (items.c.article_key, counters.c.article_key)
        )
        grouped = (items.c.article_key, items.c.kind, items.c.status)
        counted: defaultdict[str, dict[str, int]] = defaultdict(lambda: dict.fromkeys(NAMES, 0))
        with self._database.read() as conn:
            for key, *numbers in conn.execute(select(counters.c.article_key, *COLUMNS).where(of_counters)):
                counted[key] = dict(zip(NAMES, numbers, strict=True))
            for key, kind, status, number in conn.execute(
                select(*grouped, func.count()).where(of_items).group_by(*grouped)
            ):
                counted[key][COUNTERS[Kind(kind), Status(status)]] -= number
        return {key for key, numbers in counted.items() if any(numbers.values())}

    def _recount_one(self, key: str, *, repair: bool) -> Drift | None:
        """Count one row in a transaction of its own, which without *repair* is rolled back."""

        def work(conn: Connection) -> Drift | None:
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

        return self._database.transaction(work)


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
