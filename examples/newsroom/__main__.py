"""``python -m examples.newsroom``: seed on the first start, print where to look, serve."""

from __future__ import annotations

import argparse
from pathlib import Path

from werkzeug.serving import make_server

from examples.newsroom.app import HERE, create_app
from examples.newsroom.seed import EDITOR, seed
from examples.newsroom.sign_in import new_link


def main() -> None:
    wanted = arguments()
    if wanted.fresh:
        forget(wanted.data)
    address = f"http://{wanted.host}:{wanted.port}"
    config = {
        "NEWSROOM_DATA": str(wanted.data),
        "NEWSROOM_URL": address,
        "TRUSTED_HOSTS": ["127.0.0.1", "localhost", wanted.host],
    }
    if not (wanted.data / "moderate.sqlite3").exists():
        seed(config)
    app = create_app(config)
    server = make_server(wanted.host, wanted.port, app, threaded=True)
    print(f"The Tsukimori Times: {address}/")
    print(f"Sign in as a moderator (the link works once): {address}{new_link(app, EDITOR)}")
    print("Stop with Ctrl-C.", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        server.server_close()


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
