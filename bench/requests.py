"""The cost of whole requests: posting, refusing, counting, reading, beside floors that do the same work by hand.

Run it with ``python -m bench.requests``. All rows run in this process, without a server, on SQLite with
``synchronous=NORMAL``, and take turns within each round, so that a busy machine slows all of them alike.
CPU time per request, medians over the rounds; the ratios are taken round by round.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import random
import statistics
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bleach
from bleach.linkifier import LinkifyFilter
from flask import Flask, jsonify, render_template, request
from sqlalchemy import Column, Integer, MetaData, String, Table, Text, create_engine, event, select
from sqlalchemy.dialects.sqlite import insert

from moderate import Article, Moderate
from moderate.text.tags import TAGS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flask.testing import FlaskClient

ROUNDS = 40
CALLS = 10

MARKED_UP = (
    "<p>The ferry was <b>late</b> again, see https://harbour.example/log and <a href='https://news.example/1'>the"
    " report</a>.</p>\n\nNobody &amp; nothing was told. "
)
PLAIN = "The ferry was late again. Nobody was told. "
SYLLABLES = ("ba", "con", "di", "fer", "gu", "ham", "jo", "kil", "lo", "mus", "ne", "pil", "ra", "sto", "ti", "wen")
#: Enough words that two texts rarely share one.
WORDS = ["".join(three) for three in itertools.product(SYLLABLES, repeat=3)]

POST = "POST 600 characters with markup"
FLOOR_POST = "floor: Flask, form, bleach, insert and counter by hand"
POST_PLAIN = "POST 600 characters of plain text"
REFUSED = "POST refused by a limit, answered in JSON"
REFUSED_PAGE = "POST refused by a limit, answered with the form again"
FLOOR_REFUSED = "floor: Flask, form, one look into a dict"
PING = "trackback, 250 characters"
COUNTS = "GET the counts of 50 articles"
FLOOR_COUNTS = "floor: Flask, 50 rows by SQLAlchemy, JSON"
THREAD = "GET a thread of 100 comments"
PAGE = "GET an article page with the same thread in HTML"
UNCHANGED = "GET the same thread, unchanged (304)"
FLOOR_GET = "floor: Flask, an empty GET"

TARGETS = (
    (POST, FLOOR_POST, 1.35),
    (POST_PLAIN, POST, 0.65),
    (REFUSED, FLOOR_REFUSED, 1.25),
    (REFUSED_PAGE, FLOOR_REFUSED, 2.5),
    (PING, POST, 0.75),
    (COUNTS, FLOOR_COUNTS, 1.25),
    (UNCHANGED, FLOOR_GET, 1.55),
)

KEYS = [f"article-{number}" for number in range(50)]


def main() -> None:
    """Print the table: CPU microseconds per request, and the ratios that the targets are about."""
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        rows = jobs(Path(folder))
        for job in rows.values():
            job()
        taken = measure(rows)
    for name, times in taken.items():
        low, high = min(times), max(times)
        print(f"{name:58} {statistics.median(times):8.0f} us   ({low:.0f} to {high:.0f})")
    print()
    for name, floor, most in TARGETS:
        ratio = statistics.median(a / b for a, b in zip(taken[name], taken[floor], strict=True))
        print(f"{ratio:6.2f} x (at most {most:.2f})   {name}  /  {floor}")


def measure(rows: dict[str, Callable[[], object]]) -> dict[str, list[float]]:
    """CPU microseconds per call, one value a round; the rows take turns."""
    taken: dict[str, list[float]] = {name: [] for name in rows}
    for _ in range(ROUNDS):
        for name, job in rows.items():
            started = time.process_time()
            for _ in range(CALLS):
                job()
            taken[name].append((time.process_time() - started) / CALLS * 1e6)
    return taken


def jobs(folder: Path) -> dict[str, Callable[[], object]]:
    ours, limited, floor = site(folder / "ours"), site(folder / "limited", limit=1), floor_app(folder)
    form: dict[str, str] = {"author": "Mika", "email": "mika@mail.example", "url": ""}
    tags = seeded(ours)
    limited.post("/discuss/comments/article-1", data={**form, "text": "The one that passes"})

    def post(client: FlaskClient, path: str, text: str, expected: int, **headers: str) -> Callable[[], None]:
        texts = different(text)

        def run() -> None:
            answer = client.post(path, data={**form, "text": next(texts)}, headers=headers)
            assert answer.status_code == expected, answer.text

        return run

    def get(client: FlaskClient, path: str, expected: int = 200, **headers: str) -> Callable[[], None]:
        def run() -> None:
            assert client.get(path, headers=headers).status_code == expected

        return run

    query = "&".join(f"article={key}" for key in KEYS)
    excerpts, sources = different("The harbour log tells why. "), itertools.count()

    def send_ping() -> None:
        sent = {"url": f"https://blog.example/{next(sources)}", "title": "Late again", "excerpt": next(excerpts)[:250]}
        assert b"<error>0" in ours.post("/discuss/trackback/article-3", data=sent).data

    return {
        FLOOR_GET: get(floor, "/empty"),
        FLOOR_POST: post(floor, "/post", MARKED_UP, 201),
        POST: post(ours, "/discuss/comments/article-1", MARKED_UP, 303),
        POST_PLAIN: post(ours, "/discuss/comments/article-2", PLAIN, 303),
        FLOOR_REFUSED: post(floor, "/refuse", MARKED_UP, 429),
        REFUSED: post(limited, "/discuss/comments/article-1", MARKED_UP, 429, Accept="application/json"),
        REFUSED_PAGE: post(limited, "/discuss/comments/article-1", MARKED_UP, 429),
        PING: send_ping,
        FLOOR_COUNTS: get(floor, f"/counts?{query}"),
        COUNTS: get(ours, f"/discuss/counts?{query}"),
        THREAD: get(ours, "/discuss/comments/read"),
        PAGE: get(ours, "/article/read"),
        UNCHANGED: get(ours, "/discuss/comments/read", 304, **{"If-None-Match": tags}),
    }


def different(beginning: str) -> Iterator[str]:
    """Texts of 600 characters, each another one, as it is in life: what came nearly the same before is held."""
    chance = random.Random(beginning)
    made = [(beginning + " ".join(chance.choices(WORDS, k=120)))[:600] for _ in range(ROUNDS * CALLS + 1)]
    return iter(made)


def site(folder: Path, *, limit: int = 1_000_000) -> FlaskClient:
    """Return a client of a host with moderate; no request reaches its *limit* by default, and cookies are not kept."""
    app = Flask("bench", instance_path=str(folder))
    row = [
        f"{limit}/hour per client",
        f"{limit}/day per client",
        f"{limit}/minute per article",
        f"{limit}/day per site",
    ]
    app.config.update(
        SECRET_KEY="for benchmarks only",
        MODERATE_SQLITE_SYNCHRONOUS="normal",
        MODERATE_WORKER="external",
        MODERATE_LIMITS={"comments": row, "pings": row},
        MODERATE_MAX_LINKS=10,
    )
    moderate = Moderate()
    moderate.article_loader(lambda key: Article(key, "About the ferry", f"https://news.example/{key}"))
    moderate.init_app(app)

    # A host's templates are files, which Jinja compiles once.
    page = app.jinja_env.from_string("{{ moderate_thread(key) }}")

    def article(key: str) -> str:
        return render_template(page, key=key)

    app.add_url_rule("/article/<key>", view_func=article)
    return app.test_client(use_cookies=False)


def seeded(client: FlaskClient) -> str:
    """A hundred approved comments on one article; returns the thread's ETag."""
    app = client.application
    moderate_desk: Any = app.extensions["moderate"].desk
    with app.app_context():
        from moderate.model import Client, Decision, Kind, Moderator, Raw
        from moderate.moderation.decide import DecisionRequest, decide_one
        from moderate.submit.submit import accept

        for text in itertools.islice(different("Seeded. "), 100):
            raw = Raw(kind=Kind.COMMENT, client=Client(), article="read", author="Mika", text=text)
            item = accept(moderate_desk, raw).item
            wanted = DecisionRequest(decision=Decision.APPROVE, items={item.id: 1}, by=Moderator("bench"))
            decide_one(moderate_desk, wanted)
    return str(client.get("/discuss/comments/read").headers["ETag"])


