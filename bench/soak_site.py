"""The site that `bench.soak` keeps busy, and the receivers of its webhooks and mails."""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from dataclasses import dataclass
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from moderate import Article, Moderate
from moderate.clock import SystemClock
from tests.mail_servers import MailServer
from tests.servers import HOST

if TYPE_CHECKING:
    from datetime import datetime

ARTICLES = {key: Article(key, f"About the {key}", f"http://localhost/{key}") for key in ("thaw", "ferry", "market")}


class HostClock(SystemClock):
    """The clock of a host, wrong by the number of seconds in a file that the soak rewrites."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def system(self) -> datetime:
        return super().system() + timedelta(seconds=float(self._path.read_text(encoding="ascii")))


class FixedHostClock(HostClock):
    """The same clock for the last worker, which runs hours ahead on purpose and must not be set right."""

    def follow(self, other: datetime) -> float:
        return 0.0


def create_app() -> Flask:
    """Return the site that the environment describes.

    SOAK_CONFIG holds its settings as JSON, SOAK_FOLDER its instance folder, SOAK_CLOCK the file of its clock, and
    SOAK_AHEAD is set for a worker that goes by this file alone.
    """
    app = Flask("soak", instance_path=os.environ["SOAK_FOLDER"])
    app.config.update(json.loads(os.environ["SOAK_CONFIG"]))
    app.wsgi_app = ProxyFix(app.wsgi_app)  # type: ignore[method-assign]
    clock = FixedHostClock if "SOAK_AHEAD" in os.environ else HostClock
    moderate = Moderate(clock=clock(Path(os.environ["SOAK_CLOCK"])))
    moderate.article_loader(ARTICLES.get)
    moderate.article_finder(lambda url: ARTICLES.get(urlsplit(url).path[1:]))
    moderate.init_app(app)
    return app


@dataclass(frozen=True)
class Delivery:
    """A notice that was answered with success in good time: `key` is its webhook-id or Message-ID, `about` its text."""

    key: str
    about: str
    at: float


class HookReceiver:
    """The receiver of webhooks. `mode` is ``ok``, ``error`` (500), ``slow`` or ``down`` (the connection ends)."""

    def __init__(self, slow_seconds: float) -> None:
        self.mode = "ok"
        self.taken: list[Delivery] = []
        self.refused = 0
        self._slow_seconds = slow_seconds
        self._server = ThreadingHTTPServer((HOST, 0), self._handler())
        self._server.daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self._server.server_port}/hook"

    def _handler(receiver) -> type[BaseHTTPRequestHandler]:  # noqa: N805
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                body = self.rfile.read(length)
                if len(body) < length:
                    # The sender was killed, or out of time.
                    return
                mode = receiver.mode
                if mode == "slow":
                    time.sleep(receiver._slow_seconds)
                if mode == "down":
                    self.close_connection = True
                    receiver.refused += 1
                    return
                try:
                    self.send_response(500 if mode == "error" else 204)
                    self.end_headers()
                except OSError:
                    mode = "down"
                if mode == "ok":
                    data = json.loads(body)["data"]
                    receiver.taken.append(Delivery(self.headers["webhook-id"], str(data["id"]), time.monotonic()))
                else:
                    receiver.refused += 1

            def log_message(self, *_: Any) -> None:
                pass

        return Handler

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class MailReceiver(MailServer):
    """The mail server of the moderators, with the modes of `HookReceiver`."""

    def __init__(self, slow_seconds: float) -> None:
        super().__init__()
        self.taken: list[Delivery] = []
        self.refused = 0
        self._mode = "ok"
        self._slow_seconds = slow_seconds

    @property
    def mode(self) -> str:
        return self._mode

    @mode.setter
    def mode(self, mode: str) -> None:
        before, self._mode = self._mode, mode
        self.refusal = "451 Try again later" if mode == "error" else ""
        if mode == "down":
            self.stop()
        elif before == "down":
            self.start()

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        mode = self._mode
        if mode == "slow":
            await asyncio.sleep(self._slow_seconds)
        answer = await super().handle_DATA(server, session, envelope)
        for mail in self.mails:
            if mode == "ok":
                self.taken.append(Delivery(mail.id, mail.text, time.monotonic()))
        self.refused += mode != "ok"
        self.mails.clear()
        return answer
