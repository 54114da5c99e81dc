"""Moderators get mails about pending items: once, after the verdict, and few in a wave. With a real SMTP server."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from moderate.errors import ServiceDown
from moderate.tasks.run import run
from moderate.tasks.scheduler import LEASE
from moderate.tasks.worker import ThreadPool
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


def test_a_pending_item_is_mailed_once_to_each_moderator(tmp_path: Path, mail: MailServer) -> None:
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
def test_a_site_with_an_internationalized_name_sends_its_mails(
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


def test_a_mail_shows_link_destinations_and_marks_deceptive_links(site: Host, mail: MailServer) -> None:
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


def test_a_mail_lists_a_limited_number_of_links(site: Host, mail: MailServer) -> None:
    site.comment(" ".join(f"https://site{number}.example/" for number in range(100)))
    work(site)
    assert mail.mails[0].text.count("Link: ") == 20


def test_each_moderator_gets_mails_in_their_own_language(tmp_path: Path, mail: MailServer) -> None:
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


def test_mails_use_the_language_of_the_site_by_default(tmp_path: Path, mail: MailServer) -> None:
    site = a_site(tmp_path, mail.port, MORI, {**NAO, "language": "en"}, MODERATE_LANGUAGE="ja")
    site.comment()
    work(site)
    subjects = {got.to: got.subject for got in mail.mails}
    assert subjects == {
        "mori@mail.example": "「About thaw」へのコメント：Mika",
        "nao@mail.example": "Comment by Mika on About thaw",
    }


def test_no_mail_is_sent_about_spam_or_public_items(tmp_path: Path, mail: MailServer) -> None:
    site = a_site(tmp_path, mail.port, MODERATE_PREMODERATION="none")
    assert site.trapped("I fill in what people do not see.").status_code == 202
    assert site.comment("Nothing is wrong with me.").status_code == 201
    assert "notify" not in kinds(site)
    work(site)
    assert mail.mails == []


def test_no_mail_is_sent_before_slow_checks_have_finished(tmp_path: Path, mail: MailServer) -> None:
    site, service = asked_service(tmp_path, mail, ServiceDown("akismet", "down"), "ham")
    site.comment()
    work(site)
    assert mail.mails == []
    site.clock.advance(hours=1)
    work(site)
    assert [got.to for got in mail.mails] == ["mori@mail.example"]
    assert len(service.samples) == 2


def test_no_mail_is_sent_about_an_item_found_to_be_spam_by_a_late_verdict(tmp_path: Path, mail: MailServer) -> None:
    site, _ = asked_service(tmp_path, mail, "spam")
    site.comment()
    work(site)
    assert mail.mails == []
    assert site.counts() == {"comments": 0, "trackbacks": 0}
    assert not open_tasks(site)


def test_a_mail_is_sent_when_a_check_that_never_answers_is_given_up(tmp_path: Path, mail: MailServer) -> None:
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
    """Return a site and its spam service, which gives *answers* in turn."""
    from dataclasses import replace

    from moderate.checks.order import CHECKS, in_use
    from moderate.ports import SpamWord

    service = ScriptedSpamService(*(SpamWord(a) if isinstance(a, str) else a for a in answers))
    site = a_site(folder, mail.port)
    services = replace(site.state.desk.services, spam=service)
    desk = replace(site.state.desk, services=services, checks=in_use(CHECKS, services))
    site.app.extensions["moderate"] = replace(site.state, desk=desk)
    return site, service


def test_no_mail_is_sent_about_an_item_decided_before_sending(site: Host, mail: MailServer) -> None:
    site.decide(site.comment().json["id"], "approve")
    work(site)
    assert mail.mails == []


def test_a_changed_text_is_mailed_again_in_the_same_thread(site: Host, mail: MailServer) -> None:
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


def test_a_moderator_who_holds_an_item_gets_no_mail_about_it(site: Host, mail: MailServer) -> None:
    number = site.comment().json["id"]
    work(site)
    site.decide(number, "approve", 1)
    site.decide(number, "hold", 2)
    work(site)
    assert len(mail.mails) == 1


# --- many -----------------------------------------------------------------------------------------


def test_a_wave_of_300_items_causes_a_handful_of_mails(site: Host, mail: MailServer) -> None:
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


def test_the_first_item_after_a_digest_is_mailed_alone_again(site: Host, mail: MailServer) -> None:
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


def test_items_decided_while_a_digest_is_collected_are_left_out(site: Host, mail: MailServer) -> None:
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


def test_two_concurrent_workers_send_one_digest(site: Host, mail: MailServer) -> None:
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


def test_a_digest_that_is_refused_for_good_is_tried_once(site: Host, mail: MailServer) -> None:
    for number in range(8):
        site.comment(f"Wave {number}.")
    work(site)
    offered = mail.offered
    mail.refusal = "554 5.7.1 refused"
    for _ in range(2):
        site.clock.advance(hours=1)
        work(site)
    assert mail.offered == offered + 1
    assert len(dead(site)) == 1
    assert not open_tasks(site)


def test_a_repeated_ping_without_changes_is_mailed_once(tmp_path: Path, mail: MailServer) -> None:
    site = a_site(tmp_path, mail.port, MODERATE_VERIFY_PINGS="off")
    ping = {"url": "http://blog.example/1", "title": "On thaw", "excerpt": "They wrote.", "blog_name": "A blog"}
    for _ in range(3):
        assert "<error>0</error>" in site.client.post("/discuss/trackback/thaw", data=ping).text
        work(site)
        site.clock.advance(days=1)
    assert [got.subject for got in mail.mails] == ["Trackback by A blog on About thaw"]


def test_digests_are_sent_once_an_hour_and_never_to_moderators_without_mails(tmp_path: Path, mail: MailServer) -> None:
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


def test_mails_are_retried_when_the_server_is_down(site: Host, mail: MailServer) -> None:
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


def test_a_temporary_refusal_is_retried_and_sends_one_mail(site: Host, mail: MailServer) -> None:
    mail.refusal = "451 4.3.0 try again later"
    site.comment()
    work(site)
    mail.refusal = ""
    site.clock.advance(hours=1)
    work(site)
    assert (mail.offered, len(mail.mails)) == (2, 1)


def test_a_permanently_refused_mail_is_given_up_and_can_be_retried(site: Host, mail: MailServer) -> None:
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


def test_a_mail_is_given_up_after_days_of_outage_and_can_be_retried(site: Host, mail: MailServer) -> None:
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


def test_a_worker_that_dies_before_recording_the_mail_sends_the_same_mail_again(site: Host, mail: MailServer) -> None:
    """At least once: the receiver can recognize the repeat by its id."""
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
    """A clock that can be set, while the monotonic one is not affected."""

    def set_ahead(self, hours: float) -> None:
        self._now += timedelta(hours=hours)


def test_a_clock_set_ahead_does_not_end_the_leases_of_busy_workers(tmp_path: Path, mail: MailServer) -> None:
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


def test_mail_for_a_moderator_removed_from_the_settings_is_dropped(
    tmp_path: Path, site: Host, mail: MailServer
) -> None:
    site.comment()
    later = a_site(tmp_path, mail.port, NAO)
    work(later)
    assert mail.mails == []
    assert not open_tasks(later)


def test_no_task_is_stored_without_a_mail_server(tmp_path: Path) -> None:
    site = a_site(tmp_path, 25, MODERATE_MAIL_SERVER="")
    site.comment()
    assert not open_tasks(site)


# --- for development ------------------------------------------------------------------------------


def test_mails_can_be_written_to_a_folder(tmp_path: Path) -> None:
    site = a_site(tmp_path, 25, MODERATE_MAIL_SERVER="file:mails")
    site.comment()
    work(site)
    (kept,) = (tmp_path / "mails").glob("*.eml")
    assert b"Subject: Comment by Mika on About thaw" in kept.read_bytes()


def test_mails_can_be_printed_without_terminal_control_characters(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site = a_site(tmp_path, 25, MODERATE_MAIL_SERVER="console")
    site.comment("Ring \x07 the \x1b[31mbell.", author="Mi\x1b[2Jka")
    work(site)
    told = capsys.readouterr().err
    assert "mail to mori@mail.example: Comment by Mi" in told
    assert not [char for char in told if not char.isprintable() and char != "\n"]


def test_a_test_mail_reports_whether_the_server_accepts_it(site: Host, mail: MailServer) -> None:
    runner = site.app.test_cli_runner()
    assert "no item yet" in runner.invoke(args=["moderate", "mail", "try", "mori@mail.example"]).output
    site.comment()
    assert runner.invoke(args=["moderate", "mail", "try", "nobody@mail.example"]).exit_code == 1
    assert "taken" in runner.invoke(args=["moderate", "mail", "try", "Mori@mail.example"]).output
    assert len(mail.mails) == 1
    mail.refused_address = "550 no"
    assert "550 no" in runner.invoke(args=["moderate", "mail", "try", "mori@mail.example"]).output
