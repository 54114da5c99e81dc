"""The site of `bench.requests`: a host with moderate, and what is stored there before the first request is measured."""

from __future__ import annotations

import gc
import itertools
import json
import os
import random
from typing import TYPE_CHECKING

from flask import Flask, render_template, request

from moderate import Article, Moderate, Moderator

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis.cluster import RedisCluster

PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{{ key }}</title>
{{ moderate_discovery(key) }}</head><body><h1>About the ferry</h1>
{{ moderate_thread(key) }}
{% set counts = moderate_counts(key) %}
<p><a href="#comments">Comment ({{ counts.comments }})</a>
<a href="#trackbacks">Trackback({{ counts.trackbacks }})</a></p>
</body></html>"""

MARKED_UP = (
    "<p>The ferry was <b>late</b> again, see https://harbour.example/log and <a href='https://news.example/1'>the"
    " report</a>.</p>\n\nNobody &amp; nothing was told. "
)
PLAIN = "The ferry was late again. Nobody was told. "
SYLLABLES = ("ba", "con", "di", "fer", "gu", "ham", "jo", "kil", "lo", "mus", "ne", "pil", "ra", "sto", "ti", "wen")
#: Enough words that two texts rarely share one.
WORDS = ["".join(three) for three in itertools.product(SYLLABLES, repeat=3)]

KEYS = [f"article-{number}" for number in range(50)]
#: Comments on the article that is read, those that wait, and those that are decided on back and forth.
READ, WAITING, DECIDED = 100, 60, 40


def texts(beginning: str, seed: str = "") -> Iterator[str]:
    """Yield texts of 600 characters, each another one: a comment nearly the same as an earlier one is held."""
    chance = random.Random(beginning + seed)
    while True:
        yield (beginning + " ".join(chance.choices(WORDS, k=120)))[:600]


def create_app() -> Flask:
    """Return the site. BENCH_SITE is JSON: its folder, its settings, and whether it is to be filled first."""
    place = json.loads(os.environ["BENCH_SITE"])
    app = Flask("bench", instance_path=place["folder"])
    app.config.update(place["settings"])
    moderate = Moderate(redis=cluster(*place["cluster"]) if "cluster" in place else None)
    moderate.article_loader(lambda key: Article(key, "About the ferry", f"http://127.0.0.1/article/{key}"))
    moderate.moderator_loader(lambda: Moderator("mori") if "X-Desk" in request.headers else None)
    moderate.init_app(app)

    # A host's templates are files, which Jinja compiles once.
    page = app.jinja_env.from_string(PAGE)

    def article(key: str) -> tuple[str, int, list[tuple[str, str]]]:
        return render_template(page, key=key), 200, moderate.discovery_headers(key)

    app.add_url_rule("/article/<key>", view_func=article)
    if place.get("warm"):
        make_ready(app, place["warm"])
    if place.get("fill"):
        with app.app_context():
            moderate.create_tables()
            fill(moderate, place.get("decided", DECIDED))
    return app


def make_ready(app: Flask, addresses: list[str]) -> None:
    """Do what docs/scaling.md has for processes that are forked from this one."""
    client = app.test_client()
    for address in addresses:
        client.get(address)
    client.post("/discuss/preview", json={"text": "A <b>text</b>."})
    gc.freeze()


def cluster(host: str, port: int) -> RedisCluster:
    # Loads redis-py, which a command would not have loaded otherwise.
    from redis.cluster import RedisCluster

    return RedisCluster(host, port)


def fill(moderate: Moderate, decided: int) -> None:
    written = texts(MARKED_UP, "stored before")
    approved = [*KEYS, *["read"] * READ, *["decided"] * decided]
    for key in approved:
        item = moderate.submit(key, next(written), author="Mika", ip="192.0.2.1").item
        moderate.decide(item.id, "approve", version=item.version, by="bench")
    for _ in range(WAITING):
        moderate.submit("waiting", next(written), author="Mika", email="mika@mail.example", ip="192.0.2.1")
