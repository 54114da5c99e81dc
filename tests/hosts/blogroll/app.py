"""A blog in one file on peewee, with a catch-all route and styles that make a rem ten pixels."""

from __future__ import annotations

from datetime import date

from flask import Flask, abort, current_app, redirect, render_template, request, session, url_for
from peewee import CharField, DateField, Model, SqliteDatabase

from moderate import Article, Moderate, Moderator

# From docs/embedding.md:
database = SqliteDatabase("blog.sqlite3")
moderate = Moderate()


class Entry(Model):
    slug = CharField(unique=True)
    title = CharField()
    day = DateField()

    class Meta:
        database = database


@moderate.article_loader
def load_article(key):
    entry = Entry.get_or_none(Entry.slug == key)
    if entry is None:
        return None
    url = f"{current_app.config['MODERATE_SITE_URL']}/{entry.slug}/"
    return Article(entry.slug, entry.title, url=url, published_at=entry.day)


@moderate.moderator_loader
def load_moderator():
    return Moderator(session["name"]) if session.get("is_editor") else None


def close_database(error):
    if not database.is_closed():
        database.close()


# End of the lines from docs/embedding.md.


def front():
    entries = list(Entry.select().order_by(Entry.day.desc()))
    counts = moderate.counts([entry.slug for entry in entries])
    return render_template("front.html", entries=entries, counts=counts)


def show(slug):
    entry = Entry.get_or_none(Entry.slug == slug) or abort(404)
    return render_template("entry.html", entry=entry), 200, moderate.discovery_headers(entry.slug)


def login():
    if request.form["password"] != "secret":
        abort(403)
    session.update(name="Owner", is_editor=True)
    return redirect(url_for("front"))


def create_app(folder, config=None):
    app = Flask(__name__, instance_path=str(folder))
    app.config.update(SECRET_KEY="for tests only")
    app.config["MODERATE_SITE_URL"] = "http://127.0.0.1:5000"
    app.config.update(config or {})
    database.init(folder / "blog.sqlite3")
    app.teardown_appcontext(close_database)
    app.add_url_rule("/", "front", front)
    app.add_url_rule("/login/", "login", login, methods=["POST"])
    app.add_url_rule("/<slug>/", "show", show)
    moderate.init_app(app)
    with app.app_context():
        database.create_tables([Entry])
        Entry.create(slug="snow", title="Snow", day=date(2026, 1, 2))
        Entry.create(slug="thaw", title="Thaw", day=date(2026, 1, 5))
    return app
