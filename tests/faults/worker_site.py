"""A small site for worker processes: settings come as JSON in SITE_CONFIG, its folder in SITE_FOLDER."""

from __future__ import annotations

import json
import logging
import os
import signal
from typing import TYPE_CHECKING

from flask import Flask

from moderate import CHECKS, Article, Moderate
from moderate.checks.base import COMMENTS

if TYPE_CHECKING:
    from moderate.checks.base import Facts
    from moderate.model import Finding, Submission

#: The text at which `Fatal` kills its process.
POISON = "A text that a C library crashes on"


class Fatal:
    """A remote check of the host that kills its own process for one text, as a crash or the system would."""

    name = "fatal"
    version = 1
    remote = True
    kinds = COMMENTS

    def look(self, submission: Submission, _facts: Facts) -> Finding | None:
        if submission.body.raw == POISON:
            with open(os.path.join(os.environ["SITE_FOLDER"], "deaths"), "a", encoding="ascii") as file:
                file.write(f"{os.getpid()}\n")
            os.kill(os.getpid(), signal.SIGKILL)
        return None


def create_app() -> Flask:
    logging.basicConfig()
    logging.getLogger("moderate").setLevel(logging.INFO)
    app = Flask("worker-site", instance_path=os.environ["SITE_FOLDER"])
    app.config.update({"SECRET_KEY": "for tests only", "MODERATE_LIMITS": {}, "MODERATE_WORKER": "external"})
    app.config.update(json.loads(os.environ["SITE_CONFIG"]))
    moderate = Moderate(checks=(*CHECKS, Fatal()))
    moderate.article_loader({"thaw": Article("thaw", "The thaw", "http://localhost/thaw")}.get)
    moderate.init_app(app)
    return app
