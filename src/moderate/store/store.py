"""The store: all reads and writes of rows, in parts by subject."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

from moderate.database.schema import MYSQL
from moderate.lru import LRUCache
from moderate.moderation.sql import Decisions, Queue
from moderate.monitoring.sql import Overview, States, Tallies, overview
from moderate.notices.sql import Mailboxes
from moderate.reading.sql import Threads
from moderate.rules.sql import Proposals, RuleTable
from moderate.store.articles import Articles, Counters
from moderate.store.backfill import Backfill
from moderate.store.batches import Batches
from moderate.store.earlier import EarlierItems
from moderate.store.history import History
from moderate.store.items import Items
from moderate.store.retention import Retention
from moderate.store.tokens import Nonces, Samples, Secrets, Tokens
from moderate.tasks.sql import Tasks

if TYPE_CHECKING:
    from datetime import datetime

    from moderate.database.engine import Database


class Store:
    """The rows of one database, in parts: `store.items`, `store.tasks` and so on.

    Every method of a part is one transaction and may be called from any thread. Failures of the
    database raise `ServiceDown`. Bring the tables up to date first, with `moderate.database.migrate.upgrade`.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        known: LRUCache[object] = LRUCache(4096)
        self.items = Items(database, known)
        self.earlier = EarlierItems(database)
        self.decisions = Decisions(database)
        self.batches = Batches(database)
        self.queue = Queue(database)
        self.history = History(database)
        self.threads = Threads(database)
        self.counters = Counters(database)
        self.articles = Articles(database, known)
        self.rules = RuleTable(database)
        self.proposals = Proposals(database)
        self.tasks = Tasks(database)
        self.retention = Retention(database)
        self.backfill = Backfill(database)
        self.mailboxes = Mailboxes(database)
        self.samples = Samples(database)
        self.secrets = Secrets(database)
        self.nonces = Nonces(database)
        self.tokens = Tokens(database)
        self.states = States(database)
        self.tallies = Tallies(database, self.states)

    def time(self) -> datetime | None:
        """Return the time of the database's server; None for SQLite, whose clock is that of this host."""
        spoken = {"postgresql": "SELECT clock_timestamp()", **dict.fromkeys(MYSQL, "SELECT utc_timestamp(6)")}
        query = spoken.get(self.database.dialect)
        if query is None:
            return None
        with self.database.read() as conn:
            told: datetime = conn.exec_driver_sql(query).scalar_one()
        return told if told.tzinfo else told.replace(tzinfo=UTC)

    def overview(self) -> Overview:
        """Return the state of the whole site, as moderators and monitors see it."""
        return overview(self.database)
