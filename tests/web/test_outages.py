"""Outages of the database or of Redis: a clear response, nothing lost, and automatic recovery."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from moderate import Moderator
from tests.redis_servers import PATIENT
from tests.servers import wait_until
from tests.sites import Host

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers import PostgreSQL

FORM = {"author": "Mika", "email": "mika@mail.example", "text": "Kept <b>words</b>"}

REQUESTS: list[tuple[str, str, dict[str, Any]]] = [
    ("POST", "/discuss/comments/thaw", {"json": {"author": "Mika", "text": "Hello"}}),
    ("GET", "/discuss/comments/thaw", {}),
    ("GET", "/discuss/items/1", {}),
    ("PATCH", "/discuss/items/1", {"json": {"text": "x", "edit_token": "x"}}),
    ("DELETE", "/discuss/items/1?edit_token=x", {}),
    ("GET", "/discuss/counts?article=thaw", {}),
    ("POST", "/discuss/webmention", {"data": {"source": "https://blog.example/1", "target": "http://localhost/thaw"}}),
    ("GET", "/discuss/moderation/items", {"headers": {"Authorization": "Bearer mod_0_x"}}),
]


@pytest.fixture
def broken(tmp_path: Path) -> Host:
    """A host whose database file is a folder, which cannot be opened."""
    (tmp_path / "moderate.sqlite3").mkdir()
    return Host(tmp_path / "app", MODERATE_DATABASE_URL=f"sqlite:///{tmp_path / 'moderate.sqlite3'}")


@pytest.mark.parametrize(
    ("method", "address", "sent"), REQUESTS, ids=lambda part: part if isinstance(part, str) else ""
)
def test_every_response_has_retry_after_during_an_outage_of_the_database(
    broken: Host, caplog: pytest.LogCaptureFixture, method: str, address: str, sent: dict[str, Any]
) -> None:
    answer = broken.client.open(address, method=method, **sent)
    assert (answer.status_code, answer.mimetype) == (503, "application/problem+json")
    assert answer.json["code"] == "unavailable"
    assert int(answer.headers["Retry-After"]) >= 1
    # Why is for the log, not for strangers.
    assert "sqlite" not in answer.text.lower()
    assert "database" in caplog.text
    assert {record.levelno for record in caplog.records if "database" in record.getMessage()} == {logging.ERROR}


def test_the_log_reports_an_outage_without_request_data(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    host = Host(tmp_path, MODERATE_DATABASE_URL=f"sqlite:///{tmp_path / 'empty.sqlite3'}")
    for sent in ({"json": FORM}, {"data": FORM}):
        assert host.client.post("/discuss/comments/thaw", **sent).status_code == 503
    assert "flask moderate db upgrade" in caplog.text
    assert not [word for word in ("mika", "Kept", "127.0.0.1") if word in caplog.text]


@pytest.mark.parametrize("secret_key", ["for tests only", None])
def test_a_form_keeps_the_typed_text_during_an_outage_of_the_database(broken: Host, secret_key: str | None) -> None:
    broken.app.config["SECRET_KEY"] = secret_key
    answer = broken.client.post("/discuss/comments/thaw", data=FORM)
    assert (answer.status_code, answer.mimetype) == (503, "text/html")
    assert "Kept &lt;b&gt;words&lt;/b&gt;" in answer.text
    assert 'value="mika@mail.example"' in answer.text
    assert "try again soon" in answer.text
    assert answer.headers["Retry-After"]


def test_a_form_that_is_sent_again_after_an_outage_is_the_same_comment(broken: Host) -> None:
    """The database may have stored it before it failed."""
    sent = {**FORM, "form_token": "the-first-one", "parent": "7"}
    answer = broken.client.post("/discuss/comments/thaw", data=sent)
    assert (answer.status_code, answer.mimetype) == (503, "text/html")
    assert 'name="form_token" value="the-first-one"' in answer.text
    assert 'name="parent" value="7"' in answer.text


def test_an_article_page_is_served_without_comments_during_an_outage(
    broken: Host, caplog: pytest.LogCaptureFixture
) -> None:
    page = broken.client.get("/thaw")
    assert page.status_code == 200
    assert "About thaw" in page.text
    assert "The comments cannot be shown right now." in page.text
    assert "Link" not in page.headers
    broken.client.get("/thaw")
    assert caplog.text.count("Pages go out without comments") == 1


def test_the_end_of_an_outage_is_logged_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    host = Host(tmp_path, MODERATE_LIMITS={}, MODERATE_DATABASE_URL=f"sqlite:///{tmp_path / 'later.sqlite3'}")
    host.client.get("/thaw")
    with host.app.app_context():
        host.moderate.create_tables()
    # One part of a page may work while another does not: the outage is over only after some seconds.
    host.client.get("/thaw")
    assert "Pages go out complete again" not in caplog.text
    host.clock.advance(seconds=6)
    for _ in range(2):
        assert "The comments cannot be shown" not in host.client.get("/thaw").text
    assert caplog.text.count("Pages go out complete again") == 1


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Another process writes to an SQLite file and does not end."""
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


