"""Results of the hooks of a host are checked when they are returned, and each value when it is created."""

from __future__ import annotations

import enum
import gc
import warnings
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
from flask import abort
from flask_login import AnonymousUserMixin, UserMixin
from markupsafe import Markup
from werkzeug.local import LocalProxy

from moderate import Article, Author, HookError, Moderator
from tests.sites import Host

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class User(UserMixin):
    """A user of the host, as an ORM returns one."""

    name = "Mori"
    email = "mori@news.example"
    id = 1


class Disguised:
    """An object that `isinstance` takes for a Moderator, as the proxies of several libraries are."""

    name = "Mori"
    email = None
    __class__ = Moderator  # type: ignore[assignment]


async def a_coroutine() -> Moderator:
    return Moderator("Mori")


def a_generator() -> Any:
    yield Moderator("Mori")


#: Answers that are true for `if`, and mistakes all the same; some are false for it.
MISTAKES: dict[str, Callable[[], Any]] = {
    "coroutine": a_coroutine,
    "generator": a_generator,
    "werkzeug.local.LocalProxy": lambda: LocalProxy(User),
    "LocalProxy": lambda: LocalProxy(lambda: Moderator("Mori")),
    "Disguised": Disguised,
    "User": User,
    "AnonymousUserMixin": AnonymousUserMixin,
    "str": lambda: "mori",
    "bool": lambda: True,
    "int": lambda: 0,
    "tuple": lambda: ("Mori", "mori@news.example"),
    "dict": lambda: {"name": "Mori"},
    "list": list,
    "type": lambda: Moderator,
    "Flask": lambda: Author("Mori") and __import__("flask").Flask("host"),
}

MODERATORS_PAGES = (
    "/discuss/moderation/",
    "/discuss/moderation/?status=approved",
    "/discuss/moderation/items",
    "/discuss/moderation/items/1",
    "/discuss/moderation/items.csv",
    "/discuss/moderation/history",
    "/discuss/moderation/rules",
    "/discuss/moderation/articles/thaw",
    "/discuss/moderation/queue/news",
    "/discuss/moderation/queue/like?like=1",
    "/discuss/health?deep=1",
    "/discuss/metrics",
)

MODERATORS_ACTS = (
    ("POST", "/discuss/moderation/items/1/decisions", {"decision": "approve", "version": 1}),
    ("POST", "/discuss/moderation/decisions", {"decision": "approve", "items": [{"id": 1, "version": 1}]}),
    ("POST", "/discuss/moderation/undo", {"batch": "x"}),
    ("POST", "/discuss/moderation/rules", {"kind": "word", "value": "x", "effect": "spam"}),
    ("PUT", "/discuss/moderation/articles/thaw", {"comments_open": False}),
    ("DELETE", "/discuss/moderation/items/1", None),
    ("POST", "/discuss/moderation/queue/1", None),
    ("POST", "/discuss/moderation/queue/undo", None),
)


