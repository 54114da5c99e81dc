"""Moderators' full-text search: the same words found on every database, Japanese and Thai included.

Databases cut text into words each in their own way, and none of them cuts a language written without
spaces. So the cutting is done here: `terms_of` turns an item into plain ASCII terms, and the database's
own full-text index (FTS5, a GIN index on a tsvector, or FULLTEXT) only has to look terms up. A word is
a term; text of a script without spaces becomes overlapping pairs of letters.
"""

from __future__ import annotations

import re
import unicodedata
import weakref
from typing import TYPE_CHECKING, Any

from sqlalchemy import String, and_, bindparam, cast, column, func, literal_column, select, table, text
from sqlalchemy.dialects.postgresql import TSQUERY

from moderate.store.schema import items
from moderate.store.types import MYSQL

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from sqlalchemy import ColumnElement
    from sqlalchemy.engine import Connection
    from sqlalchemy.pool import Pool

#: SQLite's index, a table beside the items; on the others the index of that name.
SQLITE_INDEX = "moderate_search"
INDEX = "ix_moderate_items_search"

ROWID = table(SQLITE_INDEX, column("rowid")).c.rowid

#: What a search looks at.
SEARCHED = ("author", "email", "url", "title", "blog_name", "source_url", "text")

#: Terms of one item; a longer text is found by its beginning. A search looks for so many of its words.
MOST_TERMS = 2000
MOST_ASKED = 12

#: Letters of scripts that put no spaces between words: Thai to Myanmar, Khmer, kana, Han, Hangul.
UNSPACED = "\u0e00-\u109f\u1780-\u17ff\u3005-\u3007\u3041-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff"
WORD = re.compile(f"[{UNSPACED}\U00020000-\U0003ffff]+|[^\\W_{UNSPACED}\U00020000-\U0003ffff]+")
IS_UNSPACED = re.compile(f"[{UNSPACED}\U00020000-\U0003ffff]")
LONGEST_WORD = 40


def terms_of(values: Mapping[str, Any]) -> str:
    """The terms of an item, each once, in the order of its text; empty where there is no word in it."""
    found: dict[str, None] = {}
    for name in SEARCHED:
        value = values.get(name)
        if value:
            found.update(dict.fromkeys(_terms(value)))
    return " ".join(list(found)[:MOST_TERMS])


def asked_terms(query: str) -> list[tuple[str, bool]]:
    """What a search looks for, and whether as the beginning of a word. All of it must be in an item."""
    found: dict[tuple[str, bool], None] = {}
    for word in WORD.findall(_plain(query)):
        if not IS_UNSPACED.match(word):
            found[_encoded(word[:LONGEST_WORD]), True] = None
        elif len(word) == 1:
            found["c" + _encoded(word), True] = None
        else:
            found.update(dict.fromkeys((pair, False) for pair in _pairs(word)[:-1]))
    return list(found)[:MOST_ASKED]


def _terms(value: str) -> Iterator[str]:
    plain = _plain(value)
    # Each word once, before any of them costs more than that.
    words = dict.fromkeys(WORD.findall(plain))
    if plain.isascii():
        yield from [f"ww{word[:LONGEST_WORD]}" for word in words]
        return
    for word in words:
        if IS_UNSPACED.match(word):
            yield from _pairs(word)
        else:
            yield _encoded(word[:LONGEST_WORD])


def _pairs(word: str) -> list[str]:
    """Each letter with the one after it, and the last one alone, so that a single letter is found anywhere."""
    return ["c" + _encoded(word[at : at + 2]) for at in range(len(word))]


def _plain(value: str) -> str:
    """One spelling: compatibility forms, case and accents folded, as somebody in a hurry types it."""
    if value.isascii():
        return value.lower()
    folded = unicodedata.normalize("NFKC", value).casefold()
    spread = unicodedata.normalize("NFD", folded)
    bare = "".join(char for char in spread if not "\u0300" <= char <= "\u036f")
    return unicodedata.normalize("NFC", bare)


def _encoded(word: str) -> str:
    """A term that no database's own rules about letters, stop words or shortest words touch.

    Beginnings stay beginnings: a longer word's term begins with the term of its beginning.
    """
    if word.isascii():
        return f"ww{word}"
    return "ww" + "".join(char if char.isascii() else f"q{ord(char):05x}" for char in word)


# --- in the database --------------------------------------------------------------------------------


