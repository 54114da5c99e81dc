"""A notebook of Markdown files that Frozen-Flask makes into static pages: no SECRET_KEY, no database of its own."""

from __future__ import annotations

from flask import Flask, current_app, render_template
from flask_flatpages import FlatPages

from moderate import Article, Moderate

# From docs/embedding.md:
moderate = Moderate()
pages = FlatPages()


@moderate.article_loader
def load_article(key):
    page = pages.get(key)
    if page is None:
        return None
    url = f"{current_app.config['MODERATE_SITE_URL']}/{page.path}/"
    return Article(page.path, page["title"], url=url, published_at=page["date"])


# End of the lines from docs/embedding.md.


def front():
    found = sorted(pages, key=lambda page: page["date"])
    counts = moderate.counts([page.path for page in found])
    return render_template("front.html", pages=found, counts=counts)


def show(path):
    page = pages.get_or_404(path)
    return render_template("page.html", page=page), 200, moderate.discovery_headers(page.path)


def create_app(folder, config=None):
    app = Flask(__name__, instance_path=str(folder))
    app.config.update(FREEZER_DESTINATION=str(folder / "build"), FLATPAGES_EXTENSION=".md")
    app.config["MODERATE_SITE_URL"] = "http://127.0.0.1:5000"
    app.config.update(config or {})
    pages.init_app(app)
    moderate.init_app(app)
    app.add_url_rule("/", "front", front)
    app.add_url_rule("/<path:path>/", "show", show)
    return app