@pytest.mark.parametrize("name", MISTAKES)
def test_an_invalid_result_of_the_moderator_loader_gives_no_access(
    host: Host, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    host.comment(email="mika@reader.example")
    host.moderate.moderator_loader(MISTAKES[name])
    for address in MODERATORS_PAGES:
        answer = host.client.get(address)
        assert answer.status_code == 500, address
        assert "mika@reader.example" not in answer.text
    for method, address, body in MODERATORS_ACTS:
        assert host.client.open(address, method=method, json=body).status_code == 500, address
    assert host.counts() == {"comments": 0, "trackbacks": 0}
    said = [record.getMessage() for record in caplog.records if record.name == "moderate"]
    assert f"moderator_loader must return Moderator or None, not {said[0].rpartition('not ')[2]}" == said[0]
    assert said[0].removesuffix(".").endswith(name)
    assert "news.example" not in caplog.text


@pytest.mark.parametrize("answer", [None, False])
def test_none_and_false_mean_no_moderator(host: Host, answer: object) -> None:
    host.moderate.moderator_loader(lambda: answer)
    assert host.client.get("/discuss/moderation/items").status_code == 401
    assert host.client.get("/discuss/moderation/items", headers=host.token()).status_code == 200


def test_an_invalid_result_is_raised_when_the_host_is_testing(host: Host) -> None:
    host.app.testing = True
    host.moderate.moderator_loader(User)
    with pytest.raises(HookError, match=r"^moderator_loader must return Moderator or None, not .*User\.$"):
        host.client.get("/discuss/moderation/")


def test_an_unawaited_coroutine_is_closed_without_a_warning(host: Host) -> None:
    host.moderate.moderator_loader(a_coroutine)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        assert host.client.get("/discuss/moderation/items").status_code == 500
        gc.collect()
    assert not [warning for warning in said if issubclass(warning.category, RuntimeWarning)]


@pytest.mark.parametrize("name", MISTAKES)
def test_an_invalid_result_of_the_author_loader_stores_no_comment(host: Host, name: str) -> None:
    host.moderate.author_loader(MISTAKES[name])
    assert host.comment().status_code == 500
    assert host.client.post("/discuss/comments/thaw", data={"text": "The river froze."}).status_code == 500
    assert host.client.get("/thaw").status_code == 500
    assert host.total() == 0


@pytest.mark.parametrize("name", MISTAKES)
def test_an_invalid_result_of_the_article_loader_serves_and_stores_nothing(host: Host, name: str) -> None:
    host.comment()
    host.decide(1, "approve")
    host.moderate.article_loader(lambda _: MISTAKES[name]())
    ping = {"url": "http://blog.example/one", "title": "One"}
    for answer in (
        host.comment(),
        host.client.post("/discuss/comments/thaw", data={"author": "Mika", "text": "The river froze."}),
        host.client.post("/discuss/trackback/thaw", data=ping),
        host.client.get("/discuss/trackback/thaw?__mode=rss"),
        host.client.get("/discuss/comments/thaw"),
        host.client.get("/discuss/feed/thaw"),
        host.client.get("/discuss/feed"),
        host.client.get("/discuss/items/1"),
        host.client.get("/discuss/counts?article=thaw"),
    ):
        assert answer.status_code == 500
        assert "The river froze" not in answer.text
    assert host.total() == 1


@pytest.mark.parametrize("protocol", ["webmention", "pingback"])
def test_an_invalid_result_of_the_article_finder_stores_no_ping(host: Host, protocol: str) -> None:
    host.moderate.article_finder(lambda url: {"key": "thaw", "url": url})
    source, target = "http://blog.example/one", "http://localhost/thaw"
    if protocol == "webmention":
        answer = host.client.post("/discuss/webmention", data={"source": source, "target": target})
    else:
        call = (
            "<methodCall><methodName>pingback.ping</methodName><params>"
            f"<param><value>{source}</value></param><param><value>{target}</value></param></params></methodCall>"
        )
        answer = host.client.post("/discuss/pingback", data=call, content_type="text/xml")
    assert answer.status_code == 500
    assert host.total() == 0


def test_the_moderator_is_loaded_anew_for_each_request_within_one_app_context(host: Host) -> None:
    """Hosts' tests often push an app context around several requests, which then share `flask.g`."""
    host.moderator = Moderator("mori")
    with host.app.app_context():
        assert host.client.get("/discuss/moderation/items").status_code == 200
        host.moderator = None
        assert host.client.get("/discuss/moderation/items").status_code == 401


def test_the_language_is_chosen_anew_for_each_request_within_one_app_context(host: Host) -> None:
    host.moderator = Moderator("mori")
    with host.app.app_context():
        assert 'lang="ja"' in host.client.get("/discuss/moderation/", headers={"Accept-Language": "ja"}).text
        assert 'lang="en"' in host.client.get("/discuss/moderation/").text
        assert "Your comment" in host.client.get("/thaw").text


# --- hooks that abort -----------------------------------------------------------------------------


@pytest.mark.parametrize("status", [404, 410])
def test_an_article_loader_may_abort_for_a_missing_article(host: Host, status: int) -> None:
    """Loaders often end in ``get_or_404``."""
    number = host.comment().json["id"]
    host.decide(number, "approve")
    host.moderate.article_loader(lambda key: host.articles.get(key) or abort(status))
    del host.articles["thaw"]
    refused = host.comment()
    assert (refused.status_code, refused.json["code"]) == (404, "unknown-article")
    assert host.client.get(f"/discuss/items/{number}").status_code == 404
    assert host.counts() == {"comments": 0, "trackbacks": 0}
    assert "<entry>" not in host.client.get("/discuss/feed").text


@pytest.mark.parametrize("code", [404, 410])
def test_a_loader_that_aborts_keeps_the_typed_text_and_answers_pings_in_their_protocol(host: Host, code: int) -> None:
    host.moderate.article_loader(lambda key: host.articles.get(key) or abort(code))
    form = host.client.post("/discuss/comments/frost", data={"author": "Mika", "text": "Typed with care."})
    assert (form.status_code, "Typed with care." in form.text) == (404, True)
    ping = host.client.post("/discuss/trackback/frost", data={"url": "http://blog.example/one"})
    assert "<error>1</error>" in ping.text
    assert host.client.get("/discuss/comments/frost").json["code"] == "unknown-article"
    with host.app.test_request_context("/"):
        assert host.app.jinja_env.globals["moderate_thread"]("frost") == ""


@pytest.mark.parametrize("code", [404, 410])
def test_an_abort_within_the_article_finder_is_answered_by_the_protocol(host: Host, code: int) -> None:
    host.moderate.article_finder(lambda url: abort(code))
    target = "http://localhost/frost"
    mention = {"source": "http://blog.example/one", "target": target}
    answer = host.client.post("/discuss/webmention", data=mention)
    assert (answer.status_code, answer.json["code"]) == (400, "unknown-article")
    call = (
        "<methodCall><methodName>pingback.ping</methodName><params>"
        f"<param><value>http://blog.example/one</value></param><param><value>{target}</value></param>"
        "</params></methodCall>"
    )
    assert "<int>33</int>" in host.client.post("/discuss/pingback", data=call, content_type="text/xml").text


@pytest.mark.parametrize("sent", [{"json": {"text": "Hello."}}, {"data": {"text": "Hello."}}])
def test_an_abort_within_the_author_loader_is_passed_on(host: Host, sent: dict[str, Any]) -> None:
    """A site that has shut a reader out, say."""
    host.moderate.author_loader(lambda: abort(403, "You are shut out."))
    answer = host.client.post("/discuss/comments/thaw", **sent)
    assert (answer.status_code, answer.mimetype) == (403, "text/html")
    assert "You are shut out." in answer.text
    assert host.total() == 0


def test_other_aborts_of_a_loader_are_passed_on(host: Host) -> None:
    host.moderate.article_loader(lambda key: abort(403))
    assert host.comment().status_code == 403


# --- subclasses -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Page(Article):
    """An article of a host that carries more."""

    teaser: str = ""


class Member(Author):
    """An author of a host that is made in another way."""

    def __init__(self, row: dict[str, Any]) -> None:
        super().__init__(row["name"], id=row["id"])


class Editor(Moderator):
    """A moderator of a host that is false for `if`."""

    def __bool__(self) -> bool:
        return False


def test_hooks_may_return_instances_of_subclasses(tmp_path: Path) -> None:
    host = Host(tmp_path, MODERATE_LIMITS={}, MODERATE_SITE_URL="https://news.example")
    host.moderate.article_loader(lambda key: Page(key, "The thaw", f"http://localhost/{key}", teaser="Cold."))
    host.moderate.author_loader(lambda: Member({"name": "Mika", "id": 7}))
    host.moderate.moderator_loader(lambda: Editor("mori"))
    assert host.comment().status_code == 202
    [item] = host.client.get("/discuss/moderation/items").json["items"]
    assert item["author"]["name"] == "Mika"
    assert "https://news.example/thaw" in host.client.get("/discuss/trackback/thaw?__mode=rss").text


# --- fields ---------------------------------------------------------------------------------------

ARTICLE = {"key": "thaw", "title": "The thaw", "url": "https://news.example/thaw"}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("key", value) for value in (True, None, 1.5, b"thaw", "", "x" * 201, ["thaw"])),
        *(("key", value) for value in ("a\nb", "a\x00", "a\x7f", "a\x9f", "\ud800")),
        *(("title", value) for value in (None, 5, b"The thaw", "a\x00b", "\udfff")),
        *(("url", value) for value in (None, 5, b"https://news.example/", ("https://news.example/",))),
        *(("aliases", value) for value in ("https://news.example/", b"x", None, [1], {"a": "b"}, 5)),
        *(("comments_open", value) for value in (None, 1, 0, "yes")),
        *(("pings_open", value) for value in (None, 1, "no")),
        *(("published_at", value) for value in ("2026-01-13", 1768300000, 1.5, ())),
        ("published_at", datetime.min.replace(tzinfo=timezone(timedelta(hours=9)))),
    ],
)
def test_an_invalid_field_of_an_article_is_a_type_error_that_names_it(field: str, value: Any) -> None:
    with pytest.raises(TypeError, match=rf"^Article\.{field} "):
        Article(**{**ARTICLE, field: value})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("name", value) for value in (None, 5, b"Mika", "\x00")),
        *(("email", value) for value in (5, True, b"mika@reader.example", ("mika@reader.example",))),
        *(("url", value) for value in (5, b"https://reader.example/")),
        *(("id", value) for value in (True, 1.5, b"7", "", "x" * 256, "a\x00", object())),
    ],
)
def test_an_invalid_field_of_an_author_is_a_type_error_that_names_it(field: str, value: Any) -> None:
    with pytest.raises(TypeError, match=rf"^Author\.{field} "):
        Author(**{"name": "Mika", field: value})


