"""Take the pictures of the README from a freshly seeded example site: ``python tools/screenshots.py``.

With ``--all FOLDER`` also narrow, dark and empty pages, for people to look at after a change of the styles.
"""

from __future__ import annotations

import argparse
import logging
import shutil
import sys
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from playwright.sync_api import sync_playwright  # noqa: E402
from werkzeug.serving import make_server  # noqa: E402

from examples.newsroom.app import create_app  # noqa: E402
from examples.newsroom.seed import EDITOR, LIBRARY, MARKET, TRAM, seed  # noqa: E402
from examples.newsroom.sign_in import new_link  # noqa: E402
from tests.tasks import run_due  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask import Flask
    from playwright.sync_api import Browser, Page

ARTICLE = f"/articles/{TRAM}"
QUEUE = "/discuss/moderation/"

#: Name, path, width, height (None for the whole page), dark, keys pressed.
FOR_README = (("article", ARTICLE, 1200, 1500, False, ""), ("queue", QUEUE, 1200, 1000, False, "j"))
FOR_LOOKING = (
    ("front", "/", 1200, None, False, ""),
    ("article-whole", ARTICLE, 1200, None, False, ""),
    ("article-dark", ARTICLE, 1200, None, True, ""),
    ("article-narrow", ARTICLE, 360, None, False, ""),
    ("article-quiet", f"/articles/{MARKET}", 800, None, False, ""),
    ("article-narrow-dark", f"/articles/{LIBRARY}", 360, None, True, ""),
    ("reply", f"{ARTICLE}?moderate_reply=1#moderate-comment-form", 1000, 900, False, ""),
    ("queue-dark", QUEUE, 1200, None, True, ""),
    ("queue-narrow", QUEUE, 360, None, False, ""),
    ("queue-spam", f"{QUEUE}?status=spam", 1000, None, False, ""),
    ("queue-empty", f"{QUEUE}?status=trash&q=nothing", 800, None, False, ""),
    ("queue-keys", QUEUE, 1000, 900, False, "?"),
    ("queue-selected", QUEUE, 1000, 900, True, "jxjx"),
    ("queue-undo", QUEUE, 1000, 900, False, "js"),
    ("queue-like", f"{QUEUE}queue/like?status=pending&kind=comment", 1000, None, False, ""),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--all", type=Path, metavar="FOLDER")
    wanted = parser.parse_args()
    with site() as (app, address), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        shoot(browser, app, address, FOR_README, ROOT / "docs" / "images")
        if wanted.all:
            shoot(browser, app, address, FOR_LOOKING, wanted.all)
        browser.close()


@contextmanager
def site() -> Iterator[tuple[Flask, str]]:
    """The example site on a free port, with its seeds."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory(prefix="newsroom-") as folder:
        # Nobody's pages are fetched for a picture: what was sent is taken as it is.
        config = {"NEWSROOM_DATA": folder, "MODERATE_WORKER": "external", "MODERATE_VERIFY_PINGS": "off"}
        seed(config)
        app = create_app(config)
        with app.app_context():
            # Otherwise the pictures would tell that no worker runs.
            while run_due(app.extensions["moderate"].desk):
                pass
        server = make_server("127.0.0.1", 0, app, threaded=True)
        serving = threading.Thread(target=server.serve_forever, daemon=True)
        serving.start()
        yield app, f"http://127.0.0.1:{server.port}"
        server.shutdown()
        serving.join()
        server.server_close()


def shoot(browser: Browser, app: Flask, address: str, pictures: Any, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, path, width, height, dark, keys in pictures:
        scheme = "dark" if dark else "light"
        context = browser.new_context(
            viewport={"width": width, "height": height or 800}, color_scheme=scheme, timezone_id="Asia/Tokyo"
        )
        page = context.new_page()
        sign_in(page, app, address, path)
        page.goto(address + path)
        for key in keys:
            page.keyboard.press(key)
        page.wait_for_load_state("networkidle")
        page.screenshot(path=folder / f"{name}.png", full_page=height is None)
        wide = page.evaluate("document.documentElement.scrollWidth")
        print(f"{name}: {wide} of {width} px wide")
        context.close()


def sign_in(page: Page, app: Flask, address: str, path: str) -> None:
    if path.startswith(QUEUE):
        page.goto(address + new_link(app, EDITOR))
        page.get_by_role("button", name="Sign in").click()


if __name__ == "__main__":
    main()
