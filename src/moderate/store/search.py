"""Moderators' full-text search: the same words found on every database, Japanese and Thai included.

Each database splits text into words in its own way, and none of them splits a language written without
spaces. So the splitting is done here: `terms_of` turns an item into plain ASCII terms, and the database's
own full-text index (FTS5, a GIN index on a tsvector, or FULLTEXT) only looks terms up. A word is
a term; text of a script without spaces becomes overlapping pairs of letters. An emoji or another symbol is
a term as well, and so is a word with plus or number signs at its end (``C++``). Other punctuation is ignored.
"""

from __future__ import annotations

import re
import unicodedata
import weakref
from typing import TYPE_CHECKING, Any
from zlib import crc32

from sqlalchemy import (
    ARRAY,
    BigInteger,
    String,
    and_,
    any_,
    bindparam,
    cast,
    column,
    func,
    inspect,
    literal,
    literal_column,
    or_,
    select,
    table,
    text,
)
from sqlalchemy.exc import DatabaseError

from moderate.database.schema import MYSQL, items, states
from moderate.text.similarity import ascii_words, compiled
from moderate.web_address import host_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from sqlalchemy import ColumnElement
    from sqlalchemy.engine import Connection
    from sqlalchemy.pool import Pool

    from moderate.database.engine import Database

    #: Terms to look for, each with whether it is the beginning of a word.
    Terms = Sequence[tuple[str, bool]]

#: SQLite's index, a table beside the items; on the others the index of that name.
SQLITE_INDEX = "moderate_search"
INDEX = "ix_moderate_items_search"
SQLITE_STATE = "moderate_search_state"

#: All tables of SQLite's index, those that FTS5 makes for it included.
SQLITE_TABLES = (
    SQLITE_INDEX,
    SQLITE_STATE,
    *(f"{SQLITE_INDEX}_{part}" for part in ("data", "idx", "content", "docsize", "config")),
)

ROWID = table(SQLITE_INDEX, column("rowid")).c.rowid
UPTO = table(SQLITE_STATE, column("upto")).c.upto

#: Number of new items that each search reads one by one before they are put into the index together.
LAG = 500

#: Most items that are put into the index in one transaction, for which other writers wait.
MOST_ADDED = 2000

#: The columns that a search looks at.
SEARCHED = ("author", "email", "url", "title", "blog_name", "source_url", "text")

#: The columns with an address whose host is a term of its own.
ADDRESSES = ("url", "source_url")

#: Most terms of one item, so that a longer text is found by its beginning, and most terms of one query.
MOST_TERMS = 2000
MOST_ASKED = 12

#: Letters of scripts that put no spaces between words: Thai to Myanmar, Khmer, kana, Han, Hangul.
UNSPACED = "\u0e00-\u109f\u1780-\u17ff\u3005-\u3007\u3041-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff"
WORD = f"[{UNSPACED}\U00020000-\U0003ffff]+|[^\\W_{UNSPACED}\U00020000-\U0003ffff]+"
IS_UNSPACED = f"[{UNSPACED}\U00020000-\U0003ffff]"
#: A word with signs that belong to its name: C++, C#.
SIGNED = f"([^\\W_{UNSPACED}\U00020000-\U0003ffff]+)([+#]{{1,5}})"
#: Possible symbols: two letters of a flag, or a sign outside of ASCII and of common punctuation.
SYMBOL = re.compile("[\U0001f1e6-\U0001f1ff]{2}|[^\\w\\s\x00-\x7f\u2010-\u205e\u3000-\u3003\u3008-\u3030\uff01-\uff0f]")
ACCENTS = re.compile("[\u0300-\u036f]+")
LONGEST_WORD = 40

#: The longest term that MariaDB and MySQL index by default; a longer one they would not index at all.
LONGEST_TERM = 84