@pytest.mark.parametrize(
    ("field", "value"),
    [*(("name", value) for value in (None, 5, True, "", "  ", "x" * 256)), ("email", 5), ("email", b"m@news.example")],
)
def test_an_invalid_field_of_a_moderator_is_a_type_error_that_names_it(field: str, value: Any) -> None:
    with pytest.raises(TypeError, match=rf"^Moderator\.{field} "):
        Moderator(**{"name": "Mori", field: value})


def test_an_error_of_a_field_does_not_show_its_value() -> None:
    with pytest.raises(TypeError) as raised:
        Author("Mika", email=["mika@reader.example"])  # type: ignore[arg-type]
    assert "reader.example" not in str(raised.value)


class Section(str, enum.Enum):  # noqa: UP042
    """Text whose `str` is not its value."""

    NEWS = "news"


def test_fields_are_stored_as_plain_text() -> None:
    article = Article(
        Section.NEWS, Markup("The <b>thaw</b>"), "https://news.example/thaw", aliases=["https://x.example/"]
    )
    assert (article.key, type(article.key), type(article.title)) == ("news", str, str)
    assert article.aliases == ("https://x.example/",)
    assert (Article(7, "The thaw", "https://news.example/7").key, Author("Mika", id=7).id) == ("7", "7")


