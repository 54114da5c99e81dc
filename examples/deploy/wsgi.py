"""The site, as gunicorn and `flask` load it: settings from production.toml, the rest from the environment."""

import os
import tomllib

import click
from flask import Flask, abort, render_template_string
from werkzeug.middleware.proxy_fix import ProxyFix

from moderate import Article, Moderate

NEEDED = ("SECRET_KEY", "MODERATE_DATABASE_URL", "MODERATE_REDIS_URL")
PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{{ article.title }}</title>
{{ moderate_discovery(article.key) }}</head>
<body><h1>{{ article.title }}</h1>{{ moderate_thread(article.key) }}</body></html>"""

# Without these the site would work, on a database of its own, by mistake.
if missing := [name for name in NEEDED if not os.environ.get(name)]:
    raise click.ClickException(f"Not set in the environment: {', '.join(missing)}. See environment.example.")

app = Flask(__name__)
app.config.from_file("production.toml", load=tomllib.load, text=False)
app.config["SECRET_KEY"] = os.environ["SECRET_KEY"]
proxies = int(os.environ.get("PROXIES") or 0)
app.wsgi_app = ProxyFix(app.wsgi_app, x_for=proxies, x_proto=proxies, x_host=proxies)  # type: ignore[method-assign]

site_url = app.config["MODERATE_SITE_URL"]
articles = {"first": Article("first", "The first article", f"{site_url}/articles/first")}
moderate = Moderate()
moderate.article_loader(articles.get)
moderate.init_app(app)


@app.get("/articles/<key>")
def article(key: str) -> tuple[str, list[tuple[str, str]]]:
    found = articles.get(key) or abort(404)
    return render_template_string(PAGE, article=found), moderate.discovery_headers(key)
