"""A journal that had comments of its own: Flask-SQLAlchemy, CSRFProtect, and a strict policy by Flask-Talisman."""

from __future__ import annotations

from datetime import datetime

from flask import Flask, abort, current_app, redirect, render_template, request, session, url_for
from flask_sqlalchemy import SQLAlchemy
from flask_talisman import Talisman
from flask_wtf.csrf import CSRFProtect

from moderate import Article, Moderate, Moderator

# From docs/embedding.md:
POLICY = {"default-src": "'self'", "script-src": "'self'"}

db = SQLAlchemy()
moderate = Moderate(engine=lambda: db.engine)


class Post(db.Model):
    id = db.Column(db.Integer, primary_key=True)
    title = db.Column(db.String(200), nullable=False)
    created = db.Column(db.DateTime, default=datetime.now)


@moderate.article_loader
def load_article(key):
    # Any key may be requested; not every number fits into the column.
    post = db.session.get(Post, int(key)) if key.isdecimal() and len(key) < 10 else None
    if post is None:
        return None
    url = f"{current_app.config['MODERATE_SITE_URL']}/post/{post.id}"
    return Article(post.id, post.title, url=url, published_at=post.created)


@moderate.moderator_loader
def load_moderator():
    return Moderator(session["name"]) if session.get("is_editor") else None


# End of the lines from docs/embedding.md.


class OldComment(db.Model):
    """The comments of readers from before moderate was mounted."""

    id = db.Column(db.Integer, primary_key=True)
    post_id = db.Column(db.ForeignKey(Post.id), nullable=False)
    text = db.Column(db.Text, nullable=False)


def front():
    posts = db.session.scalars(db.select(Post).order_by(Post.id)).all()
    counts = moderate.counts([post.id for post in posts])
    return render_template("front.html", posts=posts, counts=counts)


def show(number):
    post = db.session.get(Post, number) or abort(404)
    old = db.session.scalars(db.select(OldComment).where(OldComment.post_id == number)).all()
    return render_template("post.html", post=post, old=old), 200, moderate.discovery_headers(post.id)


def login():
    if request.method == "POST":
        if request.form["password"] != "secret":
            abort(403)
        session.update(name="Owner", is_editor=True)
        return redirect(url_for("front"))
    return render_template("login.html")


def create_app(folder, config=None):
    app = Flask(__name__, instance_path=str(folder))
    app.config.update(SECRET_KEY="for tests only", SQLALCHEMY_DATABASE_URI="sqlite:///site.sqlite3")
    app.config["MODERATE_SITE_URL"] = "http://127.0.0.1:5000"
    app.config.update(config or {})
    db.init_app(app)
    CSRFProtect(app)
    Talisman(app, content_security_policy=POLICY, content_security_policy_nonce_in=["script-src"], force_https=False)
    app.add_url_rule("/", "front", front)
    app.add_url_rule("/post/<int:number>", "show", show)
    app.add_url_rule("/login", "login", login, methods=["GET", "POST"])
    moderate.init_app(app)
    with app.app_context():
        db.create_all()
        moderate.create_tables()  # moderate's own
        db.session.add_all([Post(title="Snow"), Post(title="Thaw"), OldComment(post_id=1, text="I remember that.")])
        db.session.commit()
    return app
