"""``python -m examples.newsroom``: seed on the first start, print where to look, serve."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from werkzeug.serving import make_server

from examples.newsroom.app import HERE, create_app
from examples.newsroom.seed import EDITOR, seed
from examples.newsroom.sign_in import new_link
from moderate.testing import AkismetStandIn

if TYPE_CHECKING:
    from flask import Flask

#: Listening on these means on every address that the machine has.
EVERYWHERE = {"0.0.0.0", "::"}


def main() -> None:
    wanted = arguments()
    everywhere = wanted.host in EVERYWHERE
    address = f"http://{'127.0.0.1' if everywhere else wanted.host}:{wanted.port}"
    config = {
        "NEWSROOM_DATA": str(wanted.data),
        "NEWSROOM_URL": address,
        "TRUSTED_HOSTS": None if everywhere else ["127.0.0.1", "localhost", wanted.host],
    }
    fill(config, wanted.data, fresh=wanted.fresh)
    # A stand-in for Akismet, so that all its answers can be tried without an account.
    with AkismetStandIn() as akismet:
        asked = {"MODERATE_AKISMET_KEY": "stand-in", "MODERATE_AKISMET_URL": akismet.url, "MODERATE_SITE_URL": address}
        serve(create_app({**config, **asked}), wanted.host, wanted.port, address)


def serve(app: Flask, host: str, port: int, address: str) -> None:
    """Print where to look, and serve until Ctrl-C."""
    server = make_server(host, port, app, threaded=True)
    print(f"The Tsukimori Times: {address}/")
    print(f"Sign in as a moderator (the link works once): {address}{new_link(app, EDITOR)}")
    print("A comment whose text says akismet-guaranteed-spam is spam; a stand-in for Akismet answers so.")
    print("Stop with Ctrl-C.", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        server.server_close()


def fill(config: dict[str, Any], folder: Path, *, fresh: bool) -> None:
    """Seed the site unless it has data; what was begun and not finished is begun anew the next time."""
    if fresh:
        forget(folder)
    if (folder / "moderate.sqlite3").exists():
        return
    try:
        seed(config)
    except BaseException:
        forget(folder)
        raise


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m examples.newsroom", description="The example news site.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--data", type=Path, default=HERE / "instance", help="the folder for database and keys")
    parser.add_argument("--fresh", action="store_true", help="forget everything and begin anew")
    return parser.parse_args()


def forget(folder: Path) -> None:
    for path in folder.glob("moderate.sqlite3*"):
        path.unlink()


if __name__ == "__main__":
    main()
