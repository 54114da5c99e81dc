"""Time, the host, other sites, and who judges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from moderate.akismet.values import SpamAnswer, SpamSample, SpamUsage
    from moderate.model import Article
    from moderate.ports.stored import Drift


class Clock(Protocol):
    """The only source of time; tests move it by hand."""

    def now(self) -> datetime:
        """The current moment, aware, in UTC."""

    def monotonic(self) -> float:
        """Seconds from an arbitrary start, never going back."""


class Articles(Protocol):
    """The host's articles. Everything that a loader raises goes through: a bug there is the host's to see."""

    def load(self, key: str) -> Article | None: ...

    def find(self, url: str) -> Article | None: ...

    def remember(self, article: Article) -> None:
        """Note that the article is being shown, so that pings to its addresses find it."""


@dataclass(frozen=True, slots=True)
class ConnectionOptions:
    """How a process connects to its database: MODERATE_DATABASE_OPTIONS.

    Each process keeps `pool_size` connections and opens `max_overflow` more in a rush; who finds all of them in use
    waits for `pool_timeout` seconds. On servers a connection is replaced after `pool_recycle` seconds (0: never), and
    a new one has to be there within `connect_timeout` seconds. A server that has not answered a statement within
    `answer_timeout` seconds (0: however long it takes) is taken for gone.
    """

    pool_size: int = 5
    max_overflow: int = 10
    pool_timeout: int = 10
    pool_recycle: int = 1800
    connect_timeout: int = 5
    answer_timeout: int = 15


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that is wrong with the database, in a sentence, and whether it was mended."""

    words: str
    is_mended: bool = False


class Trouble(NamedTuple):
    """How the store's tables differ from what the code needs; `state` is empty where they do not.

    `state` is a word or two, `advice` a sentence or two on what to do. `serves` says that the code works
    nevertheless: the tables are newer, and have only been added to.
    """

    state: str = ""
    advice: str = ""
    serves: bool = False


class Tables(Protocol):
    """The version of the store's tables. Failures raise `ServiceDown`."""

    def upgrade(self) -> tuple[str | None, str]:
        """Create the tables or bring them up to date; returns the versions before (None: no tables) and after.

        Safe from several processes at once. Creates nothing in place of tables that have been lost, and leaves
        newer tables as they are. Raises `ServiceDown` where this code cannot work with these.
        """

    def current(self) -> str | None:
        """The version of the tables as they are, None where there are none."""

    def describe(self) -> str:
        """Name the database, for operators; never a user or a password."""

    def trouble(self) -> Trouble:
        """Compare the tables with this version of the code."""

    def faults(self, *, repair: bool) -> Iterator[Fault]:
        """Yield what is wrong with tables that are of this version: damage, changes, ids, indexes, counters.

        With *repair* what can be mended without a loss is mended.
        """

    def probe(self, now: datetime, *, every_table: bool = False) -> None:
        """Write one small row. Raises `ServiceDown` where writing fails, or waits for another writer for a second.

        Cheap enough to be asked every second, by many: it is committed ten times a second at most. With
        *every_table* the rights to write are tried on all of them.
        """

    def is_shared_with(self, engine: Any) -> bool:
        """Whether an SQLAlchemy engine of the host leads to the database of these tables."""

    def has_hosts_migrations(self) -> bool:
        """Whether Alembic, other than our own migrations, has worked on this database."""

    def are_left_out_by(self, include_name: Any, include_object: Any) -> bool:
        """Whether these filters of the host's Alembic, each of which may be None, leave out all these tables."""

    def backup(self, target: Path, *, overwrite: bool) -> int:
        """Copy the database into a file while the site goes on; returns the file's size in bytes.

        Raises `BackupRefused` where the copy cannot be made, and for a database that is not one SQLite file.
        """

    def restore(self, source: Path, now: datetime) -> tuple[str, Path | None]:
        """Replace the database by a backup; returns the version of its tables and where the old database is kept.

        Raises `BackupRefused`, and changes nothing, where *source* cannot be used, where another process has the
        database open, and for a database that is not one SQLite file.
        """

    def count_rows(self) -> int:
        """How many rows there are in all tables of ours."""

    def copy_to(self, address: str, told: Callable[[int], None]) -> Sequence[Drift]:
        """Copy all rows, as they stand at one moment, into the empty database at *address*: all or nothing.

        *told* hears after each batch how many rows it had. Returns which counters do not match their
        items over there; they did not here. Raises `CopyRefused`, and `ConfigError` for a wrong address.
        """