# --- the floors: the same work, by hand and without any care --------------------------------------


def floor_app(folder: Path) -> FlaskClient:
    app, engine, seen = Flask("floor"), floor_engine(folder), threading.local()
    app.secret_key = "as any host has one"
    meta = MetaData()
    rows = Table("rows", meta, Column("id", Integer, primary_key=True), Column("article", String), Column("html", Text))
    sums = Table("sums", meta, Column("article", String, primary_key=True), Column("n", Integer))
    meta.create_all(engine)
    add, count = insert(rows), insert(sums)
    count = count.on_conflict_do_update(index_elements=["article"], set_={"n": sums.c.n + 1})
    with engine.begin() as conn:
        conn.execute(insert(sums), [{"article": key, "n": 1} for key in KEYS])

    def empty() -> Any:
        return jsonify({})

    def post() -> Any:
        if not hasattr(seen, "cleaner"):
            seen.cleaner = bleach.Cleaner(tags=TAGS, attributes={"a": ["href", "title"]}, filters=[LinkifyFilter])
        html = seen.cleaner.clean(request.form["text"])
        with engine.begin() as conn:
            conn.execute(add, {"article": "a", "html": html})
            conn.execute(count, {"article": "a", "n": 1})
        return jsonify({"html": html}), 201

    def refuse() -> Any:
        return jsonify({"error": len(request.form["text"])}), 429

    def counts() -> Any:
        with engine.connect() as conn:
            found = conn.execute(select(sums).where(sums.c.article.in_(request.args.getlist("article"))))
            return jsonify({row.article: {"comments": row.n} for row in found})

    app.add_url_rule("/empty", view_func=empty)
    app.add_url_rule("/post", view_func=post, methods=["POST"])
    app.add_url_rule("/refuse", view_func=refuse, methods=["POST"])
    app.add_url_rule("/counts", view_func=counts)
    return app.test_client(use_cookies=False)


def floor_engine(folder: Path) -> Any:
    engine = create_engine(f"sqlite:///{folder / 'floor.sqlite3'}")

    @event.listens_for(engine, "connect")
    def pragmas(connection: Any, _: object) -> None:
        with contextlib.closing(connection.cursor()) as cursor:
            cursor.execute("PRAGMA journal_mode=WAL")
            cursor.execute("PRAGMA synchronous=NORMAL")

    return engine


if __name__ == "__main__":
    main()
