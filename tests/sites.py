"""Small hosts for tests: Flask apps that mount moderate as a stranger would."""

from __future__ import annotations

import functools
import secrets
import sqlite3
import tempfile
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from flask import Flask, render_template_string
from sqlalchemy import event

from moderate import Article, Author, Moderate, Moderator
from moderate.database.engine import Database
from moderate.database.migrate import upgrade
from moderate.testing import ManualClock

PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{{ article.title }}</title>
{{ moderate_discovery(article.key) }}</head><body><h1>{{ article.title }}</h1>
<p>Comment ({{ moderate_counts(article.key).comments }}) Trackback({{ moderate_counts(article.key).trackbacks }})</p>
{{ moderate_thread(article.key) }}</body></html>"""


@functools.cache
def migrated_file() -> tuple[bytes, list[bytes]]:
    """Return an SQLite file with all tables and nothing in them, and the secrets that it holds.

    It is made once: the migrations take longer than most tests.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "migrated.sqlite3"
        database = Database(f"sqlite:///{path}")
        upgrade(database)
        database.dispose()
        with closing(sqlite3.connect(path)) as conn:
            kept = [value.encode() for (value,) in conn.execute("SELECT value FROM moderate_secrets")]
        return path.read_bytes(), kept


def put_tables(folder: Path) -> None:
    """Put an app's database into its instance folder, unless it has one: all tables, and secrets of its own."""
    path = folder / "moderate.sqlite3"
    if path.exists():
        return
    content, kept = migrated_file()
    for secret in kept:
        content = content.replace(secret, secrets.token_hex(len(secret) // 2).encode())
    # Where the folder cannot be used, the app is to say so.
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


#: The settings of each host. Nothing here needs to outlive the machine, so no write waits for the disk.
SETTINGS = {
    "SECRET_KEY": "for tests only",
    "MODERATE_WORKER": "external",
    "MODERATE_SQLITE_SYNCHRONOUS": "normal",
}

#: The hosts that the running test has made; `close_all` ends what they hold open.
_made: list[Host] = []


def close_all() -> None:
    while _made:
        _made.pop().close()


class Host:
    """One app with its articles, its clock, and who is signed in.

    Without *has_tables* the app makes its own database, as at the first start of a site.
    """

    def __init__(
        self,
        folder: Path,
        *,
        extension: dict[str, Any] | None = None,
        flask: type[Flask] = Flask,
        has_tables: bool = True,
        **config: Any,
    ) -> None:
        self.clock = ManualClock()
        self.articles: dict[str, Article] = {}
        self.moderator: Moderator | None = None
        self.author: Author | None = None
        self.add_article("thaw")
        self.app = flask("host", instance_path=str(folder))
        self.app.config.update(SETTINGS | config)
        if has_tables and config.get("MODERATE_DATABASE_URL") is None and "engine" not in (extension or {}):
            put_tables(folder)
        self.prepare(self.app)
        self.moderate = Moderate(**{"clock": self.clock, **(extension or {})})
        self.moderate.article_loader(self.articles.get)
        self.moderate.moderator_loader(lambda: self.moderator)
        self.moderate.author_loader(lambda: self.author)
        self.moderate.init_app(self.app)
        self.app.add_url_rule("/<path:key>", "article", self.page)
        self.client = self.app.test_client()
        _made.append(self)

    def prepare(self, app: Flask) -> None:
        """Set up what the host has besides; called before moderate is mounted."""

    def add_article(self, key: str, **changes: Any) -> Article:
        values = {"key": key, "title": f"About {key}", "url": f"http://localhost/{key}", **changes}
        self.articles[key] = Article(**values)
        return self.articles[key]

    def page(self, key: str) -> Any:
        headers = self.moderate.discovery_headers(key)
        return render_template_string(PAGE, article=self.articles[key]), 200, headers

    def statements(self) -> list[str]:
        """Collect all statements to SQLite from now on, also look-ups by its driver, which SQLAlchemy's events miss."""
        asked: list[str] = []
        database = self.state.desk.store.database
        event.listen(database.engine, "connect", lambda raw, _: raw.set_trace_callback(asked.append))
        # Connections that were open before would not be listened to.
        database.close_connections()
        return asked

    def token(self, name: str = "mori") -> dict[str, str]:
        """Header fields of a moderator."""
        with self.app.app_context():
            token = self.state.desk.store.tokens.create(name, self.clock.now())
        return {"Authorization": f"Bearer {token}"}

    @property
    def state(self) -> Any:
        return self.app.extensions["moderate"]

    def comment(self, text: str = "The river froze twice.", article: str = "thaw", **fields: Any) -> Any:
        """Post a comment as JSON."""
        return self.client.post(f"/discuss/comments/{article}", json={"author": "Mika", "text": text, **fields})

    def trapped(self, text: str = "Spam.", **fields: Any) -> Any:
        """Post what a program would, which is spam: the hidden field is filled in, and there are too many links."""
        links = " ".join(f"https://{name}.example/" for name in ("a", "b", "c"))
        return self.comment(f"{text} {links}", **{"homepage": "x", **fields})

    def decide(self, item_id: int, decision: str, version: int = 1, **headers: str) -> Any:
        return self.client.post(
            f"/discuss/moderation/items/{item_id}/decisions",
            json={"decision": decision, "version": version},
            headers=headers or self.token(),
        )

    def counts(self, article: str = "thaw") -> dict[str, int]:
        answer: dict[str, int] = self.client.get(f"/discuss/counts?article={article}").json[article]
        return answer

    def close(self) -> None:
        """End the app's threads and connections; it opens new connections where it is asked again."""
        self.moderate.close(self.app)

    def total(self) -> int:
        """Return the number of stored items of all statuses."""
        with self.app.app_context():
            return sum(self.state.desk.store.counters.totals().__getattribute__(name) for name in NAMES)


NAMES = ("comments", "trackback", "pingback", "webmention", "pending", "spam", "trash")
