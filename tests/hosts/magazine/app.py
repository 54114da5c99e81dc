"""A magazine: Flask-SQLAlchemy, -Login, -WTF, -Babel and -Migrate, one engine for its tables and moderate's."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

from flask import Blueprint, Flask, abort, current_app, redirect, render_template, request, url_for
from flask_babel import Babel, get_locale
from flask_login import LoginManager, UserMixin, current_user, login_required, login_user
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from flask_wtf import FlaskForm
from wtforms import PasswordField, StringField

from moderate import Article, Author, Moderate, Moderator

# From docs/embedding.md:
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
    if not current_user.is_authenticated or not current_user.is_editor:
        return None
    return Moderator(current_user.name, current_user.email)


@moderate.author_loader
def load_author():
    if not current_user.is_authenticated:
        return None
    return Author(current_user.name, current_user.email, id=current_user.id)


# End of the lines from docs/embedding.md.


class User(UserMixin, db.Model):
    id = db.Column(db.Integer, primary_key=True)
    name = db.Column(db.String(64), unique=True, nullable=False)
    email = db.Column(db.String(120))
    password = db.Column(db.String(120), nullable=False)
    is_editor = db.Column(db.Boolean, nullable=False, default=False)


class LoginForm(FlaskForm):
    name = StringField()
    password = PasswordField()


babel = Babel()
logins = LoginManager()
logins.login_view = "pages.login"
pages = Blueprint("pages", __name__)


@logins.user_loader
def load_user(user_id):
    return db.session.get(User, int(user_id))


@pages.get("/")
def front():
    posts = db.session.scalars(db.select(Post).order_by(Post.id)).all()
    counts = moderate.counts([post.id for post in posts])
    return render_template("front.html", posts=posts, counts=counts)


@pages.get("/post/<int:number>")
def show(number):
    post = db.session.get(Post, number) or abort(404)
    return render_template("post.html", post=post), 200, moderate.discovery_headers(post.id)


@pages.route("/login", methods=["GET", "POST"])
def login():
    form = LoginForm()
    if form.validate_on_submit():
        user = db.session.scalar(db.select(User).where(User.name == form.name.data))
        if user is None or user.password != form.password.data:
            abort(403)
        login_user(user)
        return redirect(url_for("pages.front"))
    return render_template("login.html", form=form)


@pages.post("/write")
@login_required
def write():
    db.session.add(Post(title=request.form["title"]))
    db.session.commit()
    return redirect(url_for("pages.front"))


def create_app(folder=None, config=None):
    app = Flask(__name__, instance_path=str(folder or Path(os.environ["MAGAZINE_FOLDER"])))
    app.config.update(SECRET_KEY="for tests only")
    app.config["SQLALCHEMY_DATABASE_URI"] = os.environ.get("MAGAZINE_DATABASE", "sqlite:///site.sqlite3")
    app.config["MODERATE_SITE_URL"] = "http://127.0.0.1:5000"
    app.config.update(config or {})
    db.init_app(app)
    logins.init_app(app)
    babel.init_app(app, locale_selector=lambda: request.accept_languages.best_match(["en", "es"]))
    app.jinja_env.globals["get_locale"] = get_locale
    Migrate(app, db, include_name=moderate.include_name)  # without this, `flask db migrate` drops all comments
    app.register_blueprint(pages)
    moderate.init_app(app)
    return app


def fill():
    """Write what the site begins with."""
    db.session.add_all([Post(title="Snow"), Post(title="Thaw")])
    db.session.add_all([User(name="Mori", email="mori@news.example", password="snow", is_editor=True)])
    db.session.add_all([User(name="Nao", password="rain")])
    db.session.commit()