def terms_of(values: Mapping[str, Any]) -> str:
    """Return the distinct terms of an item in the order of its text; an empty text where it has no words."""
    found = dict.fromkeys(host_terms(values))
    for name in SEARCHED:
        value = values.get(name)
        if value:
            _add_terms(value, found)
    return " ".join(list(found)[:MOST_TERMS])


def host_terms(values: Mapping[str, Any]) -> list[str]:
    """Return the terms for the hosts of an item's addresses."""
    return [term for name in ADDRESSES if values.get(name) for term in asked_host(values[name])]


def asked_host(address: str) -> list[str]:
    """Return the term for the host of an address or a bare host, in all its spellings; an empty list for no host.

    No word has such a term. By the words of a host an index would find all items that have one of them.
    """
    host = host_of(address)
    return [f"h{_encoded(host)}"[:LONGEST_TERM]] if host else []


def asked_terms(query: str) -> list[tuple[str, bool]]:
    """Return the terms of a query, each with whether it is the beginning of a word. An item must contain all of them.

    A single letter beside a sign (``R&D``) is a whole word: too many words begin with it.
    """
    plain = _plain(query)
    found: dict[tuple[str, bool], None] = dict.fromkeys((symbol, False) for symbol in _symbols(plain))
    for match in compiled(WORD).finditer(plain):
        word = match[0]
        if signed := compiled(SIGNED).match(plain, match.start()):
            found[_signed(signed), True] = None
        elif not compiled(IS_UNSPACED).match(word):
            sides = plain[max(0, match.start() - 1) : match.start()] + plain[match.end() : match.end() + 1]
            found[_encoded(word[:LONGEST_WORD]), not (len(word) == 1 and word.isalpha() and sides.strip(" *"))] = None
        elif len(word) == 1:
            found["c" + _encoded(word), True] = None
        else:
            found.update(dict.fromkeys((pair, False) for pair in _pairs(word)[:-1]))
    return list(found)[:MOST_ASKED]


def _add_terms(value: str, found: dict[str, None]) -> None:
    plain = value.lower() if value.isascii() else _plain(value)
    if "+" in plain or "#" in plain:
        found.update(dict.fromkeys(map(_signed, compiled(SIGNED).finditer(plain))))
    if plain.isascii():
        found.update(dict.fromkeys([f"ww{word[:LONGEST_WORD]}" for word in ascii_words(plain)]))
        return
    # Each word once, before the more expensive steps.
    for word in dict.fromkeys(compiled(WORD).findall(plain)):
        if compiled(IS_UNSPACED).match(word):
            found.update(dict.fromkeys(_pairs(word)))
        else:
            found[_encoded(word[:LONGEST_WORD])] = None
    found.update(dict.fromkeys(_symbols(plain)))


def _signed(match: re.Match[str]) -> str:
    return _encoded(match[1][:LONGEST_WORD] + match[2])


def _symbols(plain: str) -> Iterator[str]:
    """Yield the terms of symbols, those of emoji that this Python does not know yet included."""
    for symbol in dict.fromkeys(SYMBOL.findall(plain)):
        category = unicodedata.category(symbol[0])
        if category[0] == "S" or category == "Cn":
            yield _encoded(symbol)


def _pairs(word: str) -> list[str]:
    """Return each letter with the next one, and the last one alone, so that a single letter is found anywhere."""
    coded = list(map(_coded, word))
    return [f"cww{first}{second}" for first, second in zip(coded, [*coded[1:], ""], strict=True)]


def _plain(value: str) -> str:
    """Fold compatibility forms, case and accents, so that a query need not have them right."""
    folded = unicodedata.normalize("NFKC", value).casefold()
    spread = unicodedata.normalize("NFD", folded)
    return unicodedata.normalize("NFC", ACCENTS.sub("", spread))


def _encoded(word: str) -> str:
    """Encode a word as a term to which no database applies rules about letters, stop words or shortest words.

    The term of a word begins with the terms of all beginnings of the word.
    """
    if word.isascii() and word.isalnum():
        return f"ww{word}"
    return ("ww" + "".join(map(_coded, word)))[:LONGEST_TERM]