PING = {"source": "https://blog.example/1", "target": "http://localhost/new"}


@pytest.mark.parametrize("secret_key", ["for tests only", None])
def test_pages_are_complete_while_another_process_writes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, secret_key: str | None
) -> None:
    """If a page waited for the lock, each part of it would wait ten seconds, and then be left out."""
    host = Host(tmp_path, MODERATE_LIMITS={})
    host.app.config["SECRET_KEY"] = secret_key
    host.moderator = Moderator("mori")
    keys = ("new", "newer")
    for key in keys:
        host.add_article(key)
    token = host.token()
    with locked(tmp_path / "moderate.sqlite3"):
        pages = [host.client.get(f"/{key}") for key in keys]
        # Pings find what was shown before it could be stored.
        assert host.state.desk.articles.find(PING["target"]).key == "new"
        assert host.client.get("/discuss/moderation/items?q=winter", headers=token).status_code == 200
        assert host.client.get("/discuss/moderation/").status_code == 200
        # A lock that stays is logged once.
        wait_until(lambda: "Addresses for pings cannot be stored now" in caplog.text, within=30)
    for page in pages:
        assert "webmention" in page.headers["Link"]
        assert 'name="form_token" value="' in page.text
        assert 'name="form_token" value=""' not in page.text
    assert caplog.text.count("Addresses for pings cannot be stored now") == 1
    assert "Pages go out without" not in caplog.text
    wait_until(lambda: stored_address(tmp_path) == {"http://localhost/new", "http://localhost/newer"}, within=30)
    assert host.client.post("/discuss/webmention", data=PING).status_code == 201


def stored_address(folder: Path) -> set[str]:
    with closing(sqlite3.connect(folder / "moderate.sqlite3")) as conn:
        return {url for (url,) in conn.execute("SELECT url FROM moderate_article_urls")}


def test_a_known_article_is_shown_without_a_write(tmp_path: Path) -> None:
    assert Host(tmp_path, MODERATE_LIMITS={}).client.get("/thaw").status_code == 200
    later = Host(tmp_path, MODERATE_LIMITS={})
    asked = later.statements()
    assert later.client.get("/thaw").status_code == 200
    assert asked
    assert not [statement for statement in asked if statement.startswith(("BEGIN", "INSERT", "UPDATE"))]


def test_a_trackback_during_an_outage_gets_the_error_form_of_its_protocol(broken: Host) -> None:
    answer = broken.client.post("/discuss/trackback/thaw", data={"url": "https://blog.example/1"})
    assert answer.status_code == 503
    assert "<error>1</error>" in answer.text


def test_the_queue_page_reports_an_outage_to_a_signed_in_moderator(broken: Host) -> None:
    broken.moderator = Moderator("mori")
    answer = broken.client.get("/discuss/moderation/")
    assert (answer.status_code, answer.mimetype) == (503, "text/html")
    assert int(answer.headers["Retry-After"]) >= 1


