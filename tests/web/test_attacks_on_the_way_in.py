"""Attacks on tokens, sign-in links and links in mails, each made as an attacker would."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from tests.sites import Host

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ITEMS = "/discuss/moderation/items"
STRICT = {"moderation": ["3/minute per client"]}


def link(host: Host, name: str = "mori") -> str:
    done = host.app.test_cli_runner().invoke(args=["moderate", "token", "link", name])
    assert done.exit_code == 0, done.output
    return urlsplit(done.stdout.strip().splitlines()[-1]).path


def exhaust(host: Host, path: str, **request: Any) -> None:
    """Guess until the limit says no."""
    assert [host.client.get(path, **request).status_code for _ in range(4)][-1] == 429


def test_guesses_from_a_shared_address_do_not_block_moderators(tmp_path: Path) -> None:
    host = Host(tmp_path, MODERATE_LIMITS=STRICT)
    mine, address = host.token(), link(host)
    exhaust(host, ITEMS, headers={"Authorization": "Bearer mod_0_x"})
    assert host.client.get(ITEMS, headers=mine).status_code == 200
    assert host.client.get(address).status_code == 200
    assert host.client.post(address).status_code == 303
    assert host.client.get(ITEMS, headers={"Authorization": "Bearer mod_0_y"}).status_code == 429


def test_a_link_made_before_its_moderator_was_revoked_does_not_sign_in(host: Host) -> None:
    leaked = link(host)
    host.clock.advance(minutes=1)
    host.app.test_cli_runner().invoke(args=["moderate", "token", "revoke", "mori"])
    assert host.client.get(leaked).status_code == 403
    assert host.client.post(leaked).status_code == 403
    assert "Set-Cookie" not in host.client.post(leaked).headers
    host.clock.advance(seconds=1)
    assert host.client.post(link(host)).status_code == 303


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_only_one_of_many_concurrent_uses_of_a_link_signs_in(
    tmp_path: Path, database: str, request: pytest.FixtureRequest
) -> None:
    settings = {"MODERATE_DATABASE_URL": request.getfixturevalue("pg_url")} if database == "postgresql" else {}
    # Two apps on one database, as two processes are.
    hosts = [Host(tmp_path, MODERATE_LIMITS={}, **settings) for _ in range(2)]
    if settings:
        hosts[0].app.test_cli_runner().invoke(args=["moderate", "db", "upgrade"])
    address = link(hosts[0])
    answers = at_once([lambda at=number: hosts[at % 2].app.test_client().post(address) for number in range(8)])
    for host in hosts:
        host.state.desk.store.database.dispose()
    assert sorted(answer.status_code for answer in answers) == [303] + [403] * 7


def at_once(calls: list[Callable[[], Any]]) -> list[Any]:
    """The answers of calls that all begin at the same moment."""
    start, answers = threading.Barrier(len(calls)), []

    def run(call: Callable[[], Any]) -> None:
        start.wait()
        answers.append(call())

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "null"},
        {"Origin": "http://localhost.evil.example"},
        {"Origin": "http://evil.example@localhost"},
        {"Origin": "http://localhost:81"},
        {"Origin": ""},
        {"Origin": "http://localhost http://evil.example"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"},
    ],
)
def test_no_spelling_of_another_origin_can_sign_in(host: Host, headers: dict[str, str]) -> None:
    assert host.client.post(link(host), headers=headers).status_code == 403
