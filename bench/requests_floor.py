"""The floors of `bench.requests`: the same work by hand, with nothing of what moderate promises besides."""

from __future__ import annotations

import json
import os
import threading
from typing import Any

import click
from flask import Flask, jsonify, redirect, request
from sqlalchemy import Column, Integer, MetaData, String, Table, Text, create_engine, event, select

META = MetaData()
ROWS = Table(
    "rows", META, Column("id", Integer, primary_key=True), Column("article", String(200)), Column("html", Text)
)
SUMS = Table("sums", META, Column("article", String(200), primary_key=True), Column("n", Integer))
TAGS = frozenset("a abbr b blockquote br cite code del em i li ol p pre q s strong ul".split())  # noqa: SIM905
#: A limit of one budget: the cheapest that one call of Redis can do.
LIMIT = "local n = redis.call('INCR', KEYS[1]) if n == 1 then redis.call('EXPIRE', KEYS[1], ARGV[1]) end return n"


def create_app() -> Flask:
    """Return the app with the floors of all rows. BENCH_SITE is JSON with the addresses of database and Redis."""
    import bleach
    import nh3
    import redis
    from bleach.linkifier import LinkifyFilter

    place = json.loads(os.environ["BENCH_SITE"])
    app, engine, seen = Flask("floor"), engine_for(place["database"]), threading.local()
    app.secret_key = "as any host has one"
    limit = redis.Redis.from_url(place["redis"]).register_script(LIMIT)
    META.create_all(engine)
    add, count = write_statements(engine.dialect.name)

    def arrive(html: str) -> Any:
        limit(keys=[f"floor:{request.remote_addr}"], args=[3600])
        with engine.begin() as conn:
            conn.execute(add, {"article": "a", "html": html})
            conn.execute(count, {"article": "a", "n": 1})
        return redirect("/article/a#comments", 303)

    def post() -> Any:
        if not hasattr(seen, "cleaner"):
            seen.cleaner = bleach.Cleaner(tags=TAGS, attributes={"a": ["href", "title"]}, filters=[LinkifyFilter])
        return arrive(seen.cleaner.clean(request.form["text"]))

    app.add_url_rule("/empty", view_func=lambda: jsonify({}), endpoint="empty")
    app.add_url_rule("/post", view_func=post, methods=["POST"])
    cleaned = nh3.Cleaner(tags=set(TAGS), attributes={"a": {"href", "title"}}).clean
    app.add_url_rule("/nh3", view_func=lambda: arrive(cleaned(request.form["text"])), endpoint="nh3", methods=["POST"])
    app.add_url_rule("/plain", view_func=lambda: arrive(request.form["text"]), endpoint="plain", methods=["POST"])
    return app


def create_commands() -> Flask:
    """Return an app whose one command runs one SELECT."""
    app = Flask("floor")

    @app.cli.command("rows")
    def rows() -> None:
        """Print the newest rows."""
        with engine_for(json.loads(os.environ["BENCH_SITE"])["database"]).connect() as conn:
            for row in conn.execute(select(ROWS).order_by(ROWS.c.id.desc()).limit(20)):
                click.echo(f"{row.id} {row.article} {row.html}")

    return app


def write_statements(dialect: str) -> tuple[Any, Any]:
    """Return the INSERT of a row and the upsert of its counter."""
    if dialect == "sqlite":
        from sqlalchemy.dialects.sqlite import insert
    else:
        from sqlalchemy.dialects.postgresql import insert  # type: ignore[assignment]
    count = insert(SUMS).on_conflict_do_update(index_elements=["article"], set_={"n": SUMS.c.n + 1})
    return insert(ROWS), count


def engine_for(url: str) -> Any:
    engine = create_engine(url)
    if engine.dialect.name == "sqlite":

        @event.listens_for(engine, "connect")
        def pragmas(connection: Any, _: object) -> None:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")

    return engine