MIDNIGHT = datetime(2026, 1, 13, tzinfo=UTC)


@pytest.mark.parametrize(
    "published_at",
    [
        date(2026, 1, 13),
        datetime(2026, 1, 13),  # noqa: DTZ001
        MIDNIGHT,
        datetime(2026, 1, 13, 9, tzinfo=timezone(timedelta(hours=9))),
    ],
)
def test_a_publication_date_of_any_type_closes_comments_on_time(tmp_path: Path, published_at: date) -> None:
    host = Host(tmp_path, MODERATE_LIMITS={}, MODERATE_CLOSE_COMMENTS_AFTER=7)
    assert host.add_article("thaw", published_at=published_at).published_at == MIDNIGHT
    host.clock.advance(seconds=(MIDNIGHT - host.clock.now()).total_seconds() + timedelta(days=7).total_seconds())
    assert host.comment().status_code == 202
    host.clock.advance(seconds=1)
    assert host.comment("Too late.").status_code == 403
    assert "closed" in host.client.get("/thaw").text


# --- keys that are numbers ------------------------------------------------------------------------


def asked_for(host: Host) -> list[object]:
    """Have the host's articles be numbered; returns the keys that its loader is asked for from now on."""
    asked: list[object] = []

    @host.moderate.article_loader
    def load(key: str) -> Article | None:
        asked.append(key)
        return Article(int(key), f"Number {key}", f"http://localhost/{key}") if key.isdigit() else None

    return asked


