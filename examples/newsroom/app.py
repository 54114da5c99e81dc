"""The site: articles of its own, discussions by `moderate`. Everything it uses of moderate is public."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, abort, current_app, has_request_context, render_template, url_for

from examples.newsroom import sign_in
from examples.newsroom.articles import BY_KEY, STORIES
from moderate import Article, Moderate, Moderator

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flask.typing import ResponseReturnValue

    from moderate.ports import Clock

HERE = Path(__file__).parent


def create_app(config: Mapping[str, Any] | None = None, *, clock: Clock | None = None) -> Flask:
    """Return the site as a Flask app. `NEWSROOM_DATA` is the folder that it may write to."""
    app = Flask(__name__, instance_path=str(data_folder(config or {})))
    app.config.from_mapping(
        SECRET_KEY=secret_key(Path(app.instance_path)),
        SESSION_COOKIE_SAMESITE="Lax",
        TRUSTED_HOSTS=["127.0.0.1", "localhost"],
        NEWSROOM_URL="http://127.0.0.1:8000",
    )
    app.config.from_mapping(config or {})
    moderate = Moderate(clock=clock)
    plug_in(moderate)
    moderate.init_app(app)
    app.extensions["newsroom.moderate"] = moderate
    app.register_blueprint(sign_in.blueprint)
    add_pages(app, moderate)
    return app


def data_folder(config: Mapping[str, Any]) -> Path:
    folder = Path(config.get("NEWSROOM_DATA") or HERE / "instance")
    folder.mkdir(parents=True, exist_ok=True)
    return folder.resolve()


def secret_key(folder: Path) -> str:
    """Made at the first start and kept, so that cookies outlive a restart."""
    path = folder / "secret_key"
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(32), encoding="ascii")
    return path.read_text(encoding="ascii")


def plug_in(moderate: Moderate) -> None:
    """Register the loaders of articles and moderators."""

    @moderate.article_loader
    def load_article(key: str) -> Article | None:
        story = BY_KEY.get(key)
        if story is None:
            return None
        return Article(
            key=story.key,
            title=story.title,
            url=story_url(story.key),
            published_at=story.published_at,
            comments_open=story.comments_open,
        )

    @moderate.moderator_loader
    def load_moderator() -> Moderator | None:
        name = sign_in.current_name()
        return Moderator(name) if name else None


def story_url(key: str) -> str:
    """Return an article's permalink, also outside of requests, where pings are verified."""
    if has_request_context():
        return url_for("article", key=key, _external=True)
    return f"{current_app.config['NEWSROOM_URL']}/articles/{key}"


def add_pages(app: Flask, moderate: Moderate) -> None:
    @app.get("/")
    def front() -> ResponseReturnValue:
        # One query, however many articles are on the page.
        counts = moderate.counts([story.key for story in STORIES])
        return render_template("front.html", stories=STORIES, counts=counts)

    @app.get("/articles/<path:key>")
    def article(key: str) -> ResponseReturnValue:
        story = BY_KEY.get(key) or abort(404)
        response = Response(render_template("article.html", story=story))
        for name, value in moderate.discovery_headers(key):
            response.headers.add(name, value)
        return response

    @app.context_processor
    def moderator() -> dict[str, Any]:
        return {"moderator": sign_in.current_name()}
