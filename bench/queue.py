"""The moderators' queue as the store grows: API, page, search and history, at 10 thousand items and at many more.

Run it with ``python -m bench.queue``: 10 thousand against 200 thousand stored items; with ``BENCH_LARGE=1``
against a million. On SQLite, in this process, CPU time; the two sizes take turns within each round, so that
a busy machine slows both alike, and the ratios are taken round by round.
"""

from __future__ import annotations

import logging
import os
import random
import statistics
import tempfile
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flask import Flask
from sqlalchemy import insert, text

from moderate import Article, Moderate, Moderator
from moderate.database.schema import SITE, articles, counters, history, items
from moderate.store.articles import NAMED
from moderate.store.by_score import cursor_of
from moderate.store.search import terms_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flask.testing import FlaskClient
    from sqlalchemy.engine import Connection

SMALL = 10_000
LARGE = 1_000_000 if os.environ.get("BENCH_LARGE") == "1" else 200_000
ROUNDS = 15
CALLS = 3
TARGET = 1.5

#: One in a hundred waits, two are spam; an article has thirty items.
PENDING, SPAM, OF_ARTICLE = 100, 50, 30
FIRST = datetime(2024, 1, 1, tzinfo=UTC)

WORDS = [
    *("river", "mayor", "council", "budget", "train", "winter", "school", "harbour", "bridge", "market", "festival"),
    *(
        "library",
        "hospital",
        "snow",
        "letter",
        "garden",
        "window",
        "station",
        "evening",
        "museum",
        "kitchen",
        "concert",
    ),
]

#: In how many items the rare word is, all of them trackbacks of one host; the common one is in every second.
RARE = 20

HOST_TERM = terms_of({"source_url": "https://rare.example/"})

JOBS = {
    "API: 50 items that wait": "/discuss/moderation/items?status=pending&limit=50",
    "API: the same, from the middle": "/discuss/moderation/items?status=pending&limit=50&cursor={middle}",
    "API: 50 items of any status": "/discuss/moderation/items?limit=50",
    "API: search for a common word": "/discuss/moderation/items?limit=50&q=ferry",
    "API: search for a rare word": "/discuss/moderation/items?limit=50&q=zeppelin",
    "API: search in Japanese, two letters": "/discuss/moderation/items?limit=50&q=市長",
    "API: a common word among what waits": "/discuss/moderation/items?status=pending&limit=50&q=ferry",
    "API: items of one address": "/discuss/moderation/items?limit=50&ip=192.0.2.7",
    "API: trackbacks, which are few and old": "/discuss/moderation/items?limit=50&kind=trackback",
    "API: what waits, of any status": "/discuss/moderation/items?limit=50&awaiting=moderator",
    "API: pings of one host": "/discuss/moderation/items?limit=50&host=rare.example",
    "API: items like one": "/discuss/moderation/items?limit=50&like={middle}",
    "API: one item with its history": "/discuss/moderation/items/{middle}",
    "API: the latest history": "/discuss/moderation/history?limit=50",
    "API: 50 items that wait, by score": "/discuss/moderation/items?status=pending&limit=50&sort=score",
    "API: public items by score, mid-way": "/discuss/moderation/items?status=approved&sort=score&cursor={score}",
    "queue page: 50 items that wait": "/discuss/moderation/",
}


def main() -> None:
    """Print the table: CPU microseconds per request at both sizes, and the ratio."""
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        clients = {}
        for size in (SMALL, LARGE):
            started = time.perf_counter()
            clients[size] = site(Path(folder) / str(size), size)
            print(f"{size:>9} items stored in {time.perf_counter() - started:.0f} s")
        print()
        taken = measure(clients)
    for name, by_size in taken.items():
        small, large = (statistics.median(by_size[size]) for size in (SMALL, LARGE))
        ratio = statistics.median(b / a for a, b in zip(by_size[SMALL], by_size[LARGE], strict=True))
        print(f"{name:40} {small:8.0f} us {large:8.0f} us   {ratio:.2f} (at most {TARGET})")


