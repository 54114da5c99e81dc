"""``flask moderate check-config``: each thing that we depend on, what is wrong with it, and what to do."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

import pytest

from moderate.akismet.stand_in import AkismetStandIn
from moderate.clock import ClockSteps, SystemClock
from moderate.model import NewTask
from tests.mail_servers import MailServer, knows
from tests.redis_servers import PATIENT
from tests.servers import Redis
from tests.sites import Host
from tests.unit.services.loopback import Connection, serving

if TYPE_CHECKING:
    from datetime import tzinfo
    from pathlib import Path

MAIL = {
    "MODERATE_SITE_URL": "http://localhost",
    "MODERATE_MAIL_SERVER": "127.0.0.1",
    "MODERATE_MAIL_SECURITY": "none",
    "MODERATE_MAIL_FROM": "news@mail.example",
    "MODERATE_MAIL_TO": ["mori@mail.example"],
}


def checked(folder: Path, **config: Any) -> tuple[int, dict[str, str]]:
    """The exit code, and what was said of each part."""
    host = Host(folder, **{"MODERATE_LIMITS": {}, **config})
    result = host.app.test_cli_runner().invoke(args=["moderate", "check-config"])
    host.state.desk.limits.close()
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "Errno" not in result.output
    lines = [line.partition(": ")[::2] for line in result.output.splitlines()]
    return result.exit_code, dict(lines)


def test_unused_services_are_no_error(tmp_path: Path) -> None:
    code, said = checked(tmp_path)
    assert code == 0
    assert list(said) == ["settings", "database", "redis", "akismet", "tasks", "retention", "mail"]
    assert said["mail"] == "not used. Set MODERATE_MAIL_SERVER to have moderators written to."


def test_the_database_is_named_without_its_password(tmp_path: Path, pg_url: str) -> None:
    assert checked(tmp_path)[1]["database"] == f"ok. SQLite, {tmp_path / 'moderate.sqlite3'}."
    host = Host(tmp_path, MODERATE_DATABASE_URL=pg_url)
    assert host.app.test_cli_runner().invoke(args=["moderate", "db", "upgrade"]).exit_code == 0
    name = urlsplit(pg_url).path[1:]
    assert checked(tmp_path, MODERATE_DATABASE_URL=pg_url)[1]["database"] == f"ok. postgresql, {name} at 127.0.0.1."
    hosts = [f"127.0.0.{n}:{urlsplit(pg_url).port}" for n in (1, 2)]
    spread = f"postgresql://postgres:moderate@/{name}?host={hosts[0]}&host={hosts[1]}"
    said = checked(tmp_path, MODERATE_DATABASE_URL=spread)[1]["database"]
    assert said == f"ok. postgresql, {name} at {hosts[0]} and {hosts[1]}."


def test_a_missing_secret_key_is_reported(tmp_path: Path) -> None:
    assert "SECRET_KEY" not in checked(tmp_path)[1]["settings"]
    assert "SECRET_KEY is not set" in checked(tmp_path, SECRET_KEY=None)[1]["settings"]


def test_a_database_without_tables_is_reported_with_the_command_to_run(tmp_path: Path) -> None:
    code, said = checked(tmp_path, MODERATE_DATABASE_URL=f"sqlite:///{tmp_path / 'empty.db'}")
    assert (code, said["database"]) == (1, "outdated. Run: flask moderate db upgrade")
    assert said["tasks"] == "unknown. They are in the database: see there."


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("moderate@", "hunter2@"), "password authentication failed"),
        # As the driver says it: older ones do not name the host.
        (
            ("127.0.0.1", "no.such.host.invalid"),
            r"failed to resolve host 'no\.such|Name or service not known",
        ),
    ],
)
def test_an_unreachable_database_or_a_refused_login_is_reported_with_a_message(
    tmp_path: Path, pg_url: str, change: tuple[str, str], words: str
) -> None:
    code, said = checked(tmp_path, MODERATE_DATABASE_URL=pg_url.replace(*change))
    assert code == 1
    assert re.search(words, said["database"])
    assert said["database"].endswith("Check MODERATE_DATABASE_URL and that the server runs.")
    assert "hunter2" not in str(said)


def test_a_stopped_redis_is_reported(tmp_path: Path) -> None:
    with Redis() as server:
        assert checked(tmp_path, MODERATE_REDIS_URL=server.url + PATIENT)[0] == 0
        url = server.url
    code, said = checked(tmp_path, MODERATE_REDIS_URL=url)
    assert code == 1
    assert said["redis"].startswith("the connection was refused: is the server running there? Check MODERATE_REDIS_URL")


def test_an_invalid_akismet_key_is_reported(tmp_path: Path) -> None:
    with AkismetStandIn() as akismet:
        settings = {"MODERATE_AKISMET_URL": akismet.url, "MODERATE_SITE_URL": "http://localhost"}
        assert checked(tmp_path, MODERATE_AKISMET_KEY="a key", **settings)[0] == 0
        code, said = checked(tmp_path, MODERATE_AKISMET_KEY="bad key", **settings)
    assert code == 1
    assert "Check MODERATE_AKISMET_KEY" in said["akismet"]


def test_the_mail_server_login_is_tested_without_sending_mail(tmp_path: Path) -> None:
    with MailServer() as server:
        code, said = checked(tmp_path, MODERATE_MAIL_PORT=server.port, **MAIL)
        assert (code, said["mail"]) == (0, "ok.")
        assert server.mails == []
    code, said = checked(tmp_path, MODERATE_MAIL_PORT=server.port, **MAIL)
    assert code == 1
    assert said["mail"].startswith("the mail server cannot be reached: it refuses connections. Check the settings")


@pytest.mark.parametrize(("host", "is_warned"), [("0.0.0.0", True), ("127.0.0.1", False)])
def test_a_password_sent_in_clear_text_over_a_network_is_warned_about(
    tmp_path: Path, host: str, is_warned: bool
) -> None:
    account = {"MODERATE_MAIL_SERVER": host, "MODERATE_MAIL_USERNAME": "news", "MODERATE_MAIL_PASSWORD": "a word"}
    with MailServer(authenticator=knows("news", "a word"), auth_require_tls=False) as server:
        code, said = checked(tmp_path, MODERATE_MAIL_PORT=server.port, **{**MAIL, **account})
    assert code == 0
    assert ("in the clear" in said["mail"]) == is_warned


@pytest.mark.parametrize(("folder", "code"), [("file:mails", 0), ("file:taken/mails", 1)])
def test_the_mail_folder_must_be_writable(tmp_path: Path, folder: str, code: int) -> None:
    (tmp_path / "taken").write_text("a file")
    assert checked(tmp_path, **{**MAIL, "MODERATE_MAIL_SERVER": folder})[0] == code


def test_recipients_who_want_no_mails_are_no_error(tmp_path: Path) -> None:
    nobody = {**MAIL, "MODERATE_MAIL_TO": [{"email": "mori@mail.example", "notify": "off"}]}
    assert checked(tmp_path, **nobody)[1]["mail"] == "not used. Nobody in MODERATE_MAIL_TO is to be written to."


def test_webhook_hosts_are_connected_to_without_a_call(tmp_path: Path) -> None:
    called: list[bytes] = []

    def receive(connection: Connection) -> None:
        called.append(connection.request)

    with serving(receive) as server:
        hook = {"url": server.url("/hook"), "secret": "a secret that nobody guesses"}
        code, said = checked(tmp_path, MODERATE_SITE_URL="http://localhost", MODERATE_WEBHOOKS=[hook])
        assert (code, said["webhook 127.0.0.1"]) == (0, "ok.")
    assert not any(called)
    code, said = checked(tmp_path, MODERATE_SITE_URL="http://localhost", MODERATE_WEBHOOKS=[hook])
    assert code == 1
    assert "Check MODERATE_WEBHOOKS" in said["webhook 127.0.0.1"]
    assert "/hook" not in str(said)


class Skewed(SystemClock):
    """The clock of a host that is wrong by some minutes."""

    def __init__(self, minutes: float) -> None:
        super().__init__()
        self.minutes = minutes

    def system(self) -> datetime:
        return super().system() + timedelta(minutes=self.minutes)


def test_the_time_can_be_frozen_by_tools_that_replace_the_functions_of_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """As freezegun does in the tests of hosts."""
    frozen = datetime(2020, 2, 29, tzinfo=UTC)

    class Frozen(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return cls.fromtimestamp(frozen.timestamp(), tz)

    known = SystemClock()
    monkeypatch.setattr("moderate.clock.datetime", Frozen)
    monkeypatch.setattr(time, "monotonic", lambda: 7.0)
    assert [(clock.now(), clock.monotonic()) for clock in (known, SystemClock())] == 2 * [(frozen, 7.0)]


@pytest.mark.parametrize("kind", ["pg_url", "mariadb_url"])
def test_hosts_with_different_clocks_use_the_clock_of_the_database(
    tmp_path: Path, request: pytest.FixtureRequest, kind: str
) -> None:
    url = request.getfixturevalue(kind)
    behind, ahead = (
        Host(tmp_path, MODERATE_DATABASE_URL=url, MODERATE_LIMITS={}, extension={"clock": Skewed(minutes)})
        for minutes in (-5, 5)
    )
    behind.app.test_cli_runner().invoke(args=["moderate", "db", "upgrade"])
    said = [host.app.test_cli_runner().invoke(args=["moderate", "check-config"]) for host in (behind, ahead)]
    assert re.search(r"this host's clock is (29\d|30\d) s behind its own", said[0].output)
    assert re.search(r"this host's clock is (29\d|30\d) s ahead of its own", said[1].output)
    assert behind.client.get("/discuss/health").json["database"] == "ok"
    first, second = (host.state.desk for host in (behind, ahead))
    first.store.tasks.add(1, [NewTask(kind="verify", due_at=first.clock.now())], first.clock.now())
    assert first.store.tasks.lease_due(first.clock.now(), limit=1, seconds=60)
    assert second.store.tasks.lease_due(second.clock.now(), limit=1, seconds=60) == []


@pytest.mark.parametrize("minutes", [-60, -5, 5, 60])
def test_a_worker_whose_clock_is_set_adopts_the_clock_of_the_database_first(
    tmp_path: Path, pg_url: str, minutes: float
) -> None:
    """Others would take a lease that is taken by a wrong clock for ended."""
    clock = Skewed(0)
    host = Host(tmp_path, MODERATE_DATABASE_URL=pg_url, MODERATE_LIMITS={}, extension={"clock": clock})
    host.app.test_cli_runner().invoke(args=["moderate", "db", "upgrade"])
    steps = ClockSteps(host.state.desk.clock, host.state.desk.store.time, 120)
    assert steps.believes_leases()
    for wrong_by in (minutes, 0):
        clock.minutes = wrong_by
        assert not steps.believes_leases()
        assert abs(clock.now() - SystemClock().now()) < timedelta(seconds=60)
