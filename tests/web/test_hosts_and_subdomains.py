"""Apps that match hosts or subdomains: where the blueprint is, and that every address leads there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask, render_template_string, url_for

from moderate import Article, Author, ConfigError, Moderate, Moderator
from tests.sites import PAGE

if TYPE_CHECKING:
    from pathlib import Path

    from flask.testing import FlaskClient

COMMENT = {"author": "Mika", "text": "The river froze twice."}

#: What each kind of app is made with, its settings, and the host that the blueprint is then at.
PLACES: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "host": (
        {"host_matching": True, "static_host": "news.example"},
        {"MODERATE_HOST": "news.example"},
        "news.example",
    ),
    "host with a port": (
        {"host_matching": True, "static_host": "localhost:5000"},
        {"MODERATE_HOST": "LocalHost:5000"},
        "localhost:5000",
    ),
    "other host": (
        {"host_matching": True, "static_host": "news.example"},
        {"MODERATE_HOST": "talk.example", "MODERATE_SITE_URL": "https://news.example"},
        "talk.example",
    ),
    "subdomain": (
        {"subdomain_matching": True},
        {"MODERATE_SUBDOMAIN": "talk", "SERVER_NAME": "news.example", "MODERATE_SITE_URL": "https://news.example"},
        "talk.news.example",
    ),
    "subdomain without a site url": (
        {"subdomain_matching": True},
        {"MODERATE_SUBDOMAIN": "talk", "SERVER_NAME": "news.example:8000"},
        "talk.news.example:8000",
    ),
}


class Placed:
    """One app with an article page at its own host, and the blueprint at *host*."""

    def __init__(self, folder: Path, made_with: dict[str, Any], config: dict[str, Any], host: str) -> None:
        self.app = Flask("site", instance_path=str(folder), **made_with)
        self.app.config.update(SECRET_KEY="for tests only", MODERATE_WORKER="external", MODERATE_LIMITS={}, **config)
        self.host = host
        self.site = made_with.get("static_host") or config["SERVER_NAME"]
        self.scheme = "https" if "MODERATE_SITE_URL" in config else "http"
        self.article = Article("thaw", "The thaw", f"{self.scheme}://{self.site}/thaw")
        self.moderate = Moderate()
        self.moderate.article_loader({"thaw": self.article}.get)
        self.moderate.moderator_loader(lambda: Moderator("mori"))
        self.moderate.init_app(self.app)
        place = {"host": self.site} if made_with.get("host_matching") else {}
        self.app.add_url_rule("/thaw", "article", self.show, **place)

    def show(self) -> Any:
        return render_template_string(PAGE, article=self.article), self.moderate.discovery_headers("thaw")

    @property
    def client(self) -> FlaskClient:
        return self.app.test_client()

    def page(self) -> Any:
        return self.client.get("/thaw", base_url=f"{self.scheme}://{self.site}")


@pytest.fixture(params=PLACES)
def placed(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    made_with, config, host = PLACES[request.param]
    site = Placed(tmp_path, made_with, config, host)
    yield site
    site.moderate.close(site.app)


def test_the_blueprint_is_served_only_at_its_host(placed: Placed) -> None:
    at = f"http://{placed.host}"
    assert placed.client.get("/discuss/counts?article=thaw", base_url=at).json["thaw"]["comments"] == 0
    elsewhere = f"http://other.{placed.site}"
    assert placed.client.get("/discuss/counts?article=thaw", base_url=elsewhere).status_code == 404


def test_every_address_on_an_article_page_uses_the_configured_host(placed: Placed) -> None:
    answer = placed.page()
    assert answer.status_code == 200
    written = answer.text + str(answer.headers.getlist("Link")) + answer.headers["X-Pingback"]
    addresses = re.findall(r'(?:https?:)?(?://[^"\'<>\s/]*)?/discuss/[^"\'<>\s]*', written)
    names = {"comments/thaw", "trackback/thaw", "pingback", "webmention", "feed/thaw", "static/moderate.css"}
    assert names <= {address.partition("/discuss/")[2] for address in addresses}
    for address in addresses:
        start = address.partition("/discuss/")[0]
        # A path is only right where the page itself is at that host.
        assert start.partition("://")[2] == placed.host or (start == "" and placed.site == placed.host), address
    style = placed.client.get("/discuss/static/moderate.css", base_url=f"http://{placed.host}")
    assert style.status_code == 200
    style.close()


def test_discovered_addresses_are_absolute_with_the_scheme_of_the_site(placed: Placed) -> None:
    answer = placed.page()
    assert answer.headers["X-Pingback"] == f"{placed.scheme}://{placed.host}/discuss/pingback"
    feed = placed.client.get("/discuss/feed/thaw", base_url=f"{placed.scheme}://{placed.host}").text
    assert f'href="{placed.scheme}://{placed.host}/discuss/feed/thaw"' in feed
    assert f'href="{placed.scheme}://{placed.site}/thaw"' in feed


def test_a_comment_is_sent_and_approved_at_the_configured_host(placed: Placed) -> None:
    at = f"{placed.scheme}://{placed.host}"
    client = placed.client
    form = {**COMMENT, "form_token": ""}
    origin = {"Origin": f"{placed.scheme}://{placed.site}"}
    answer = client.post("/discuss/comments/thaw", data=form, base_url=at, headers=origin)
    assert answer.status_code == 303
    assert answer.headers["Location"].startswith(f"{placed.scheme}://{placed.site}/thaw")
    queue = client.get("/discuss/moderation/", base_url=at).text
    token = re.search(r'name="csrf_token" value="([^"]+)"', queue)
    assert token is not None
    sent = {"csrf_token": token[1], "decision": "approve", "version": "1"}
    assert client.post("/discuss/moderation/queue/1", data=sent, base_url=at).status_code == 303
    assert "The river froze twice." in placed.page().text


@pytest.mark.parametrize(("origin", "status"), [("https://news.example", 202), ("https://blog.news.example", 403)])
def test_members_comment_from_article_pages_at_the_host_of_the_site_only(
    tmp_path: Path, origin: str, status: int
) -> None:
    site = Placed(tmp_path, *PLACES["subdomain"])
    site.moderate.author_loader(lambda: Author("Mika", id=7))
    sent = {"Origin": origin, "Sec-Fetch-Site": "same-site"}
    at = f"https://{site.host}"
    assert site.client.post("/discuss/comments/thaw", json=COMMENT, base_url=at, headers=sent).status_code == status
    site.moderate.close(site.app)


def test_the_host_links_to_the_queue_from_its_own_pages(placed: Placed) -> None:
    with placed.app.test_request_context("/thaw", base_url=f"http://{placed.site}"):
        queue = url_for("moderate.queue", _external=True)
    assert queue == f"http://{placed.host}/discuss/moderation/"


def test_mails_link_to_the_host_of_the_blueprint(tmp_path: Path) -> None:
    made_with, config, host = PLACES["subdomain"]
    mails = {"MODERATE_MAIL_SERVER": f"file:{tmp_path / 'mails'}", "MODERATE_MAIL_FROM": "news@news.example"}
    to = {"MODERATE_MAIL_TO": ["mori@news.example"]}
    site = Placed(tmp_path, made_with, {**config, **mails, **to}, host)
    with site.app.app_context():
        site.moderate.submit("thaw", "The river froze.", author="Mika")
    site.app.test_cli_runner().invoke(args=["moderate", "worker", "--once"])
    [mail] = (tmp_path / "mails").glob("**/*.eml")
    text = mail.read_text(encoding="utf-8").replace("=\n", "")
    assert f"https://{host}/discuss/moderation/" in text
    site.moderate.close(site.app)


@pytest.mark.parametrize(
    ("made_with", "config", "key", "words"),
    [
        ({"host_matching": True, "static_host": "news.example"}, {}, "MODERATE_HOST", "matches hosts"),
        (
            {"host_matching": True, "static_host": "news.example"},
            {"MODERATE_SUBDOMAIN": "talk"},
            "MODERATE_SUBDOMAIN",
            "MODERATE_HOST instead",
        ),
        ({}, {"MODERATE_HOST": "news.example"}, "MODERATE_HOST", "host_matching=True"),
        ({}, {"MODERATE_SUBDOMAIN": "talk", "SERVER_NAME": "news.example"}, "MODERATE_SUBDOMAIN", "subdomain_matching"),
        ({"subdomain_matching": True}, {"MODERATE_SUBDOMAIN": "talk"}, "MODERATE_SUBDOMAIN", "SERVER_NAME"),
        *(
            (
                {"host_matching": True, "static_host": "x.example"},
                {"MODERATE_HOST": value},
                "MODERATE_HOST",
                "a host name",
            )
            for value in ("https://news.example", "news.example/path", "<name>.example", "a b", 5, "news.example:port")
        ),
        *(
            ({"subdomain_matching": True}, {"MODERATE_SUBDOMAIN": value}, "MODERATE_SUBDOMAIN", "SERVER_NAME")
            for value in ("talk.", ".talk", "<name>", "a b", 5)
        ),
    ],
)
def test_an_unreachable_host_or_subdomain_stops_the_start_with_a_message(
    tmp_path: Path, made_with: dict[str, Any], config: dict[str, Any], key: str, words: str
) -> None:
    app = Flask("site", instance_path=str(tmp_path), **made_with)
    app.config.update(config)
    with pytest.raises(ConfigError, match=rf"^{key} = .*{words}"):
        Moderate(app)
    assert "moderate" not in app.blueprints


def test_subdomain_matching_works_without_a_subdomain_for_moderate(tmp_path: Path) -> None:
    app = Flask("site", instance_path=str(tmp_path), subdomain_matching=True)
    app.config.update(SERVER_NAME="news.example", MODERATE_LIMITS={}, MODERATE_WORKER="external")
    moderate = Moderate()
    moderate.article_loader(lambda key: Article(key, "The thaw", f"http://news.example/{key}"))
    moderate.init_app(app)
    assert app.test_client().get("/discuss/feed", base_url="http://news.example").status_code == 200
    moderate.close(app)
