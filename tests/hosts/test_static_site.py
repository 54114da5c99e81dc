"""A site that Frozen-Flask makes into static files."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from flask_frozen import Freezer, MissingURLGeneratorWarning

from tests.sites import Host

if TYPE_CHECKING:
    from pathlib import Path


def test_frozen_flask_with_its_defaults_freezes_the_pages_and_the_styles_of_a_site_and_no_live_address(
    tmp_path: Path,
) -> None:
    host = Host(tmp_path, FREEZER_DESTINATION=str(tmp_path / "build"))
    host.app.add_url_rule("/", "front", lambda: '<a href="/thaw.html">thaw</a>')
    host.app.add_url_rule("/<key>.html", "page", host.page)
    freezer = Freezer(host.app)
    freezer.register_generator(lambda: ["/thaw.html"])
    with pytest.warns(MissingURLGeneratorWarning, match="moderate.queue"):
        frozen = freezer.freeze()
    assert {"/", "/thaw.html", "/discuss/static/moderate.css", "/discuss/static/thread.js"} <= frozen
    assert [url for url in frozen if url.startswith("/discuss/") and "/static/" not in url] == []
    assert re.search(r'action="/discuss/comments/thaw"', (tmp_path / "build" / "thaw.html").read_text("utf-8"))
