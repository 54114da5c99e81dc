"""A small site for gunicorn, configured by its environment, as a stranger would run it."""

from __future__ import annotations

import os
from typing import Any

from flask import Flask

from moderate import Article, Moderate


def create_app() -> Flask:
    """One article, and the settings of the environment variables MODERATE_DATABASE_URL and SITE_FOLDER."""
    app = Flask("gunicorn-site", instance_path=os.environ["SITE_FOLDER"])
    settings: dict[str, Any] = {"SECRET_KEY": "for tests only", "MODERATE_LIMITS": {}}
    settings["MODERATE_WORKER"] = os.environ.get("MODERATE_WORKER", "external")
    app.config.update(settings)
    moderate = Moderate()
    moderate.article_loader({"thaw": Article("thaw", "The thaw", "http://localhost/thaw")}.get)
    moderate.init_app(app)
    return app