@pytest.mark.parametrize("path", ["", "queue/like", "mail/x", "unsubscribe/x", "sign-in/x"])
def test_pages_of_moderators_answer_an_outage_with_a_page_or_with_json(broken: Host, path: str) -> None:
    broken.moderator = Moderator("mori")
    page = broken.client.get(f"/discuss/moderation/{path}", headers={"Accept": "text/html,*/*;q=0.8"})
    assert (page.status_code, page.mimetype) == (503, "text/html")
    assert "That did not work" in page.text
    assert int(page.headers["Retry-After"]) >= 1
    problem = broken.client.get(f"/discuss/moderation/{path}", headers={"Accept": "application/json"})
    assert (problem.status_code, problem.mimetype) == (503, "application/problem+json")


def test_the_health_response_names_the_failing_part_without_details(broken: Host, tmp_path: Path) -> None:
    answer = broken.client.get("/discuss/health")
    assert answer.status_code == 503
    assert (answer.json["status"], answer.json["database"]) == ("degraded", "down")
    assert str(tmp_path) not in answer.text


def test_a_deep_health_check_without_a_database_is_refused_as_described(broken: Host) -> None:
    answer = broken.client.get("/discuss/health?deep=1", headers={"Authorization": "Bearer mod_1_x"})
    assert (answer.status_code, answer.mimetype) == (503, "application/problem+json")
    described = broken.client.get("/discuss/openapi.json").json["paths"]["/health"]["get"]["responses"]["503"]
    assert set(described["content"]) == {"application/json", answer.mimetype}
    assert answer.json["code"] in described["description"]


def test_health_is_ok_when_every_part_answers(host: Host) -> None:
    answer = host.client.get("/discuss/health")
    assert answer.status_code == 200
    assert answer.json == {
        "status": "ok", "database": "ok", "redis": "not used", "akismet": "not used", "tasks": "ok",
    }  # fmt: skip


def test_a_preview_needs_no_database(broken: Host) -> None:
    assert broken.client.post("/discuss/preview", json={"text": "Hello"}).status_code == 200


def test_a_preview_is_limited_in_redis_without_a_database(tmp_path: Path, redis_url: str) -> None:
    (tmp_path / "moderate.sqlite3").mkdir()
    host = Host(
        tmp_path / "app",
        MODERATE_DATABASE_URL=f"sqlite:///{tmp_path / 'moderate.sqlite3'}",
        MODERATE_REDIS_URL=redis_url + PATIENT,
        MODERATE_LIMITS={"previews": ["1/hour per client"]},
    )
    answers = [host.client.post("/discuss/preview", json={"text": "Hello"}).status_code for _ in range(2)]
    assert answers == [200, 429]
    host.close()


def test_requests_succeed_after_a_restart_of_postgresql(tmp_path: Path, postgresql: PostgreSQL, pg_url: str) -> None:
    host = Host(tmp_path, MODERATE_LIMITS={}, MODERATE_DATABASE_URL=pg_url)
    with host.app.app_context():
        host.state.tables.upgrade()
    assert host.comment("Before").status_code == 202
    postgresql.kill()
    try:
        assert host.comment("Meanwhile").status_code == 503
        assert host.client.post("/discuss/comments/thaw", data=FORM).status_code == 503
    finally:
        postgresql.start()
    answers = [host.comment("After").status_code for _ in range(3)]
    # One request may meet a connection that the server has closed.
    assert answers[-1] == 202
    with host.app.app_context():
        assert [drift for drift in host.state.desk.store.counters.recount(repair=False) if drift] == []
        host.state.desk.store.database.dispose()


@pytest.mark.parametrize(("policy", "status"), [("local", 202), ("open", 202), ("closed", 503)])
def test_the_setting_decides_about_limits_during_an_outage_of_redis(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, policy: str, status: int
) -> None:
    host = Host(tmp_path, MODERATE_REDIS_URL="redis://127.0.0.1:1/0", MODERATE_LIMITER_OUTAGE=policy)
    answer = host.comment()
    assert answer.status_code == status
    if status == 503:
        assert answer.json["code"] == "unavailable"
        assert int(answer.headers["Retry-After"]) >= 1
        assert host.total() == 0
    assert caplog.text.count("the connection was refused") == 1
    host.state.desk.limits.close()