def found_by(query: str, conn: Connection) -> ColumnElement[bool]:
    """The condition that an item has all that *query* asks for; nothing to look for finds nothing."""
    asked = asked_terms(query)
    if not asked:
        return literal_column("1") == literal_column("0")
    dialect = conn.dialect.name
    if dialect == "postgresql":
        words = " & ".join(f"{term}:*" if is_start else term for term, is_start in asked)
        return items.c.search.op("@@")(cast(words, TSQUERY))
    if dialect in MYSQL:
        words = " ".join(f"+{term}*" if is_start else f"+{term}" for term, is_start in asked)
        matched = text(f"MATCH (moderate_items.search) AGAINST (:{SQLITE_INDEX} IN BOOLEAN MODE)")
        return matched.bindparams(bindparam(SQLITE_INDEX, words, String))  # type: ignore[return-value]
    if has_fts(conn):
        return _by_fts(asked)
    return and_(*(_by_walking(term, is_start) for term, is_start in asked))


#: A word found in fewer items than this is rare: its items are looked up, and not the items for the word.
RARE = 500


def found_newest(query: str, conn: Connection, cursor: int | None) -> ColumnElement[bool]:
    """The same as `found_by`, for the newest of many items below *cursor*.

    On SQLite a beginning that is common is slow to look up, for all that begin like it are put together
    first. Such a search goes through the items instead, newest first, and has soon found a page of them.
    """
    asked = asked_terms(query)
    if not asked or conn.dialect.name != "sqlite" or not has_fts(conn):
        return found_by(query, conn)
    for words in ([(term, False) for term, _ in asked], asked):
        matched = select(ROWID).where(_matching(words)).order_by(ROWID.desc()).limit(RARE)
        if cursor is not None:
            matched = matched.where(cursor > ROWID)
        ids = conn.execute(matched).scalars().all()
        if len(ids) == RARE:
            return and_(*(_by_walking(term, is_start) for term, is_start in asked))
    return items.c.id.in_(ids)


def _by_fts(asked: Iterable[tuple[str, bool]]) -> ColumnElement[bool]:
    return items.c.id.in_(select(ROWID).where(_matching(asked)))


def _matching(asked: Iterable[tuple[str, bool]]) -> ColumnElement[bool]:
    words = " AND ".join(f'"{term}"*' if is_start else f'"{term}"' for term, is_start in asked)
    matched = text(f"{SQLITE_INDEX} MATCH :{SQLITE_INDEX}")
    return matched.bindparams(bindparam(SQLITE_INDEX, words, String))  # type: ignore[return-value]


def _by_walking(term: str, is_start: bool) -> ColumnElement[bool]:
    """Without an index: the same answer, by looking into one item after another."""
    padded = " " + items.c.search + " "
    return func.instr(padded, f" {term}" if is_start else f" {term} ") > 0


#: Whether the SQLite database behind a pool has the index; asked once.
_has_fts: weakref.WeakKeyDictionary[Pool, bool] = weakref.WeakKeyDictionary()


def has_fts(conn: Connection) -> bool:
    known = _has_fts.get(conn.engine.pool)
    if known is None:
        query = text("SELECT count(*) FROM sqlite_master WHERE name = :name")
        known = bool(conn.execute(query, {"name": SQLITE_INDEX}).scalar())
        _has_fts[conn.engine.pool] = known
    return known


def create_index(conn: Connection) -> None:
    """Make the database's own full-text index over the terms; for the migration that adds them."""
    dialect = conn.dialect.name
    if dialect == "postgresql":
        conn.execute(text(f"CREATE INDEX {INDEX} ON moderate_items USING gin (search)"))
    elif dialect in MYSQL:
        conn.execute(text(f"CREATE FULLTEXT INDEX {INDEX} ON moderate_items (search)"))
    elif conn.execute(text("SELECT sqlite_compileoption_used('ENABLE_FTS5')")).scalar():
        for statement in SQLITE_DDL:
            conn.exec_driver_sql(statement)


#: The index holds no text of its own, and is kept by triggers: nothing can forget it.
SQLITE_DDL = (
    """CREATE VIRTUAL TABLE moderate_search USING fts5
    (search, content='moderate_items', content_rowid='id', tokenize='ascii', detail='none', columnsize=0)""",
    """CREATE TRIGGER moderate_search_add AFTER INSERT ON moderate_items WHEN new.search IS NOT NULL BEGIN
    INSERT INTO moderate_search (rowid, search) VALUES (new.id, new.search); END""",
    """CREATE TRIGGER moderate_search_remove AFTER DELETE ON moderate_items WHEN old.search IS NOT NULL BEGIN
    INSERT INTO moderate_search (moderate_search, rowid, search) VALUES ('delete', old.id, old.search); END""",
    """CREATE TRIGGER moderate_search_change AFTER UPDATE OF search ON moderate_items BEGIN
    INSERT INTO moderate_search (moderate_search, rowid, search)
    SELECT 'delete', old.id, old.search WHERE old.search IS NOT NULL;
    INSERT INTO moderate_search (rowid, search) SELECT new.id, new.search WHERE new.search IS NOT NULL; END""",
)