def _coded(char: str) -> str:
    return char if char.isascii() and char.isalnum() else f"q{ord(char):05x}"


# --- in the database --------------------------------------------------------------------------------


def found_by(asked: Terms, conn: Connection) -> ColumnElement[bool]:
    """Return the condition that an item has all these terms; without terms nothing is found."""
    if not asked:
        return literal_column("1") == literal_column("0")
    dialect = conn.dialect.name
    if dialect == "postgresql":
        # A number of their own in the text of the statement. Otherwise PostgreSQL, once it has run this some ten times,
        # may keep one plan for all words, which reads the items until a page of them has the word.
        number = bindparam("asked", crc32(repr(asked).encode()), BigInteger, unique=True, literal_execute=True)
        return and_(items.c.search.op("@@")(_tsquery(asked)), number >= literal_column("0"))
    if dialect in MYSQL:
        words = " ".join(f"+{term}*" if is_start else f"+{term}" for term, is_start in asked)
        matched = text(f"MATCH (moderate_items.search) AGAINST (:{SQLITE_INDEX} IN BOOLEAN MODE)")
        return matched.bindparams(bindparam(SQLITE_INDEX, words, String, unique=True))  # type: ignore[return-value]
    if has_fts(conn):
        indexed = select(ROWID).where(_matching(asked))
        return or_(items.c.id.in_(indexed), _fresh(asked))
    return _walking(asked)


def _tsquery(asked: Terms) -> ColumnElement[Any]:
    from sqlalchemy.dialects.postgresql import TSQUERY

    return cast(" & ".join(f"{term}:*" if is_start else term for term, is_start in asked), TSQUERY)


#: The name of the state in which the progress of `moderate.store.backfill` is stored.
STATE = "search"


def is_complete(conn: Connection) -> bool:
    """Return whether all items have the terms that this version gives them; see `moderate.store.backfill`."""
    kept = conn.execute(select(states.c.value).where(states.c.name == STATE)).scalar()
    return kept is None or bool(kept["is_complete"])


#: A word in fewer items than this is rare: its items are looked up, instead of reading items for the word.
RARE = 500

#: How many times as many items each further look-up finds.
WIDER = 4

#: Number of items that are read before the index of PostgreSQL or MariaDB is used.
RECENT = 2000


def found_newest(asked: Terms, conn: Connection, cursor: int | None) -> Iterator[ColumnElement[bool]]:
    """Yield conditions like that of `found_by` for items below *cursor*, each for older ones than the one before.

    On SQLite a common beginning is slow to look up, because all words with it are put together first. Such a
    search reads the items instead, newest first, and soon finds a page of them. The others look up all items with a
    word before they take the newest: seconds for a beginning of a million words. So there the newest items are read
    first, which PostgreSQL does not need for whole words.
    """
    dialect = conn.dialect.name
    if asked and (dialect in MYSQL or (dialect == "postgresql" and any(is_start for _, is_start in asked))):
        newest = cursor or conn.execute(select(func.max(items.c.id))).scalar() or 0
        # In the text of the statement: of a parameter PostgreSQL assumes that it excludes most items, which it then
        # would rather read than use its index.
        start = bindparam("start", newest - RECENT, BigInteger, literal_execute=True)
        # By the function of the operator, which no index serves.
        without = _walking(asked) if dialect in MYSQL else func.ts_match_vq(items.c.search, _tsquery(asked))
        yield and_(items.c.id > start, without)
        if newest > RECENT:
            yield and_(items.c.id <= start, found_by(asked, conn))
        return
    if not asked or dialect != "sqlite" or not has_fts(conn):
        yield found_by(asked, conn)
        return
    exact = [(term, False) for term, _ in asked]
    if exact != asked and _newest(exact, asked, conn, cursor, RARE)[1]:
        yield _walking(asked)
        return
    most, end = RARE, cursor
    while end != 0:
        ids, end = _newest(asked, asked, conn, end, most)
        yield one_of(ids, conn)
        most *= WIDER


