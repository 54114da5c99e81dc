"""The store on SQL: SQLite where the site is small, PostgreSQL where it is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moderate.store.articles import ArticleNotes, Known
from moderate.store.bulk import BulkWrites
from moderate.store.confirming import Confirmations
from moderate.store.counters import CounterReads
from moderate.store.engine import Database, refuse_engine
from moderate.store.mailboxes import Mailboxes
from moderate.store.migrate import include_name
from moderate.store.reads import ItemReads
from moderate.store.retention import Retention
from moderate.store.rules import RuleBook, RuleRows
from moderate.store.schema import metadata
from moderate.store.sql import ItemWrites
from moderate.store.tallies import Tallies
from moderate.store.tasks import Tasks
from moderate.store.threads import ThreadReads
from moderate.store.tokens import Keepsakes, Tokens

if TYPE_CHECKING:
    from moderate import ports

__all__ = ["Database", "RuleBook", "SqlStore", "include_name", "metadata", "refuse_engine"]


class SqlStore(
    ItemWrites,
    BulkWrites,
    RuleRows,
    ItemReads,
    ThreadReads,
    CounterReads,
    Tasks,
    ArticleNotes,
    Tokens,
    Keepsakes,
    Retention,
    Mailboxes,
    Confirmations,
    Tallies,
):
    """`moderate.ports.Store` on a database that SQLAlchemy reaches.

    Every method is one transaction and may be called from any thread. Bring the tables up to date
    first, with `moderate.store.migrate.upgrade`.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self._known = Known()
        self._unanswered = []


if TYPE_CHECKING:

    def _keeps_the_promise(store: SqlStore) -> ports.Store:
        return store
