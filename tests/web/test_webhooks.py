"""Webhooks: which events are sent, how often they are retried, and what happens to undelivered ones."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from moderate.database.schema import tasks
from moderate.errors import ConfigError
from moderate.settings import Settings
from tests.blogs import Blog
from tests.sites import Host
from tests.unit.services.loopback import Connection, serving
from tests.web.mail_sites import a_site, dead, open_tasks, work

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECRET = "a secret that nobody guesses"


class Receiver:
    """Keeps the calls it gets and answers as configured."""

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []
        self.ids: list[str] = []
        self.status = 200
        self.headers: dict[str, str] = {}
        self.url = ""

    def __call__(self, connection: Connection) -> None:
        self.ids.append(connection.fields["webhook-id"])
        if self.status == 200:
            self.told.append(json.loads(connection.body))
        connection.answer(status=self.status, **self.headers)

    @property
    def events(self) -> list[str]:
        return [told["type"] for told in self.told]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receives = Receiver()
    with serving(receives) as server:
        receives.url = server.url("/hook")
        yield receives


def try_until_given_up(site: Host) -> None:
    for _ in range(12):
        work(site)
        site.clock.advance(days=1)


def a_hooked_site(folder: Path, *hooks: dict[str, Any], **config: Any) -> Host:
    wanted = [{"secret": SECRET, **hook} for hook in hooks]
    return a_site(folder, 25, MODERATE_MAIL_SERVER="", MODERATE_WEBHOOKS=wanted, **config)


def test_webhooks_report_only_pending_items_by_default(tmp_path: Path, receiver: Receiver) -> None:
    site = a_hooked_site(tmp_path, {"url": receiver.url})
    number = site.comment().json["id"]
    site.trapped()
    work(site)
    site.decide(number, "approve")
    work(site)
    assert receiver.events == ["item.waiting"]
    assert receiver.told[0]["data"]["id"] == number
    assert not open_tasks(site)


def test_webhooks_for_decisions_report_the_status_of_an_item(tmp_path: Path, receiver: Receiver) -> None:
    events = ["waiting", "approved", "spam", "trash"]
    site = a_hooked_site(tmp_path, {"url": receiver.url, "events": events})
    number = site.comment().json["id"]
    work(site)
    for version, decision in enumerate(["approve", "spam", "trash", "hold"], 1):
        site.decide(number, decision, version)
        work(site)
    assert receiver.events == ["item.waiting", "item.approved", "item.spam", "item.trash", "item.waiting"]
    assert receiver.told[1]["data"]["decided_by"] == "mori"
    assert len(set(receiver.ids)) == 5


def test_a_decision_undone_at_once_is_reported_with_its_final_status(tmp_path: Path, receiver: Receiver) -> None:
    site = a_hooked_site(tmp_path, {"url": receiver.url, "events": ["approved", "trash"]})
    number = site.comment().json["id"]
    site.decide(number, "approve", 1)
    site.decide(number, "trash", 2)
    work(site)
    assert receiver.events == ["item.trash"]


def test_a_withdrawal_by_the_author_is_reported_once(tmp_path: Path, receiver: Receiver) -> None:
    site = a_hooked_site(tmp_path, {"url": receiver.url, "events": ["approved", "trash"]})
    comment = site.comment().json
    site.decide(comment["id"], "approve")
    work(site)
    address = f"/discuss/items/{comment['id']}?edit_token={comment['edit_token']}"
    assert site.app.test_client().delete(address).status_code == 204
    assert site.app.test_client().delete(address).status_code == 204
    work(site)
    assert receiver.events == ["item.approved", "item.trash"]
    assert receiver.told[1]["data"]["status"] == "trash"
    assert not open_tasks(site)


def test_a_withdrawal_is_not_reported_to_webhooks_for_pending_items(tmp_path: Path, receiver: Receiver) -> None:
    site = a_hooked_site(tmp_path, {"url": receiver.url})
    comment = site.comment().json
    site.app.test_client().delete(f"/discuss/items/{comment['id']}?edit_token={comment['edit_token']}")
    assert work(site) == 1
    assert receiver.events == []


def test_a_ping_whose_link_is_gone_is_reported(tmp_path: Path, receiver: Receiver) -> None:
    with Blog() as blog:
        fetching = {"MODERATE_FETCH_ALLOW": ["127.0.0.0/8"], "MODERATE_FETCH_PORTS": [80, 443, blog.port]}
        site = a_hooked_site(tmp_path, {"url": receiver.url, "events": ["waiting", "trash"]}, **fetching)
        site.client.get("/thaw")
        source = blog.write("/1", "<p>Someone wrote <a href='http://localhost/thaw'>about the thaw</a>.</p>")
        site.client.post("/discuss/webmention", data={"source": source, "target": "http://localhost/thaw"})
        work(site)
        number = receiver.told[0]["data"]["id"]
        site.decide(number, "approve", receiver.told[0]["data"]["version"])
        blog.write("/1", "<p>Nothing to see.</p>")
        for hours in (25, 6):
            site.clock.advance(hours=hours)
            work(site)
    assert receiver.events == ["item.waiting", "item.trash"]
    assert receiver.told[1]["data"]["id"] == number


def test_a_failed_call_is_retried_with_the_same_id(tmp_path: Path, receiver: Receiver) -> None:
    site = a_hooked_site(tmp_path, {"url": receiver.url})
    receiver.status = 503
    site.comment()
    work(site)
    assert open_tasks(site)
    receiver.status = 200
    site.clock.advance(hours=1)
    work(site)
    assert receiver.events == ["item.waiting"]
    assert len(receiver.ids) == 2
    assert len(set(receiver.ids)) == 1


def test_a_failing_receiver_does_not_delay_others(tmp_path: Path, receiver: Receiver) -> None:
    broken = Receiver()
    broken.status = 500
    with serving(broken) as server:
        site = a_hooked_site(tmp_path, {"url": server.url()}, {"url": receiver.url})
        site.comment()
        work(site)
    assert receiver.events == ["item.waiting"]
    assert open_tasks(site)


def test_an_undelivered_call_becomes_a_dead_letter_and_can_be_replayed(tmp_path: Path, receiver: Receiver) -> None:
    site = a_hooked_site(tmp_path, {"url": receiver.url})
    receiver.status = 500
    site.comment()
    try_until_given_up(site)
    (task,) = dead(site)
    assert task.error == "webhook: 127.0.0.1 answered 500"
    runner = site.app.test_cli_runner()
    listed = runner.invoke(args=["moderate", "tasks", "dead"]).output
    assert "webhook 127.0.0.1" in listed
    assert "/hook" not in listed
    receiver.status = 200
    assert runner.invoke(args=["moderate", "tasks", "replay", str(task.id)]).exit_code == 0
    work(site)
    assert receiver.events == ["item.waiting"]
    assert runner.invoke(args=["moderate", "tasks", "replay", str(task.id)]).exit_code == 1
    assert runner.invoke(args=["moderate", "tasks", "replay"]).exit_code == 2


def test_a_receiver_that_is_gone_is_not_called_for_a_day(tmp_path: Path, receiver: Receiver) -> None:
    site = a_hooked_site(tmp_path, {"url": receiver.url})
    receiver.status = 410
    for number in (1, 2):
        site.comment(f"Text number {number}")
        work(site)
    assert len(receiver.ids) == 1
    receiver.status = 200
    (second, first) = dead(site)
    assert "410" in first.error
    assert "410" in second.error
    runner = site.app.test_cli_runner()
    assert runner.invoke(args=["moderate", "tasks", "replay", str(second.id)]).exit_code == 0
    work(site)
    assert receiver.events == ["item.waiting"]
    site.comment("Text number 3")
    work(site)
    assert len(receiver.told) == 2


@pytest.mark.parametrize(("status", "wait"), [(429, "7200"), (503, "Tue, 13 Jan 2026 22:22:00 GMT")])
def test_a_receiver_that_sends_retry_after_is_not_called_before(
    tmp_path: Path, receiver: Receiver, status: int, wait: str
) -> None:
    site = a_hooked_site(tmp_path, {"url": receiver.url})
    other_process = a_hooked_site(tmp_path, {"url": receiver.url})
    receiver.status, receiver.headers = status, {"Retry-After": wait}
    for number in (1, 2):
        site.comment(f"Text number {number}")
        work(site)
        work(other_process)
    assert len(receiver.ids) == 1
    receiver.status = 200
    for process in (site, other_process):
        process.clock.advance(minutes=110)
        work(process)
    assert len(receiver.ids) == 1
    with site.state.desk.store.database.read() as conn:
        attempts = conn.execute(select(tasks.c.attempts).where(tasks.c.kind.startswith("notify:"))).scalars().all()
    assert sorted(attempts) == [0, 1], "a task that waits for the receiver uses up no attempt"
    site.clock.advance(minutes=15)
    work(site)
    assert len(receiver.told) == 2


def test_an_operator_may_replay_to_a_receiver_that_sent_retry_after(tmp_path: Path, receiver: Receiver) -> None:
    site = a_hooked_site(tmp_path, {"url": receiver.url})
    receiver.status = 500
    site.comment()
    try_until_given_up(site)
    receiver.status, receiver.headers = 503, {"Retry-After": "86400"}
    site.comment("Text number 2")
    work(site)
    receiver.status = 200
    (task,) = dead(site)
    runner = site.app.test_cli_runner()
    assert runner.invoke(args=["moderate", "tasks", "replay", str(task.id)]).exit_code == 0
    work(site)
    assert receiver.told[0]["data"]["id"] == task.item
    # It answers again, so the wait that it asked for is over.
    site.comment("Text number 3")
    work(site)
    assert len(receiver.told) == 2


def test_a_clock_set_back_does_not_prolong_a_wait(tmp_path: Path, receiver: Receiver) -> None:
    site = a_hooked_site(tmp_path, {"url": receiver.url})
    receiver.status, receiver.headers = 429, {"Retry-After": "3600"}
    site.comment()
    work(site)
    site.clock.advance(days=-30)
    receiver.status = 200
    site.comment("Text number 2")
    work(site)
    assert receiver.events == ["item.waiting"]


def test_a_redirect_is_reported_and_not_followed(tmp_path: Path, receiver: Receiver) -> None:
    site = a_hooked_site(tmp_path, {"url": receiver.url})
    receiver.status, receiver.headers = 301, {"Location": receiver.url}
    site.comment()
    work(site)
    assert len(receiver.ids) == 1
    with site.app.app_context():
        (task,) = site.state.desk.store.tasks.late(site.clock.now() + timedelta(days=1))
    assert "answered 301, a redirect, which is not followed" in task.error


def test_dead_letters_can_be_deleted_and_expire(tmp_path: Path, receiver: Receiver) -> None:
    site = a_hooked_site(tmp_path, {"url": receiver.url})
    receiver.status = 410
    for number in (1, 2, 3, 4):
        site.comment(f"Text number {number}")
    work(site)
    runner = site.app.test_cli_runner()
    first, second, third, fourth = (str(task.id) for task in dead(site))
    refused = runner.invoke(args=["moderate", "tasks", "delete", first, "999"])
    assert (refused.exit_code, len(dead(site))) == (1, 4)
    assert runner.invoke(args=["moderate", "tasks", "delete"]).exit_code == 2
    assert runner.invoke(args=["moderate", "tasks", "delete", first, second]).output == "2 deleted.\n"
    assert {str(task.id) for task in dead(site)} == {third, fourth}
    site.clock.advance(days=31)
    site.state.worker.drain()
    assert dead(site) == []
    site.clock.advance(days=1)
    site.comment("Text number 5")
    work(site)
    assert runner.invoke(args=["moderate", "tasks", "delete", "--all"]).output == "1 deleted.\n"


def test_a_hook_removed_from_the_settings_is_no_longer_called(tmp_path: Path, receiver: Receiver) -> None:
    site = a_hooked_site(tmp_path, {"url": receiver.url})
    site.comment()
    later = Host(tmp_path, MODERATE_LIMITS={})
    work(later)
    assert receiver.told == []
    assert not open_tasks(later)


# --- settings -------------------------------------------------------------------------------------

GOOD = {"url": "https://hook.example/", "secret": SECRET}


@pytest.mark.parametrize(
    "value",
    [
        "no JSON",
        "{}",
        [{}],
        ["https://hook.example/"],
        [{"url": "https://hook.example/"}],
        [{**GOOD, "secret": "short"}],
        [{**GOOD, "secret": "whsec_not base64 at all"}],
        [{**GOOD, "secrets": []}],
        [{**GOOD, "events": ["everything"]}],
        [{**GOOD, "events": []}],
        [{**GOOD, "evnets": ["spam"]}],
        [{**GOOD, "url": "ftp://hook.example/"}],
        [{**GOOD, "url": "https://name:password@hook.example/"}],
        [{**GOOD, "url": "https://hook.example:99999/"}],
        [{**GOOD, "url": "https://hook.example/\r\nX: y"}],
        [{**GOOD, "url": "https://hook.example/a b"}],
        [{**GOOD, "url": "https://hook.example/p\u00e4th"}],
        [{**GOOD, "url": "https://\u00ad.example/"}],
        [GOOD, GOOD],
    ],
)
def test_an_invalid_hook_stops_the_start_without_showing_its_secret(value: object) -> None:
    with pytest.raises(ConfigError) as told:
        Settings.from_config({"MODERATE_WEBHOOKS": value})
    assert "(not shown)" in str(told.value)
    assert SECRET not in str(told.value) + str(told.value.__cause__)


@pytest.mark.parametrize(("part", "value"), [("url", "ftp://x"), ("secrets", ["short"]), ("events", ["all"])])
def test_the_invalid_part_of_a_hook_is_named(part: str, value: object) -> None:
    hook = {"url": GOOD["url"], "secrets": [SECRET], part: value}
    with pytest.raises(ConfigError, match=f"look at the {part}"):
        Settings.from_config({"MODERATE_WEBHOOKS": [hook]})


def test_a_hook_with_an_internationalized_host_is_called_by_its_dns_name() -> None:
    settings = Settings.from_config(
        {"MODERATE_WEBHOOKS": [{**GOOD, "url": "https://b\u00fccher.example:8443/hook?a=1"}]}
    )
    assert settings.webhooks[0].url == "https://xn--bcher-kva.example:8443/hook?a=1"


@pytest.mark.parametrize(
    "config",
    [
        {"MODERATE_MAIL_TO": "mori@mail.example"},
        {"MODERATE_MAIL_TO": ["mori"]},
        {"MODERATE_MAIL_TO": ["mori@mail.example\r\nBcc: victim@mail.example"]},
        {"MODERATE_MAIL_TO": ["mori@mail.example", "Mori@mail.example"]},
        {"MODERATE_MAIL_TO": [{"email": "mori@mail.example", "name": "Mo\r\nri"}]},
        {"MODERATE_MAIL_TO": [{"email": "mori@mail.example", "notify": "hourly"}]},
        {"MODERATE_MAIL_TO": [{"email": "mori@mail.example", "digest": True}]},
        {"MODERATE_MAIL_TO": [{"email": "mori@mail.example", "language": "fr"}]},
        {"MODERATE_MAIL_TO": [{"email": "mori@mail.example", "language": ["ja"]}]},
        {"MODERATE_MAIL_FROM": "News"},
        {"MODERATE_MAIL_FROM": "News <news@mail.example>\nBcc: victim@mail.example"},
        {"MODERATE_MAIL_PORT": 0},
        {"MODERATE_MAIL_SERVER": 25},
        {"MODERATE_MAIL_SERVER": "smtp.example.org:587"},
        {"MODERATE_MAIL_SERVER": "smtp://smtp.example.org"},
        {"MODERATE_MAIL_SERVER": "smtp example"},
        {"MODERATE_MAIL_SECURITY": "ssl"},
    ],
)
def test_an_invalid_mail_setting_stops_the_start(config: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(config))):
        Settings.from_config(config)


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("smtp.b\u00fccher.example", "smtp.xn--bcher-kva.example"),
        ("[::1]", "::1"),
        ("192.0.2.1", "192.0.2.1"),
        ("mail_relay", "mail_relay"),
        ("file:Mails", "file:Mails"),
    ],
)
def test_a_mail_server_is_a_name_or_an_address(typed: str, read: str) -> None:
    assert Settings.from_config({"MODERATE_MAIL_SERVER": typed}).mail_server == read


def test_secrets_are_read_from_the_environment_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODERATE_MAIL_PASSWORD", "the word of the server")
    monkeypatch.setenv("MODERATE_WEBHOOKS", json.dumps([GOOD]))
    settings = Settings.from_config({})
    assert settings.mail_password == "the word of the server"
    assert settings.webhooks[0].secrets == (SECRET,)
    assert "the word" not in repr(settings)
    assert SECRET not in repr(settings) + repr(settings.webhooks)


@pytest.mark.parametrize("missing", ["MODERATE_SITE_URL", "MODERATE_MAIL_FROM"])
def test_mail_settings_that_need_others_are_checked_at_the_start(tmp_path: Path, missing: str) -> None:
    with pytest.raises(ConfigError, match=missing):
        a_site(tmp_path, 25, **{missing: ""})


def test_hooks_need_site_url(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="MODERATE_SITE_URL"):
        a_hooked_site(tmp_path, GOOD, MODERATE_SITE_URL="")