def one_of(ids: Collection[int], conn: Connection) -> ColumnElement[bool]:
    """Return the condition that an item has one of many ids, as a single parameter where the database can."""
    if conn.dialect.name == "sqlite":
        return items.c.id.in_(select(func.json_each(str(list(ids))).table_valued("value").c.value))
    if conn.dialect.name == "postgresql":
        return items.c.id == any_(literal(list(ids), ARRAY(BigInteger)))
    return items.c.id.in_(ids)


def _newest(words: Terms, asked: Terms, conn: Connection, cursor: int | None, most: int) -> tuple[list[int], int]:
    """Return the newest items with these words, and down to which id they are complete (0: to the first)."""
    ids: list[int] = []
    end = 0
    for key, matched in ((ROWID, _matching(words)), (items.c.id, _fresh(asked))):
        newest = select(key).where(matched).order_by(key.desc()).limit(most)
        found = conn.execute(newest if cursor is None else newest.where(key < cursor)).scalars().all()
        end = max(end, found[-1]) if len(found) == most else end
        ids += found
    return [number for number in ids if number >= end], end


def _fresh(asked: Terms) -> ColumnElement[bool]:
    """Return the condition for matching items that are not in the index yet."""
    return and_(items.c.id > select(UPTO).scalar_subquery(), _walking(asked))


def _matching(asked: Terms) -> ColumnElement[bool]:
    words = " AND ".join(f'"{term}"*' if is_start else f'"{term}"' for term, is_start in asked)
    matched = text(f"{SQLITE_INDEX} MATCH :{SQLITE_INDEX}")
    return matched.bindparams(bindparam(SQLITE_INDEX, words, String, unique=True))  # type: ignore[return-value]


def _walking(asked: Terms) -> ColumnElement[bool]:
    """Return the condition that reads each item, without the index."""
    padded = " " + items.c.search + " "
    return and_(*(func.instr(padded, f" {term}" if is_start else f" {term} ") > 0 for term, is_start in asked))


def update_index(database: Database, *, most: int | None = MOST_ADDED, lag: int = LAG, patience: float = 0.0) -> bool:
    """Put new items into SQLite's index, if there are enough of them to be worth a write; return whether some were.

    Searches are right without it, only slower the more it lags behind, so by default this does not wait: raises
    `ServiceDown` where another process is writing.
    """
    if database.dialect != "sqlite":
        return False
    with database.read() as conn:
        if not has_fts(conn):
            return False
        behind = conn.execute(select(func.max(items.c.id) - select(UPTO).scalar_subquery())).scalar() or 0
    if behind >= lag:
        database.promptly(lambda conn: _index_next(conn, most), patience)
    return behind >= lag


def _index_next(conn: Connection, most: int | None) -> None:
    next_ones = select(items.c.id).where(items.c.id > select(UPTO).scalar_subquery()).order_by(items.c.id).limit(most)
    last = conn.execute(select(func.max(next_ones.subquery().c.id))).scalar()
    added = text(
        "INSERT INTO moderate_search (rowid, search) SELECT id, search FROM moderate_items"
        " WHERE id > (SELECT upto FROM moderate_search_state) AND id <= :last AND search IS NOT NULL"
    )
    if last is not None:
        conn.execute(added, {"last": last})
        conn.execute(text("UPDATE moderate_search_state SET upto = :last"), {"last": last})


#: Whether the SQLite database behind a pool has the index; looked up once.
_has_fts: weakref.WeakKeyDictionary[Pool, bool] = weakref.WeakKeyDictionary()