@dataclass(frozen=True, slots=True)
class Rule:
    """One line that a moderator wrote: what matches *value* is held, spam, or trusted."""

    id: int
    kind: Literal["word", "host", "email", "ip"]
    value: str
    effect: Literal["hold", "spam", "trust"]
    note: str = ""


@dataclass(frozen=True, slots=True)
class RuleInfo:
    """A rule as it is kept: who wrote it, and how often it was met since."""

    rule: Rule
    created_at: datetime
    created_by: str
    hits: int
    last_hit_at: datetime | None


class Rules(Protocol):
    """The moderators' rules, cheap to ask for: an adapter may answer from memory for a few seconds."""

    def active(self) -> Sequence[Rule]: ...


@dataclass(frozen=True, slots=True)
class TokenTable:
    """What was learned of some tokens: (as spam, as good) for each, and for all messages and tokens together."""

    counts: Mapping[int, tuple[int, int]]
    messages: tuple[int, int]
    tokens: tuple[int, int]


class TokenCounts(Protocol):
    """What the learned filter has seen. Tokens are keyed 64-bit hashes: the table is no word list."""

    def key(self) -> bytes:
        """The secret that tokens are hashed under, the same for as long as the counts are kept."""

    def has_seen(self, least: int) -> bool:
        """Whether so many items of either kind were ever taught; once they were, nobody is asked again."""

    def lookup(self, tokens: Collection[int]) -> TokenTable:
        """The counts of *tokens* in one query; tokens never seen are left out."""

    def teach(self, item: int, tokens: Collection[int], is_spam: bool | None) -> bool:
        """Count an item's tokens as spam or good, or forget them (None).

        Doing it twice changes nothing, and an item that was taught the other way is unlearned
        first. Returns whether anything changed.
        """


class SpamService(Protocol):
    """Judges text for us. Every failure is raised as `ServiceDown`; no answer is ever guessed."""

    def check(self, sample: SpamSample) -> SpamAnswer: ...

    def teach(self, sample: SpamSample, is_spam: bool) -> None:
        """Tell the service what a person decided. *sample* is what was checked, field by field."""

    def verify(self) -> bool:
        """Whether the service accepts our key for this site."""

    def usage(self) -> SpamUsage: ...

    def close(self) -> None:
        """Close the connections; the next question opens new ones."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """The answer of another site, whole and decompressed.

    `url` is where the redirects ended, without a fragment. `content_type` is the header field as
    it came. `body` is empty where `status` is 400 or more: what an error page says matters to nobody.
    """

    url: str
    status: int
    content_type: str
    body: bytes


class Fetcher(Protocol):
    """Reads pages of other sites, which name themselves and are therefore never trusted."""

    def fetch(self, url: str, *, about: str, own: Iterable[str] = ()) -> Fetched:
        """GET a page and return the answer for every status of 200 to 299 and of 400 to 599.

        `about` says for whom and why, and goes into the User-Agent: ``"+https://news.example/;
        verifying webmention ping from 192.0.2.7"``. `own` are addresses of this site, whose host is
        not fetched from, nor where a redirect leads there: a stranger could make the site ask itself.
        Raises `FetchFailed` for all else. Blocks for seconds: only for deferred work, never within a request.
        """
