"""Moderators are told of what waits: once, after the verdict, and not three hundred times. A real SMTP server."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from moderate.errors import ServiceDown
from moderate.tasks.run import run
from moderate.tasks.scheduler import LEASE
from moderate.tasks.threads import ThreadPool
from moderate.testing import ManualClock, ScriptedSpamService
from tests.mail_servers import MailServer
from tests.tasks import run_due
from tests.web.mail_sites import MORI, NAO, a_site, dead, open_tasks, work

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.sites import Host


@pytest.fixture
def mail() -> Iterator[MailServer]:
    with MailServer() as server:
        yield server


@pytest.fixture
def site(tmp_path: Path, mail: MailServer) -> Host:
    return a_site(tmp_path, mail.port)


def test_an_item_that_waits_is_told_once_to_each_moderator(tmp_path: Path, mail: MailServer) -> None:
    site = a_site(tmp_path, mail.port, MORI, NAO)
    number = site.comment("The river froze twice.").json["id"]
    assert mail.mails == []  # Never within the request.
    work(site)
    work(site)
    assert sorted(got.to for got in mail.mails) == ["mori@mail.example", "nao@mail.example"]
    got = mail.mails[0]
    assert got.subject == "Comment by Mika on About thaw"
    assert got.message["From"] == "News <news@mail.example>"
    assert got.message["Auto-Submitted"] == "auto-generated"
    assert got.message["X-Auto-Response-Suppress"] == "All"
    assert "> The river froze twice." in got.text.splitlines()
    assert f"Comment: {number} by Mika" in got.text
    assert "The river froze twice." in got.html
    assert not open_tasks(site)


@pytest.mark.parametrize(
    ("host", "in_dns"),
    [
        ("例え.jp", "xn--r8jz45g.jp"),
        ("bücher.example:8443", "xn--bcher-kva.example:8443"),
        ("Новости.example", "xn--b1amnebsh.example"),
    ],
)
def test_a_site_under_a_name_beyond_ascii_sends_its_mails(
    tmp_path: Path, mail: MailServer, host: str, in_dns: str
) -> None:
    to = {"name": "Mori", "email": f"mori@{host.partition(':')[0]}"}
    sender = f"News <news@{host.partition(':')[0]}>"
    site = a_site(tmp_path, mail.port, to, MODERATE_SITE_URL=f"https://{host}", MODERATE_MAIL_FROM=sender)
    site.comment()
    work(site)
    assert dead(site) == []
    (got,) = mail.mails
    bare = in_dns.partition(":")[0]
    assert got.raw.isascii()
    assert got.id.endswith(f"@{bare}>")
    assert got.to == f"mori@{bare}"
    assert str(got.message["From"]) == f"News <news@{bare}>"
    assert str(got.message["List-Unsubscribe"]).startswith(f"<https://{in_dns}/discuss/")
    assert [link for link in got.links if link.startswith(f"https://{in_dns}/discuss/")]
    assert host not in got.text


def test_a_mail_tells_where_links_lead_and_which_of_them_pretend(site: Host, mail: MailServer) -> None:
    text = '<a href="https://evil.example/x?a=1&b=2">www.bank.example</a> https://аpple.com/'
    site.comment(text, author="<b>Mika</b>", url="https://shop.example/")
    work(site)
    (got,) = mail.mails
    lines = got.text.splitlines()
    told = "“www.bank.example” Its words name another host: www.bank.example"
    assert f"Link: https://evil.example/x?a=1&b=2 {told}" in lines
    assert "Link: https://xn--pple-43d.com/ (аpple.com)" in lines
    assert "Website: https://shop.example/ “<b>Mika</b>”" in lines
    assert "https://<b>evil.example</b>/x?a=1&amp;b=2" in got.html
    assert "<b>Mika</b>" not in got.html


def test_a_mail_lists_no_more_links_than_can_be_read(site: Host, mail: MailServer) -> None:
    site.comment(" ".join(f"https://site{number}.example/" for number in range(100)))
    work(site)
    assert mail.mails[0].text.count("Link: ") == 20


def test_each_moderator_is_written_to_in_a_language_of_their_own(tmp_path: Path, mail: MailServer) -> None:
    site = a_site(tmp_path, mail.port, {**MORI, "language": "ja"}, NAO)
    site.comment("川が凍った。", author="三日月")
    work(site)
    told = {got.to: got for got in mail.mails}
    mori, nao = told["mori@mail.example"], told["nao@mail.example"]
    assert mori.subject == "「About thaw」へのコメント：三日月"
    assert nao.subject == "Comment by 三日月 on About thaw"
    assert ('<html lang="ja">' in mori.html, '<html lang="en">' in nao.html) == (True, True)
    assert site.client.post(mori.link("承認")).status_code == 200
    assert site.counts() == {"comments": 1, "trackbacks": 0}


def test_the_sites_language_is_that_of_mails_where_a_moderator_names_none(tmp_path: Path, mail: MailServer) -> None:
    site = a_site(tmp_path, mail.port, MORI, {**NAO, "language": "en"}, MODERATE_LANGUAGE="ja")
    site.comment()
    work(site)
    subjects = {got.to: got.subject for got in mail.mails}
    assert subjects == {
        "mori@mail.example": "「About thaw」へのコメント：Mika",
        "nao@mail.example": "Comment by Mika on About thaw",
    }


def test_nobody_is_told_of_spam_nor_of_what_is_public_already(tmp_path: Path, mail: MailServer) -> None:
    site = a_site(tmp_path, mail.port, MODERATE_PREMODERATION="none")
    assert site.trapped("I fill in what people do not see.").status_code == 202
    assert site.comment("Nothing is wrong with me.").status_code == 201
    assert "notify" not in kinds(site)
    work(site)
    assert mail.mails == []


def test_nothing_is_told_before_the_checks_that_take_time_have_spoken(tmp_path: Path, mail: MailServer) -> None:
    site, service = asked_service(tmp_path, mail, ServiceDown("akismet", "down"), "ham")
    site.comment()
    work(site)
    assert mail.mails == []
    site.clock.advance(hours=1)
    work(site)
    assert [got.to for got in mail.mails] == ["mori@mail.example"]
    assert len(service.samples) == 2


def test_what_a_late_verdict_calls_spam_is_told_to_nobody(tmp_path: Path, mail: MailServer) -> None:
    site, _ = asked_service(tmp_path, mail, "spam")
    site.comment()
    work(site)
    assert mail.mails == []
    assert site.counts() == {"comments": 0, "trackbacks": 0}
    assert not open_tasks(site)


def test_a_check_that_never_answers_is_told_when_a_person_is_asked(tmp_path: Path, mail: MailServer) -> None:
    site, _ = asked_service(tmp_path, mail, ServiceDown("akismet", "down"))
    site.comment()
    work(site)
    site.clock.advance(days=4)
    work(site)
    assert len(mail.mails) == 1


def kinds(site: Host) -> list[str]:
    """The kinds of all open tasks, up to the colon."""
    with site.app.app_context():
        tasks = site.state.desk.store.tasks.lease_due(site.clock.now(), limit=100, seconds=0)
    return [task.kind.partition(":")[0] for task in tasks]


def asked_service(folder: Path, mail: MailServer, *answers: object) -> tuple[Host, ScriptedSpamService]:
    """A site that asks a spam service which answers as told."""
    from dataclasses import replace

    from moderate.akismet.values import SpamWord
    from moderate.checks.order import CHECKS, in_use

    service = ScriptedSpamService(*(SpamWord(a) if isinstance(a, str) else a for a in answers))
    site = a_site(folder, mail.port)
    services = replace(site.state.desk.services, spam=service)
    desk = replace(site.state.desk, services=services, checks=in_use(CHECKS, services))
    site.app.extensions["moderate"] = replace(site.state, desk=desk)
    return site, service


def test_what_was_decided_before_the_mail_went_is_not_told(site: Host, mail: MailServer) -> None:
    site.decide(site.comment().json["id"], "approve")
    work(site)
    assert mail.mails == []


def test_a_changed_text_is_told_anew_in_the_same_conversation(site: Host, mail: MailServer) -> None:
    made = site.comment().json
    work(site)
    site.client.patch(f"/discuss/items/{made['id']}", json={"text": "Thrice.", "edit_token": made["edit_token"]})
    work(site)
    first, second = mail.mails
    assert second.subject.startswith("Changed: ")
    assert "> Thrice." in second.text
    assert first.message["References"] == second.message["References"]
    assert first.id != second.id
    # A repeat that says nothing new is no news.
    site.client.patch(f"/discuss/items/{made['id']}", json={"text": "Thrice.", "edit_token": made["edit_token"]})
    work(site)
    assert len(mail.mails) == 2


def test_a_moderator_who_holds_an_item_is_not_told_of_it(site: Host, mail: MailServer) -> None:
    number = site.comment().json["id"]
    work(site)
    site.decide(number, "approve", 1)
    site.decide(number, "hold", 2)
    work(site)
    assert len(mail.mails) == 1


# --- many -----------------------------------------------------------------------------------------


def test_a_wave_of_300_items_gives_a_handful_of_mails(site: Host, mail: MailServer) -> None:
    for number in range(300):
        site.comment(f"Wave {number}.")
    work(site)
    assert len(mail.mails) == 5
    site.clock.advance(minutes=59)
    assert work(site) == 0
    site.clock.advance(minutes=2)
    work(site)
    assert len(mail.mails) == 6
    digest = mail.mails[-1]
    assert digest.subject == "300 items wait for a moderator"
    assert "> Wave 299." in digest.text
    assert digest.text.count("Approve: ") == 20
    assert len(digest.raw) < 100_000
    assert not open_tasks(site)


def test_after_a_digest_the_next_item_is_told_on_its_own_again(site: Host, mail: MailServer) -> None:
    for number in range(8):
        site.comment(f"Wave {number}.")
    work(site)
    site.clock.advance(hours=2)
    work(site)
    site.comment("A quiet hour later.")
    work(site)
    assert [got.subject for got in mail.mails[5:]] == [
        "8 items wait for a moderator",
        "Comment by Mika on About thaw",
    ]


def test_what_was_decided_while_it_was_gathered_makes_no_digest(site: Host, mail: MailServer) -> None:
    numbers = [site.comment(f"Wave {number}.").json["id"] for number in range(8)]
    work(site)
    for number in numbers[5:]:
        site.decide(number, "trash")
    site.clock.advance(hours=2)
    work(site)
    assert len(mail.mails) == 5
    site.comment("New.")
    work(site)
    assert [got.subject for got in mail.mails[5:]] == ["Comment by Mika on About thaw"]
    assert "> New." in mail.mails[5].text


def test_two_workers_at_once_send_one_digest(site: Host, mail: MailServer) -> None:
    for number in range(7):
        site.comment(f"Wave {number}.")
    work(site)
    site.clock.advance(hours=1)
    (notifier,) = site.state.desk.notifiers
    deliver = notifier.deliver

    def meanwhile(notice: object) -> None:
        notifier.deliver = deliver
        assert run_due(site.state.desk) == 1
        deliver(notice)

    notifier.deliver = meanwhile
    work(site)
    site.clock.advance(hours=1)
    work(site)
    assert [got.subject for got in mail.mails[5:]] == ["7 items wait for a moderator"]
    assert not open_tasks(site)


def test_a_ping_that_is_sent_again_and_says_nothing_new_is_told_once(tmp_path: Path, mail: MailServer) -> None:
    site = a_site(tmp_path, mail.port, MODERATE_VERIFY_PINGS="off")
    ping = {"url": "http://blog.example/1", "title": "On thaw", "excerpt": "They wrote.", "blog_name": "A blog"}
    for _ in range(3):
        assert "<error>0</error>" in site.client.post("/discuss/trackback/thaw", data=ping).text
        work(site)
        site.clock.advance(days=1)
    assert [got.subject for got in mail.mails] == ["Trackback by A blog on About thaw"]


def test_who_wants_digests_gets_one_an_hour_and_who_wants_nothing_gets_nothing(
    tmp_path: Path, mail: MailServer
) -> None:
    site = a_site(tmp_path, mail.port, {**MORI, "notify": "digest"}, {**NAO, "notify": "off"})
    site.comment("One.")
    site.comment("Two.")
    work(site)
    assert mail.mails == []
    site.clock.advance(minutes=30)
    site.comment("Three.")
    work(site)
    site.clock.advance(minutes=31)
    work(site)
    assert [(got.to, got.subject) for got in mail.mails] == [("mori@mail.example", "3 items wait for a moderator")]
    assert not open_tasks(site)


# --- failures -------------------------------------------------------------------------------------


def test_mails_wait_for_a_server_that_is_down(site: Host, mail: MailServer) -> None:
    mail.stop()
    site.comment()
    work(site)
    assert open_tasks(site)
    assert dead(site) == []
    mail.start()
    site.clock.advance(hours=1)
    work(site)
    assert len(mail.mails) == 1
    assert not open_tasks(site)


def test_a_server_that_refuses_for_now_is_asked_again_and_the_moderator_gets_one_mail(
    site: Host, mail: MailServer
) -> None:
    mail.refusal = "451 4.3.0 try again later"
    site.comment()
    work(site)
    mail.refusal = ""
    site.clock.advance(hours=1)
    work(site)
    assert (mail.offered, len(mail.mails)) == (2, 1)


def test_an_address_that_is_refused_for_good_is_left_to_a_person_who_can_try_again(
    site: Host, mail: MailServer
) -> None:
    mail.refused_address = "550 5.1.1 no such user"
    site.comment()
    work(site)
    (task,) = dead(site)
    assert task.error == "the mail server refused the address (there is no such mailbox): 550 5.1.1 no such user"
    mail.refused_address = ""
    told = site.app.test_cli_runner().invoke(args=["moderate", "tasks", "dead"])
    assert "mail to mori@mail.example" in told.output
    assert "no such user" in told.output
    assert site.app.test_cli_runner().invoke(args=["moderate", "tasks", "replay", str(task.id)]).exit_code == 0
    work(site)
    assert len(mail.mails) == 1
    assert dead(site) == []


def test_a_server_that_stays_away_for_days_is_given_up_and_can_be_tried_again(site: Host, mail: MailServer) -> None:
    mail.stop()
    site.comment()
    for _ in range(12):
        work(site)
        site.clock.advance(days=1)
    assert len(dead(site)) == 1
    mail.start()
    assert (
        "1 will be tried again"
        in site.app.test_cli_runner().invoke(args=["moderate", "tasks", "replay", "--all"]).output
    )
    work(site)
    assert len(mail.mails) == 1


def test_a_worker_that_dies_after_the_mail_and_before_its_note_sends_the_same_mail_again(
    site: Host, mail: MailServer
) -> None:
    """At least once: the receiver can tell the repeat by its id."""
    site.comment()
    store = site.state.desk.store
    with site.app.app_context():
        (task,) = store.tasks.lease_due(site.clock.now(), limit=1, seconds=120)
        keep = store.nonces.use_once
        store.nonces.use_once = die
        with pytest.raises(Died):
            run(site.state.desk, task)
        store.nonces.use_once = keep
        assert run_due(site.state.desk) == 0  # The dead worker's lease still holds.
    site.clock.advance(minutes=3)
    work(site)
    assert len(mail.mails) == 2
    assert mail.mails[0].id == mail.mails[1].id
    assert not open_tasks(site)


class SettableClock(ManualClock):
    """A clock that somebody sets, while the monotonic one goes on as ever."""

    def set_ahead(self, hours: float) -> None:
        self._now += timedelta(hours=hours)


def test_a_clock_that_is_set_ahead_does_not_end_the_leases_of_workers_that_are_busy(
    tmp_path: Path, mail: MailServer
) -> None:
    """Two workers on one host: the mail of the one must not be sent by the other as well."""
    clock = SettableClock()
    site = a_site(tmp_path, mail.port, extension={"clock": clock})
    pool = ThreadPool(site.app, site.state.desk)
    site.comment()
    with site.app.app_context():
        (task,) = site.state.desk.store.tasks.lease_due(clock.now(), limit=1, seconds=LEASE)
        clock.set_ahead(hours=1)
        pool.drain()
        assert mail.mails == []
        run(site.state.desk, task)
        pool.drain()
        assert len(mail.mails) == 1
        assert not open_tasks(site)

        # What a worker that died had begun waits for as long as a lease lasts.
        site.comment("The river froze once more.")
        site.state.desk.store.tasks.lease_due(clock.now(), limit=1, seconds=LEASE)
        clock.set_ahead(hours=-1)
        clock.set_ahead(hours=2)
        pool.drain()
        assert len(mail.mails) == 1
        clock.advance(seconds=LEASE + 1)
        pool.drain()
        assert len(mail.mails) == 2
        assert not open_tasks(site)


class Died(KeyboardInterrupt):
    """Ends a worker at once, as a kill does; all other errors are kept with the task."""


def die(*_: object) -> bool:
    raise Died


def test_a_moderator_who_left_the_settings_gets_what_was_meant_for_nobody(
    tmp_path: Path, site: Host, mail: MailServer
) -> None:
    site.comment()
    later = a_site(tmp_path, mail.port, NAO)
    work(later)
    assert mail.mails == []
    assert not open_tasks(later)


def test_without_a_mail_server_no_task_is_written(tmp_path: Path) -> None:
    site = a_site(tmp_path, 25, MODERATE_MAIL_SERVER="")
    site.comment()
    assert not open_tasks(site)


# --- for development ------------------------------------------------------------------------------


def test_mails_can_go_to_a_folder(tmp_path: Path) -> None:
    site = a_site(tmp_path, 25, MODERATE_MAIL_SERVER="file:mails")
    site.comment()
    work(site)
    (kept,) = (tmp_path / "mails").glob("*.eml")
    assert b"Subject: Comment by Mika on About thaw" in kept.read_bytes()


def test_mails_can_go_to_the_terminal_and_do_nothing_to_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    site = a_site(tmp_path, 25, MODERATE_MAIL_SERVER="console")
    site.comment("Ring \x07 the \x1b[31mbell.", author="Mi\x1b[2Jka")
    work(site)
    told = capsys.readouterr().err
    assert "mail to mori@mail.example: Comment by Mi" in told
    assert not [char for char in told if not char.isprintable() and char != "\n"]


def test_a_trial_mail_tells_whether_the_server_takes_it(site: Host, mail: MailServer) -> None:
    runner = site.app.test_cli_runner()
    assert "no item yet" in runner.invoke(args=["moderate", "mail", "try", "mori@mail.example"]).output
    site.comment()
    assert runner.invoke(args=["moderate", "mail", "try", "nobody@mail.example"]).exit_code == 1
    assert "taken" in runner.invoke(args=["moderate", "mail", "try", "Mori@mail.example"]).output
    assert len(mail.mails) == 1
    mail.refused_address = "550 no"
    assert "550 no" in runner.invoke(args=["moderate", "mail", "try", "mori@mail.example"]).output
