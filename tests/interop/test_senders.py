"""Each program finds our endpoint on the article page by itself, where it can, and sends a real ping.

A ping counts when it is stored, its source was fetched and found to link here, and it waits for a moderator.
"""

from __future__ import annotations

import xmlrpc.client
from typing import TYPE_CHECKING
from urllib.request import urlopen

import pytest

if TYPE_CHECKING:
    from tests.interop.loopback import InteropSite
    from tests.interop.programs import NodePrograms, PythonPrograms


def arrived(site: InteropSite, source: str, kind: str, **expected: str) -> None:
    item = site.item_from(source)
    found = {name: item[name] for name in ("kind", "status", "awaiting", *expected)}
    assert found == {"kind": kind, "status": "pending", "awaiting": "moderator", **expected}
    # The link was looked for and found: otherwise the check would have said so.
    assert "source-link" not in [finding["check"] for finding in item["findings"]]


def test_the_standard_librarys_xmlrpc_client(site: InteropSite) -> None:
    source = site.post_url("stdlib")
    with urlopen(site.article_url) as page:
        endpoint = page.headers["X-Pingback"]
    with xmlrpc.client.ServerProxy(endpoint) as server:
        assert "registered" in str(server.pingback.ping(source, site.article_url))
        with pytest.raises(xmlrpc.client.Fault) as raised:
            server.pingback.ping(source, f"{site.base_url}/nothing")
        assert raised.value.faultCode == 33
    arrived(site, source, "pingback", title="About stdlib")


def test_indieweb_utils_sends_a_trackback(site: InteropSite, python: PythonPrograms) -> None:
    source = site.post_url("indieweb-utils")
    script = (
        "import sys, indieweb_utils\n"
        "indieweb_utils.send_trackback(sys.argv[1], sys.argv[2], 'Grüße & 日本語', 'An <excerpt>', 'IndieWeb')"
    )
    python.run(script, site.article_url, source)
    arrived(site, source, "trackback", title="Grüße & 日本語", blog_name="IndieWeb")


def test_indieweb_utils_reads_our_error(site: InteropSite, python: PythonPrograms) -> None:
    script = (
        "import sys, indieweb_utils\n"
        "try: indieweb_utils.send_trackback(sys.argv[1], 'no address', 'T', 'E', 'B')\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    assert "The parameter url is not an absolute" in python.run(script, site.article_url)


def test_indieweb_utils_finds_the_webmention_endpoint(site: InteropSite, python: PythonPrograms) -> None:
    script = "import sys, indieweb_utils\nprint(indieweb_utils.discover_webmention_endpoint(sys.argv[1]).endpoint)"
    assert python.run(script, site.article_url) == f"{site.base_url}/discuss/webmention"


def test_ronkyuu_sends_a_webmention(site: InteropSite, python: PythonPrograms) -> None:
    source = site.post_url("ronkyuu")
    script = "import sys, ronkyuu\nprint(ronkyuu.sendWebmention(sys.argv[1], sys.argv[2], test_urls=False).status_code)"
    assert python.run(script, source, site.article_url) == "201"
    arrived(site, source, "webmention", title="About ronkyuu")


def test_webmention_tools_sends_a_webmention(site: InteropSite, python: PythonPrograms) -> None:
    source = site.post_url("webmention-tools")
    # It takes 201 for a failure, though the specification demands it; what counts is that the mention is here.
    script = (
        "import sys\nfrom webmentiontools.send import WebmentionSend\n"
        "sender = WebmentionSend(sys.argv[1], sys.argv[2])\nsender.send()\nprint(sender.error['http_status'])"
    )
    assert python.run(script, source, site.article_url) == "201"
    arrived(site, source, "webmention", title="About webmention-tools")


def test_npm_trackback(site: InteropSite, node: NodePrograms) -> None:
    source = site.post_url("npm-trackback")
    script = (
        "require('trackback').ping(process.argv[1], process.argv[2],"
        " {title: 'Größe', excerpt: 'An excerpt', blog_name: 'Node'},"
        " error => console.log(error === null ? 'sent' : 'failed: ' + error))"
    )
    assert node.run(script, site.trackback_url, source) == "sent"
    arrived(site, source, "trackback", title="Größe", blog_name="Node")
    answer = node.run(script, site.trackback_url, "no address")
    assert answer.startswith("failed: The parameter url")


def test_npm_pingback(site: InteropSite, node: NodePrograms) -> None:
    source = site.post_url("npm-pingback")
    script = (
        "require('pingback').send(process.argv[2], process.argv[1],"
        " (error, answer) => console.log(error ? 'failed: ' + (error.message || error) : 'sent'))"
    )
    assert node.run(script, source, site.article_url) == "sent"
    arrived(site, source, "pingback", title="About npm-pingback")


def test_npm_send_webmention(site: InteropSite, node: NodePrograms) -> None:
    source = site.post_url("npm-webmention")
    script = (
        "require('send-webmention')(process.argv[1], process.argv[2], (error, answer) =>"
        " console.log(error ? 'failed: ' + error : answer.success + ' ' + answer.res.statusCode))"
    )
    assert node.run(script, source, site.article_url) == "true 201"
    arrived(site, source, "webmention", title="About npm-webmention")


def test_a_source_is_one_item_over_all_three_protocols(site: InteropSite, node: NodePrograms) -> None:
    source = site.post_url("everywhere")
    with xmlrpc.client.ServerProxy(f"{site.base_url}/discuss/pingback") as server:
        server.pingback.ping(source, site.article_url)
    node.run("require('send-webmention')(process.argv[1], process.argv[2], () => {})", source, site.article_url)
    node.run("require('trackback').ping(process.argv[1], process.argv[2], {}, () => {})", site.trackback_url, source)
    assert len(site.items_from(source)) == 1
