"""A diary on plain sqlite3: an application factory, a login in the session, no ORM."""

from __future__ import annotations

import sqlite3
from datetime import date
from pathlib import Path

from flask import Flask, abort, current_app, g, redirect, render_template, request, session, url_for

from moderate import Article, Moderate, Moderator

# From docs/embedding.md:
moderate = Moderate()


@moderate.article_loader
def load_article(key):
    post = find_post(key)
    if post is None:
        return None
    url = f"{current_app.config['MODERATE_SITE_URL']}/{post['id']}"
    return Article(post["id"], post["title"], url=url, published_at=post["created"])


@moderate.moderator_loader
def load_moderator():
    return Moderator(session["name"]) if session.get("is_editor") else None


# End of the lines from docs/embedding.md.

SCHEMA = """
CREATE TABLE user (id INTEGER PRIMARY KEY, name TEXT UNIQUE NOT NULL, password TEXT NOT NULL);
CREATE TABLE post (id INTEGER PRIMARY KEY, title TEXT NOT NULL, body TEXT NOT NULL, created TEXT NOT NULL);
INSERT INTO user (name, password) VALUES ('Mori', 'snow');
INSERT INTO post (title, body, created) VALUES ('Snow', 'It snowed.', '2026-01-02');
INSERT INTO post (title, body, created) VALUES ('Thaw', 'It thawed.', '2026-01-05');
"""


def connection():
    """The connection of this app context; the worker has one of its own."""
    if "connection" not in g:
        g.connection = sqlite3.connect(current_app.config["DIARY"])
        g.connection.row_factory = sqlite3.Row
    return g.connection


def close_connection(error=None):
    if "connection" in g:
        g.pop("connection").close()


def find_post(key):
    row = connection().execute("SELECT * FROM post WHERE id = ?", (str(key),)).fetchone()
    return {**row, "created": date.fromisoformat(row["created"])} if row else None


def front():
    posts = connection().execute("SELECT id, title FROM post ORDER BY created DESC").fetchall()
    counts = moderate.counts([post["id"] for post in posts])  # one query, however many posts there are
    return render_template("front.html", posts=posts, counts=counts)


def show(key):
    post = find_post(key) or abort(404)
    return render_template("post.html", post=post), 200, moderate.discovery_headers(post["id"])


def login():
    if request.method == "POST":
        row = connection().execute("SELECT password FROM user WHERE name = ?", (request.form["name"],)).fetchone()
        if row is None or row["password"] != request.form["password"]:
            abort(403)
        session.update(name=request.form["name"], is_editor=True)
        return redirect(url_for("front"))
    return render_template("login.html")


def write():
    if not session.get("is_editor"):
        return redirect(url_for("login"))
    with connection() as open_transaction:
        open_transaction.execute(
            "INSERT INTO post (title, body, created) VALUES (?, ?, ?)",
            (request.form["title"], request.form["body"], date.today().isoformat()),  # noqa: DTZ011
        )
    return redirect(url_for("front"))


def create_app(folder, config=None):
    app = Flask(__name__, instance_path=str(folder))
    app.config.update(SECRET_KEY="for tests only", DIARY=Path(folder) / "diary.sqlite3")
    app.config["MODERATE_SITE_URL"] = "http://127.0.0.1:5000"
    app.config.update(config or {})
    app.teardown_appcontext(close_connection)
    app.add_url_rule("/", "front", front)
    app.add_url_rule("/<int:key>", "show", show)
    app.add_url_rule("/login", "login", login, methods=["GET", "POST"])
    app.add_url_rule("/write", "write", write, methods=["POST"])
    moderate.init_app(app)
    with app.app_context():
        connection().executescript(SCHEMA)
    return app
