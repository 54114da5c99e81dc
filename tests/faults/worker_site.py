"""A small site for worker processes: settings come as JSON in SITE_CONFIG, its folder in SITE_FOLDER."""

from __future__ import annotations

import json
import os

from flask import Flask

from moderate import Article, Moderate


def create_app() -> Flask:
    app = Flask("worker-site", instance_path=os.environ["SITE_FOLDER"])
    app.config.update({"SECRET_KEY": "for tests only", "MODERATE_LIMITS": {}, "MODERATE_WORKER": "external"})
    app.config.update(json.loads(os.environ["SITE_CONFIG"]))
    moderate = Moderate()
    moderate.article_loader({"thaw": Article("thaw", "The thaw", "http://localhost/thaw")}.get)
    moderate.init_app(app)
    return app