def test_a_number_is_accepted_as_article_key_everywhere(host: Host) -> None:
    asked = asked_for(host)
    with host.app.test_request_context("/"):
        assert host.moderate.submit(1, "The river froze.", author="Mika").article.key == "1"
        host.moderate.decide(1, "approve", version=1, by="mori")
        assert host.moderate.counts([1, "1", 2]) == {
            1: host.moderate.counts(["1"])["1"],
            "1": host.moderate.counts(["1"])["1"],
            2: host.moderate.counts([2])[2],
        }
        assert host.moderate.counts([1])[1].comments == 1
        helpers = host.app.jinja_env.globals
        assert helpers["moderate_counts"](1).comments == 1
        assert "The river froze." in helpers["moderate_thread"](1)
        assert "/discuss/trackback/1" in helpers["moderate_discovery"](1)
        assert "/discuss/trackback/1" in helpers["moderate_feed_elements"](1)
        assert dict(host.moderate.discovery_headers(1))["X-Pingback"].endswith("/discuss/pingback")
    assert set(asked) == {"1"}
    assert host.counts("1") == {"comments": 1, "trackbacks": 0}


def test_a_decision_from_code_that_agrees_with_the_checks_is_written_down_once(tmp_path: Path) -> None:
    host = Host(tmp_path, MODERATE_LIMITS={}, MODERATE_PREMODERATION="none")
    with host.app.test_request_context("/"):
        host.moderate.submit("thaw", "The river froze.", author="Mika")
        done = [host.moderate.decide(1, "approve", version=1, by=name) for name in ("mori", "sato")]
        assert [(item.version, item.decided_by) for item in done] == [(1, "mori"), (1, "mori")]
        assert [line.by for line in host.state.desk.store.history.of_item(1)] == [None, "mori"]


@pytest.mark.parametrize("key", [None, True, 1.5, b"1"])
def test_an_invalid_key_is_a_type_error_in_templates_and_code(host: Host, key: Any) -> None:
    helpers = host.app.jinja_env.globals
    with host.app.test_request_context("/"):
        for call in (
            lambda: host.moderate.counts([key]),
            lambda: host.moderate.submit(key, "Text", author="Mika"),
            lambda: host.moderate.discovery_headers(key),
            lambda: helpers["moderate_counts"](key),
            lambda: helpers["moderate_thread"](key),
            lambda: helpers["moderate_discovery"](key),
            lambda: helpers["moderate_feed_elements"](key),
        ):
            with pytest.raises(TypeError, match="key must be text or a whole number"):
                call()


def test_counts_refuses_a_string_instead_of_a_list(host: Host) -> None:
    with host.app.app_context(), pytest.raises(TypeError, match="several keys"):
        host.moderate.counts("thaw")


