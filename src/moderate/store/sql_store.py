"""The store on SQL: SQLite where the site is small, PostgreSQL where it is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moderate.confirmation.sql import Confirmations
from moderate.database.engine import Database, refuse_engine
from moderate.database.migrate import include_name
from moderate.database.schema import metadata
from moderate.moderation.sql import BulkWrites
from moderate.monitoring.sql import Tallies
from moderate.notices.sql import Mailboxes
from moderate.reading.sql import ThreadReads
from moderate.rules.sql import RuleBook, RuleRows
from moderate.store.articles import ArticleNotes, Known
from moderate.store.counters import CounterReads
from moderate.store.items import ItemWrites
from moderate.store.reads import ItemReads
from moderate.store.tokens import Keepsakes, Tokens
from moderate.tasks.retention_sql import Retention
from moderate.tasks.sql import Tasks

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
    first, with `moderate.database.migrate.upgrade`.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self._known = Known()
        self._unanswered = []


if TYPE_CHECKING:

    def _keeps_the_promise(store: SqlStore) -> ports.Store:
        return store
