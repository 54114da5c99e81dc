"""WordPress, as Debian ships it, sends us a real trackback and a real pingback."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.interop.loopback import InteropSite, interop_site
from tests.interop.wordpress import WordPress
from tests.mariadb_servers import MariaDB
from tests.servers import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def wordpress() -> Iterator[WordPress]:
    with MariaDB() as database, WordPress(database, free_port()) as blog:
        yield blog


@pytest.fixture(scope="module")
def site(wordpress: WordPress, tmp_path_factory: pytest.TempPathFactory) -> Iterator[InteropSite]:
    with interop_site(tmp_path_factory.mktemp("site"), wordpress.port) as running:
        yield running


def test_wordpress_sends_a_trackback(site: InteropSite, wordpress: WordPress) -> None:
    source, pinged = wordpress.post("Boats & 船", site.article_url, trackback_to=site.trackback_url, pingback=False)
    item = site.item_from(source)
    assert (item["kind"], item["status"], item["awaiting"]) == ("trackback", "pending", "moderator")
    assert (item["title"], item["blog_name"]) == ("Boats & 船", "A WordPress")
    assert item["html"] == "<p>Café &amp; more 日本語</p>"
    assert pinged == site.trackback_url


def test_wordpress_sends_a_pingback(site: InteropSite, wordpress: WordPress) -> None:
    source, pinged = wordpress.post("More boats", site.article_url, pingback=True)
    item = site.item_from(source)
    assert (item["kind"], item["status"], item["awaiting"]) == ("pingback", "pending", "moderator")
    assert item["title"] == "More boats"
    # WordPress notes an address only after it has read success.
    assert pinged == site.article_url


def test_it_is_the_wordpress_of_debian(wordpress: WordPress) -> None:
    assert wordpress.version.startswith("6.")