@pytest.mark.parametrize("name", ["", "  ", "\u200b"])
def test_an_author_without_a_name_at_the_host_can_comment(host: Host, name: str) -> None:
    """The form has no field in which such a reader could mend it."""
    host.author = Author(name, id=7)
    answer = host.client.post("/discuss/comments/thaw", data={"text": "The river froze twice."})
    assert answer.status_code == 303
    host.decide(1, "approve")
    assert "Anonymous" in host.client.get("/thaw").text


@pytest.mark.parametrize("key", ["", "x" * 201, "a\x00b", "a\x85b", "\ud800"])
def test_the_host_is_not_asked_for_impossible_keys(host: Host, key: str) -> None:
    asked = asked_for(host)
    with host.app.test_request_context("/"):
        assert host.moderate.counts([key])[key].comments == 0
        assert host.app.jinja_env.globals["moderate_thread"](key) == ""
        assert host.moderate.discovery_headers(key) == []
    assert asked == []


def test_counts_of_numeric_keys_are_found_on_postgresql(tmp_path: Path, pg_url: str) -> None:
    host = Host(tmp_path, MODERATE_LIMITS={}, MODERATE_DATABASE_URL=pg_url)
    asked_for(host)
    with host.app.app_context():
        host.state.tables.upgrade()
        host.moderate.submit(1, "The river froze.", author="Mika")
        assert host.moderate.counts([1])[1].pending == 1
        assert host.moderate.counts([1, 2, "3"])[1].pending == 1


@pytest.mark.parametrize("missing", ["tables", "database"])
def test_counts_are_zero_with_a_log_line_while_the_database_is_down(
    tmp_path: Path, missing: str, caplog: pytest.LogCaptureFixture
) -> None:
    place = tmp_path / "later.sqlite3" if missing == "tables" else tmp_path / "no such folder" / "x.sqlite3"
    host = Host(tmp_path, MODERATE_LIMITS={}, MODERATE_DATABASE_URL=f"sqlite:///{place}")
    with host.app.app_context():
        assert {key: counts.comments for key, counts in host.moderate.counts(["thaw", 2]).items()} == {"thaw": 0, 2: 0}
    assert "Pages go out without comments, numbers" in caplog.text


# --- an article of another key than was asked for -------------------------------------------------


def test_an_article_is_stored_under_the_key_given_by_the_loader(host: Host) -> None:
    host.moderate.article_loader(lambda key: host.articles.get(key.lower()))
    assert host.comment(article="THAW").status_code == 202
    host.decide(1, "approve")
    assert host.client.get("/discuss/comments/Thaw").json["items"][0]["article"] == "thaw"
    assert host.counts("thaw") == {"comments": 1, "trackbacks": 0}


# --- addresses ------------------------------------------------------------------------------------


@pytest.mark.parametrize("url", ["/thaw", "thaw", "https://news.example/thaw", "http://localhost/thaw"])
def test_an_address_uses_site_url_within_requests(tmp_path: Path, url: str) -> None:
    host = Host(tmp_path, MODERATE_LIMITS={}, MODERATE_SITE_URL="https://news.example")
    host.add_article("thaw", url=url)
    answer = host.client.get("/discuss/trackback/thaw")
    assert answer.headers["Location"] == "https://news.example/thaw"


@pytest.mark.parametrize("url", ["/thaw", "https://news.example/thaw"])
def test_an_address_uses_site_url_outside_of_requests(tmp_path: Path, url: str) -> None:
    host = Host(tmp_path, MODERATE_LIMITS={}, MODERATE_SITE_URL="https://news.example")
    host.add_article("thaw", url=url, aliases=("/old", "https://other.example/thaw"))
    with host.app.app_context():
        article = host.moderate.submit("thaw", "The river froze.", author="Mika").article
    assert article.url == "https://news.example/thaw"
    assert article.aliases == ("https://news.example/old", "https://other.example/thaw")


def test_the_loader_is_called_once_in_a_request(host: Host) -> None:
    host.add_article("1")
    asked = asked_for(host)
    host.client.get("/1")
    assert asked == ["1"]
    asked.clear()
    host.comment(article="1")
    assert asked == ["1"]