def has_fts(conn: Connection) -> bool:
    known = _has_fts.get(conn.engine.pool)
    if known is None:
        query = text("SELECT count(*) FROM sqlite_master WHERE name = :name")
        known = bool(conn.execute(query, {"name": SQLITE_INDEX}).scalar())
        _has_fts[conn.engine.pool] = known
    return known


def create_index(conn: Connection) -> None:
    """Create the database's own full-text index over the terms; for the migration that adds them."""
    dialect = conn.dialect.name
    if dialect == "postgresql":
        conn.execute(text(f"CREATE INDEX {INDEX} ON moderate_items USING gin (search)"))
    elif dialect in MYSQL:
        conn.execute(text(f"CREATE FULLTEXT INDEX {INDEX} ON moderate_items (search)"))
    elif can_search(conn):
        for statement in SQLITE_DDL:
            conn.exec_driver_sql(statement)


def is_whole(conn: Connection) -> bool:
    """Return whether the index is there; on SQLite also whether its triggers are, and whether it is undamaged."""
    if conn.dialect.name != "sqlite":
        return INDEX in {entry["name"] for entry in inspect(conn).get_indexes(items.name)}
    names = {SQLITE_INDEX, SQLITE_STATE, *SQLITE_TRIGGERS}
    there = names & set(conn.execute(text("SELECT name FROM sqlite_master")).scalars())
    if not there:
        return not can_search(conn)
    if there != names:
        return False
    try:
        conn.exec_driver_sql(f"SELECT rowid FROM {SQLITE_INDEX} WHERE {SQLITE_INDEX} MATCH 'ww'").first()  # noqa: S608
        return conn.execute(text(f"SELECT count(*) FROM {SQLITE_STATE}")).scalar() == 1  # noqa: S608
    except DatabaseError:
        return False


def make_again(conn: Connection) -> None:
    """Create the index again over all items."""
    if conn.dialect.name == "sqlite":
        for name in SQLITE_TRIGGERS:
            conn.exec_driver_sql(f"DROP TRIGGER IF EXISTS {name}")
        for name in (SQLITE_INDEX, SQLITE_STATE):
            conn.exec_driver_sql(f"DROP TABLE IF EXISTS {name}")
    create_index(conn)


def can_search(conn: Connection) -> bool:
    """Return whether this SQLite was built with FTS5."""
    return bool(conn.execute(text("SELECT sqlite_compileoption_used('ENABLE_FTS5')")).scalar())


#: The triggers that keep SQLite's index up to date with the items that it holds.
SQLITE_TRIGGERS = ("moderate_search_remove", "moderate_search_change")

#: The index holds no text of its own. New items are put into it some thousands at a time, at a search: one by one
#: they would make each submission a sixth slower. A table of one row holds the id of the last item in the index;
#: up to that id triggers keep it up to date, so that no code can forget to.
SQLITE_DDL = (
    "CREATE TABLE moderate_search_state (upto INTEGER NOT NULL)",
    "INSERT INTO moderate_search_state (upto) VALUES (0)",
    """CREATE VIRTUAL TABLE moderate_search USING fts5
    (search, content='moderate_items', content_rowid='id', tokenize='ascii', detail='none', columnsize=0)""",
    """CREATE TRIGGER moderate_search_remove AFTER DELETE ON moderate_items
    WHEN old.search IS NOT NULL AND old.id <= (SELECT upto FROM moderate_search_state) BEGIN
    INSERT INTO moderate_search (moderate_search, rowid, search) VALUES ('delete', old.id, old.search); END""",
    """CREATE TRIGGER moderate_search_change AFTER UPDATE OF search ON moderate_items
    WHEN old.id <= (SELECT upto FROM moderate_search_state) BEGIN
    INSERT INTO moderate_search (moderate_search, rowid, search)
    SELECT 'delete', old.id, old.search WHERE old.search IS NOT NULL;
    INSERT INTO moderate_search (rowid, search) SELECT new.id, new.search WHERE new.search IS NOT NULL; END""",
)