def measure(clients: dict[int, FlaskClient]) -> dict[str, dict[int, list[float]]]:
    taken: dict[str, dict[int, list[float]]] = {name: {size: [] for size in clients} for name in JOBS}
    for _ in range(ROUNDS):
        for name, address in JOBS.items():
            for size, client in clients.items():
                place = address.format(middle=size // 2, score=cursor_of(size, 500))
                taken[name][size].append(cpu(partial(ask, client, place)))
    return taken


def ask(client: FlaskClient, address: str) -> None:
    answer = client.get(address)
    assert answer.status_code == 200, answer.text


def cpu(job: Callable[[], object]) -> float:
    """CPU microseconds of one call."""
    started = time.process_time()
    for _ in range(CALLS):
        job()
    return (time.process_time() - started) / CALLS * 1e6


def site(folder: Path, size: int) -> FlaskClient:
    """A site with that many items stored, and its moderator."""
    app = Flask("bench", instance_path=str(folder))
    app.config.update(SECRET_KEY="bench", MODERATE_WORKER="external", MODERATE_LIMITS={})
    moderate = Moderate()
    moderate.article_loader(lambda key: Article(key, f"About {key}", f"https://news.example/{key}"))
    moderate.moderator_loader(lambda: Moderator("mori"))
    moderate.init_app(app)
    database = app.extensions["moderate"].desk.store.database
    with database.write() as conn:
        fill(conn, size)
    with database.read() as conn:
        conn.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
    return app.test_client()


def fill(conn: Connection, size: int) -> None:
    """Store items as they would stand after years. The index for searches is built at the end, in one go."""
    conn.execute(insert(articles), list(known_articles(size)))
    for stretch in range(0, size, 5000):
        numbers = range(stretch + 1, min(stretch + 5000, size) + 1)
        conn.execute(insert(items), [row(number) for number in numbers])
        conn.execute(insert(history), [line(number) for number in numbers])
    waiting, spam = size // PENDING, size // SPAM
    numbers_of = {"comments": size - waiting - spam, "pending_comment": waiting, "spam_comment": spam}
    conn.execute(insert(counters), {**dict.fromkeys(NAMED, 0), **numbers_of, "article_key": SITE})
    conn.exec_driver_sql("INSERT INTO moderate_search (moderate_search) VALUES ('rebuild')")
    conn.execute(text("UPDATE moderate_search_state SET upto = :size"), {"size": size})


def known_articles(size: int) -> Iterator[dict[str, Any]]:
    for number in range(size // OF_ARTICLE + 1):
        key = f"article-{number}"
        yield {"key": key, "title": key, "url": f"https://news.example/{key}", "updated_at": FIRST}


TEXTS: list[tuple[str, str]] = []


def texts() -> list[tuple[str, str]]:
    """Some hundred texts of 600 characters with their terms: writing a million anew would take longer than all else."""
    if not TEXTS:
        chosen = random.Random(7)
        for number in range(400):
            written = " ".join(chosen.choices(WORDS, k=80))[:560]
            written += " the ferry" if number % 2 else ""
            written += " 昨日の会議で市長が予算案を説明した。" if number % 40 == 0 else ""
            TEXTS.append((written, terms_of({"author": "Mika", "text": written})))
    return TEXTS


def row(number: int) -> dict[str, Any]:
    written, terms = random.Random(number).choice(texts())
    if number <= RARE:
        written, terms = f"a zeppelin {written}", f"wwzeppelin {HOST_TERM} {terms}"
    status = "pending" if number % PENDING == 0 else "spam" if number % SPAM == 1 else "approved"
    return {
        "id": number,
        "kind": "trackback" if number <= RARE else "comment",
        "source_url": f"https://rare.example/{number}" if number <= RARE else None,
        "status": status,
        "awaiting": "moderator" if status == "pending" else None,
        "version": 1,
        "article_key": f"article-{number // OF_ARTICLE}",
        "author": f"Reader {number % 5000}",
        "email": f"reader{number % 5000}@mail.example",
        "text": written,
        "html": f"<p>{written}</p>",
        "policy": "bench",
        "links": [],
        "text_key": f"{number % 400:064d}",
        "ip": f"192.0.2.{number % 200}" if number % 997 == 0 else f"2001:db8::{number % 65536:x}",
        "user_agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
        "honeypot": "",
        "created_at": FIRST + timedelta(seconds=60 * number),
        "findings": [{"check": "links", "lean": "hold", "reason": "three links", "version": 1, "took_ms": 0.1}],
        "passed": ["honeypot", "timing", "repeat"],
        "score": number * 7919 % 1000,
        "search": terms,
    }


def line(number: int) -> dict[str, Any]:
    return {
        "item_id": number,
        "at": FIRST + timedelta(seconds=60 * number),
        "act": "received",
        "after": "approved",
        "version": 1,
    }


if __name__ == "__main__":
    main()
