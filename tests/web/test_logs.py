"""The log: no personal data and no secrets in any line or traceback, one line per outage, fields for programs."""

from __future__ import annotations

import json
import logging
import logging.config
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy

from moderate import signals
from moderate.akismet.stand_in import REPLIES, Reply
from moderate.errors import ServiceDown
from moderate.model import Kind
from moderate.testing import AkismetStandIn
from tests.mail_servers import MailServer
from tests.servers import ROOT, free_port
from tests.sites import Host
from tests.tasks import run_due
from tests.web.mail_sites import MORI, NAO, a_site, dead, work

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.servers import PostgreSQL

#: Everything that a log must not hold, by what it is.
MARKS = {
    "text": "mark-text of a comment",
    "author": "Marked Name",
    "email": "mark@mark.example",
    "url": "https://mark-site.example/",
    "ip": "203.0.113.77",
    "user_agent": "MarkedBrowser/7",
    "referrer": "https://mark-referrer.example/",
    "akismet_key": "mark0akismet0key",
    "mail_password": "mark mail password",
    "moderator": "mark-moderator@mark.example",
    "redis_password": "mark-redis-password",
    "secret_key": "mark secret key",
}

TRIGGERS = {
    "sqlite": ["CREATE TRIGGER refuse BEFORE INSERT ON moderate_items BEGIN SELECT RAISE(ABORT, 'no room'); END"],
    "postgresql": [
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION USING MESSAGE = 'no room: ' || NEW.email, DETAIL = NEW.text, ERRCODE = '23514'; "
        "END $$",
        "CREATE TRIGGER refuse BEFORE INSERT ON moderate_items FOR EACH ROW EXECUTE FUNCTION refuse()",
    ],
    "mariadb": [
        "CREATE TRIGGER refuse BEFORE INSERT ON moderate_items FOR EACH ROW BEGIN DECLARE words VARCHAR(128) "
        "DEFAULT LEFT(CONCAT('no room: ', NEW.email), 128); SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = words; END"
    ],
}
#: Rows that the database itself refuses: the error of PostgreSQL has the whole row, that of MariaDB the key.
CONSTRAINTS = {
    "sqlite": ["CREATE UNIQUE INDEX refuse ON moderate_items (email)"],
    "postgresql": ["ALTER TABLE moderate_items ADD CONSTRAINT refuse CHECK (position('mark' in email) = 0)"],
    "mariadb": ["CREATE UNIQUE INDEX refuse ON moderate_items (email(100))"],
}


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """An engine as hosts make them: its errors have the parameters."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'host.sqlite3'}"
    else:
        url = request.getfixturevalue({"postgresql": "pg_url", "mariadb": "mariadb_url"}[request.param])
    made = sqlalchemy.create_engine(url)
    yield made
    made.dispose()


def work_if_possible(host: Host) -> None:
    with suppress(ServiceDown):
        work(host)


def marked_config() -> dict[str, Any]:
    return {
        "MODERATE_SITE_URL": "http://localhost",
        "MODERATE_AKISMET_KEY": MARKS["akismet_key"],
        "MODERATE_AKISMET_URL": f"http://127.0.0.1:{free_port()}",
        "MODERATE_REDIS_URL": f"redis://:{MARKS['redis_password']}@127.0.0.1:{free_port()}/0",
        "MODERATE_MAIL_SERVER": "127.0.0.1",
        "MODERATE_MAIL_PORT": free_port(),
        "MODERATE_MAIL_USERNAME": "news",
        "MODERATE_MAIL_PASSWORD": MARKS["mail_password"],
        "MODERATE_MAIL_FROM": "news@mail.example",
        "MODERATE_MAIL_TO": [MARKS["moderator"]],
    }


def marked_site(folder: Path, **options: Any) -> Host:
    host = Host(folder, **{**marked_config(), **options.pop("config", {})}, **options)
    host.app.config["SECRET_KEY"] = MARKS["secret_key"]
    with host.app.app_context():
        host.state.tables.upgrade()
    return host


def post(host: Host, **changes: str) -> Any:
    """Send a comment of which every part is marked."""
    sent = {name: MARKS[name] for name in ("text", "author", "email", "url")}
    headers = {"User-Agent": MARKS["user_agent"], "Referer": MARKS["referrer"]}
    environ = {"REMOTE_ADDR": MARKS["ip"]}
    return host.client.post("/discuss/comments/thaw", json=sent | changes, headers=headers, environ_base=environ)


def leaked(caplog: pytest.LogCaptureFixture, *more: str) -> list[str]:
    return [mark for mark in (*MARKS.values(), *more) if mark in caplog.text]


def run_sql(engine: Any, statements: list[str]) -> None:
    with engine.begin() as conn:
        for statement in statements:
            conn.exec_driver_sql(statement)


@pytest.mark.parametrize("refusal", [TRIGGERS, CONSTRAINTS], ids=["trigger", "constraint"])
def test_a_row_refused_by_the_database_is_logged_without_its_content(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, engine: Any, refusal: dict[str, list[str]]
) -> None:
    caplog.set_level(logging.DEBUG, "moderate")
    host = marked_site(tmp_path, extension={"engine": engine})
    run_sql(engine, refusal["mariadb" if engine.dialect.name == "mysql" else engine.dialect.name])
    answers = [post(host).status_code, post(host, text=f"{MARKS['text']}, once more").status_code]
    assert answers[-1] in {500, 503}
    assert re.search(r"no room|refuse|moderate_items\.email", caplog.text)
    assert leaked(caplog) == []


def test_no_request_data_is_logged_when_everything_fails(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "moderate")

    class Failing:
        name, version, remote, kinds = "failing", 1, False, frozenset(Kind)

        def look(self, *_: Any) -> None:
            raise RuntimeError("a bug")

    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("a bug")

    host = marked_site(tmp_path, extension={"checks": [Failing()]})
    token = host.token()
    with signals.item_received.connected_to(fail):
        assert post(host).status_code == 202
        assert post(host, text=f"{MARKS['text']} again").status_code == 202
    with host.app.app_context():
        while run_due(host.state.desk):
            pass
    host.moderate.article_loader(fail)
    assert post(host).status_code == 500
    (tmp_path / "moderate.sqlite3").rename(tmp_path / "away.sqlite3")
    host.state.desk.store.database.dispose()
    assert host.client.get("/discuss/moderation/items", headers=token).status_code == 503
    for part in ("Limits: redis", "The check 'failing' failed", "A receiver of", "a bug", "database: "):
        assert part in caplog.text
    assert leaked(caplog, token["Authorization"].removeprefix("Bearer ")) == []


def test_no_command_or_operator_page_shows_secrets_or_user_texts(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """With everything away that the site depends on, at the level DEBUG for all libraries."""
    caplog.set_level(logging.DEBUG)
    secrets = ["a secret of the webhook", "mark-hook-path", "mark-token-printed", "mark-database-password"]
    hook = {"url": f"https://127.0.0.1:{free_port()}/{secrets[1]}?key={secrets[1]}", "secret": secrets[0]}
    config = {"MODERATE_WEBHOOKS": [hook], "MODERATE_CONFIRM_EMAIL": True, "MODERATE_MAIL_SECURITY": "none"}
    for more in (
        {},
        {"MODERATE_MAIL_PASSWORD": "", "MODERATE_MAIL_TOKEN_COMMAND": ["/bin/echo", "two words", secrets[2]]},
        {"MODERATE_DATABASE_URL": f"postgresql://mark:{secrets[3]}@127.0.0.1:{free_port()}/news"},
    ):
        host = Host(tmp_path, **{**marked_config(), **config, **more})
        posted = post(host)
        work_if_possible(host)
        shown = [posted.headers, host.client.get("/discuss/health").text]
        for command in ("check-config", "tasks dead", "tasks late", "db check", "db current", "worker --once"):
            result = host.app.test_cli_runner().invoke(args=["moderate", *command.split()])
            assert result.exception is None or isinstance(result.exception, SystemExit)
            shown.append(result.output)
        marks = [mark for name, mark in MARKS.items() if name != "moderator"] + secrets
        if posted.status_code == 202:
            marks.append(posted.json["edit_token"])
        assert [mark for mark in marks if mark in f"{shown}"] == []
        assert [mark for mark in marks if mark in caplog.text] == []
        host.close()


def test_an_outage_of_the_database_and_its_end_are_one_log_line_each(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, postgresql: PostgreSQL, pg_url: str
) -> None:
    caplog.set_level(logging.INFO, "moderate")
    host = Host(tmp_path, MODERATE_LIMITS={}, MODERATE_DATABASE_URL=pg_url)
    with host.app.app_context():
        host.state.tables.upgrade()
    assert host.comment().status_code == 202
    for _ in range(2):
        caplog.clear()
        postgresql.kill()
        try:
            for n in range(6):
                host.clock.advance(seconds=10)
                assert host.comment(f"Number {n}").status_code == 503
        finally:
            postgresql.start()
        host.clock.advance(seconds=10)
        assert [host.client.get("/discuss/comments/thaw").status_code for _ in range(4)][-1] == 200
        told = [record for record in caplog.records if record.getMessage().startswith("database: ")]
        assert [record.levelname for record in told] == ["ERROR", "INFO"]
        assert {getattr(record, "moderate_service", None) for record in told} == {"database"}
        assert re.search(r"it is back after \d+ s; it failed 6 times", told[1].getMessage())
    host.state.desk.store.database.dispose()


def told(caplog: pytest.LogCaptureFixture, service: str) -> list[tuple[str, str]]:
    """Return the levels and messages of the log records of a service, by their field."""
    found = [record for record in caplog.records if getattr(record, "moderate_service", None) == service]
    return [(record.levelname, record.getMessage()) for record in found]


def test_an_outage_of_the_mail_server_and_its_end_are_one_log_line_each(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "moderate")
    with MailServer() as server:
        site = a_site(tmp_path, server.port, MORI, NAO)
        server.stop()
        for n in range(4):
            site.comment(f"Number {n}")
            work(site)
            site.clock.advance(minutes=30)
            site.client.get("/discuss/comments/thaw")
        assert [level for level, _ in told(caplog, "mail")] == ["ERROR"]
        server.start()
        site.clock.advance(hours=13)
        work(site)
        assert server.mails
    assert [level for level, _ in told(caplog, "mail")] == ["ERROR", "INFO"]
    assert re.search(r"mail: it is back after \d+ s; it failed \d+ times", told(caplog, "mail")[1][1])


def test_a_task_given_up_is_logged_without_the_response_of_the_server(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "moderate")
    with MailServer() as server:
        server.answers["DATA"] = f"554 5.7.1 not with {MARKS['url']} in it"
        site = a_site(tmp_path, server.port)
        number = site.comment().json["id"]
        work(site)
    (record,) = [record for record in caplog.records if "is given up" in record.getMessage()]
    (task,) = dead(site)
    assert vars(record)["moderate_task"] == task.id
    assert vars(record)["moderate_item"] == number
    assert MARKS["url"] in task.error
    assert leaked(caplog) == []


def test_an_unexpected_error_behind_a_link_is_logged_without_the_token(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with MailServer() as server:
        site = a_site(tmp_path, server.port)
        site.comment()
        work(site)
        link = server.mails[0].link("Approve")
    refusal = "BEFORE INSERT ON moderate_history BEGIN SELECT RAISE(ABORT, 'no room'); END"
    with site.state.desk.store.database.write() as conn:
        conn.exec_driver_sql(f"CREATE TRIGGER refuse {refusal}")
    site.app.testing = False
    assert site.client.post(link).status_code == 500
    assert "Exception on /discuss/moderation/mail/… [POST]" in caplog.text
    assert link.rpartition("/")[2] not in caplog.text


def test_limits_that_refuse_everything_during_an_outage_are_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "moderate")
    host = Host(tmp_path, MODERATE_LIMITER_OUTAGE="closed", MODERATE_REDIS_URL=f"redis://127.0.0.1:{free_port()}/0")
    for n in range(4):
        assert host.comment(f"Number {n}").status_code == 503
        host.clock.advance(seconds=10)
    assert [level for level, _ in told(caplog, "redis")] == ["WARNING"]
    assert [record for record in caplog.records if record.getMessage().startswith("redis: ")] == []


def test_an_outage_of_akismet_and_its_end_are_one_log_line_each(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "moderate")
    with AkismetStandIn() as akismet:
        host = Host(tmp_path, MODERATE_LIMITS={}, MODERATE_AKISMET_KEY="key", MODERATE_AKISMET_URL=akismet.url)
        host.comment("akismet-status-500")
        host.comment("akismet-garbage, akismet-status-500")
        work(host)
        assert told(caplog, "akismet") == [("ERROR", "akismet: it answered with status 500")]
        host.comment("Nothing about it")
        work(host)
    assert told(caplog, "akismet")[1:] == [("INFO", "akismet: it is back after 0 s; it failed 2 times.")]


def test_calls_that_an_outage_keeps_from_being_made_are_not_counted_as_failures(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO, "moderate")
    with AkismetStandIn() as akismet:
        host = Host(tmp_path, MODERATE_LIMITS={}, MODERATE_AKISMET_KEY="key", MODERATE_AKISMET_URL=akismet.url)
        for n in range(7):
            host.comment(f"akismet-status-500, number {n}")
        work(host)
        assert len(akismet.received) == 5
        monkeypatch.setitem(REPLIES, "akismet-status-500", Reply())
        host.clock.advance(minutes=1)
        work(host)
    assert told(caplog, "akismet")[1:] == [("INFO", "akismet: it is back after 60 s; it failed 5 times.")]


def documented() -> Callable[[], None]:
    """The configuration of JSON lines in docs/operating.md."""
    page = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(class JsonLines.*?)```", page.partition("## Logs")[2], re.DOTALL)

    def configure() -> None:
        exec(compile("import json, logging, logging.config\n" + code, "operating.md", "exec"), {})

    return configure


def test_the_documented_json_lines_have_the_fields(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("a bug")

    logger = logging.getLogger("moderate")
    before = (logger.handlers[:], logger.propagate, logger.level)
    root_before = (logging.root.handlers[:], logging.root.level)
    try:
        documented()()
        host = Host(tmp_path, MODERATE_LIMITS={})
        with signals.item_received.connected_to(fail):
            number = host.comment().json["id"]
        lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    finally:
        logger.handlers, logger.propagate, logger.level = before[0], before[1], before[2]
        logging.root.handlers, logging.root.level = root_before
    (told,) = [line for line in lines if line["message"].startswith("A receiver of")]
    assert told["level"] == "ERROR"
    assert told["moderate_item"] == number
    assert "RuntimeError: a bug" in told["traceback"]
