"""The Akismet service against a real server on this machine that answers like Akismet."""

from __future__ import annotations

import logging
import multiprocessing
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from moderate.akismet import client, stand_in
from moderate.akismet.client import AkismetService
from moderate.akismet.stand_in import AkismetStandIn
from moderate.clock import SystemClock
from moderate.errors import ServiceDown
from moderate.outbound.client import Budget, OutboundClient
from moderate.ports import SpamSample, SpamWord
from moderate.testing import ManualClock

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = "abc123secretkey"

SAMPLE = SpamSample(
    user_ip="203.0.113.9",
    user_agent="Mozilla/5.0 (X11)",
    referrer="https://news.example.org/2026/ferry",
    permalink="https://news.example.org/2026/ferry",
    comment_type="reply",
    comment_author="Åsa",
    comment_author_email="asa@example.org",
    comment_author_url="https://asa.example.org/",
    comment_content="What a day & what a ferry – 你好",
    comment_date_gmt="2026-01-13T20:22:00+00:00",
    comment_post_modified_gmt="2026-01-12T08:00:00+00:00",
    comment_parent="17",
    comment_context=("The new ferry", "transport"),
    honeypot_field_name="homepage2",
    honeypot_value="x",
    blog_lang="sv",
)


@pytest.fixture
def server() -> Iterator[AkismetStandIn]:
    with AkismetStandIn() as server:
        yield server


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def service(server: AkismetStandIn, clock: ManualClock) -> Iterator[AkismetService]:
    service = AkismetService(KEY, "https://news.example.org/", clock=clock, base_url=server.url + "/", timeout=30)
    yield service
    service.close()


def said(text: str) -> SpamSample:
    return replace(SAMPLE, comment_content=text)


def test_a_good_comment_is_ham(service: AkismetService) -> None:
    answer = service.check(SAMPLE)
    assert (answer.word, answer.recheck_after, answer.guid) == (SpamWord.HAM, None, "stand-in-1")


def test_spam_and_blatant_spam_are_distinguished(service: AkismetService) -> None:
    assert service.check(replace(SAMPLE, comment_author="akismet-guaranteed-spam")).word is SpamWord.SPAM
    by_mail = replace(SAMPLE, comment_author_email="akismet-guaranteed-spam@example.com")
    assert service.check(by_mail).word is SpamWord.SPAM
    assert service.check(said("akismet-guaranteed-discard")).word is SpamWord.DISCARD


def test_every_field_of_the_sample_is_sent_as_submitted(server: AkismetStandIn, service: AkismetService) -> None:
    service.check(replace(SAMPLE, recheck_reason="edit"))
    fields = server.received[0].fields
    for name, value in SAMPLE.to_json().items():
        if isinstance(value, str) and name not in {"honeypot_value", "honeypot_field_name"}:
            assert fields[name] == [value], name
    assert fields["comment_context[]"] == ["The new ferry", "transport"]
    assert (fields["honeypot_field_name"], fields["homepage2"]) == (["homepage2"], ["x"])
    assert (fields["api_key"], fields["blog"]) == ([KEY], ["https://news.example.org/"])
    assert (fields["blog_charset"], fields["recheck_reason"]) == (["UTF-8"], ["edit"])
    assert not {"user_role", "is_test"} & set(fields)


def test_a_hidden_field_does_not_repeat_a_field_of_the_service(server: AkismetStandIn, service: AkismetService) -> None:
    service.check(replace(SAMPLE, honeypot_field_name="referrer"))
    assert server.received[0].fields["referrer"] == [SAMPLE.referrer]


def test_feedback_sends_the_same_sample_as_the_check(server: AkismetStandIn, service: AkismetService) -> None:
    """Reporting the moderator's own address as a spammer's is a well-known mistake."""
    service.check(SAMPLE)
    stored = SpamSample.from_json(SAMPLE.to_json())
    service.teach(stored, is_spam=True)
    service.teach(stored, is_spam=False)
    check, spam, ham = server.received
    assert (spam.path, ham.path) == ("submit-spam", "submit-ham")
    assert check.fields == spam.fields == ham.fields


def test_a_provisional_answer_has_the_time_of_the_recheck(service: AkismetService) -> None:
    answer = service.check(said("akismet-recheck-after"))
    assert (answer.word, answer.recheck_after) == (SpamWord.HAM, 120.0)
    assert service.check(replace(said("akismet-recheck-after"), recheck_reason="recheck")).recheck_after is None


def test_spam_is_final_whatever_else_the_answer_says(service: AkismetService, monkeypatch: pytest.MonkeyPatch) -> None:
    reply = stand_in.Reply("true", {"X-akismet-recheck-after": "120"})
    monkeypatch.setitem(stand_in.REPLIES, "akismet-recheck-after", reply)
    answer = service.check(said("akismet-recheck-after"))
    assert (answer.word, answer.recheck_after) == (SpamWord.SPAM, None)


def test_a_warning_about_the_account_is_reported(service: AkismetService) -> None:
    answer = service.check(said("akismet-alert"))
    assert (answer.alert_code, answer.alert_msg) == ("10011", "Over the monthly limit")


@pytest.mark.parametrize(
    ("marker", "kind", "minutes"),
    [
        ("akismet-invalid", "bad-key", 360),
        ("akismet-garbage", "protocol", 20),
        ("akismet-empty", "protocol", 20),
        ("akismet-error", "refused", 20),
        ("akismet-status-500", "refused", 20),
        ("akismet-status-429", "refused", 120),
        ("akismet-redirect", "refused", 20),
        ("akismet-long", "refused", 20),
    ],
)
def test_no_failure_is_read_as_a_verdict(service: AkismetService, marker: str, kind: str, minutes: int) -> None:
    with pytest.raises(ServiceDown) as caught:
        service.check(said(marker))
    assert (caught.value.service, caught.value.kind) == ("akismet", kind)
    assert caught.value.retry_after == minutes * 60


def test_feedback_without_the_expected_answer_is_a_failure(server: AkismetStandIn) -> None:
    bad = AkismetService("bad-key", "https://news.example.org/", clock=ManualClock(), base_url=server.url)
    with pytest.raises(ServiceDown) as caught:
        bad.teach(SAMPLE, is_spam=True)
    assert caught.value.kind == "bad-key"
    bad.close()


def test_the_key_is_verified_only_by_an_exact_answer(server: AkismetStandIn, service: AkismetService) -> None:
    assert service.verify()
    bad = AkismetService("bad-key", "https://news.example.org/", clock=ManualClock(), base_url=server.url)
    assert not bad.verify()
    bad.close()


def test_usage_is_read_and_the_key_is_not_in_the_address(server: AkismetStandIn, service: AkismetService) -> None:
    usage = service.usage()
    assert (usage.limit, usage.used, usage.percentage, usage.throttled) == (500, 25, 5.0, False)
    assert server.received[0].get("api_key") == KEY


def test_a_silent_server_is_left_after_the_timeout(server: AkismetStandIn) -> None:
    clock = SystemClock()
    service = AkismetService(KEY, "https://news.example.org/", clock=clock, base_url=server.url, timeout=0.2)
    started = clock.monotonic()
    with pytest.raises(ServiceDown) as caught:
        service.check(said("akismet-slow"))
    assert caught.value.kind == "timeout"
    assert clock.monotonic() - started < 20
    service.close()


def test_a_server_that_drips_bytes_cannot_extend_the_timeout() -> None:
    """Every byte renews a client's own time-out; the deadline of the whole call does not move."""
    stop = threading.Event()

    def drip(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            while not stop.wait(0.05):
                try:
                    connection.sendall(b"a")
                except OSError:
                    return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=drip, args=(listener,))
        thread.start()
        clock = SystemClock()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        service = AkismetService(KEY, "https://news.example.org/", clock=clock, base_url=url, timeout=0.4)
        started = clock.monotonic()
        with pytest.raises(ServiceDown) as caught:
            service.check(SAMPLE)
        assert caught.value.kind == "timeout"
        assert clock.monotonic() - started < 20
        stop.set()
        thread.join()
        service.close()


def test_a_closed_port_is_reported_as_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    service = AkismetService(KEY, "https://news.example.org/", clock=ManualClock(), base_url=url)
    with pytest.raises(ServiceDown) as caught:
        service.check(SAMPLE)
    assert caught.value.kind == "refused"
    service.close()


def test_a_service_that_keeps_failing_is_paused_and_tried_again(
    server: AkismetStandIn, service: AkismetService, clock: ManualClock
) -> None:
    for _ in range(5):
        with pytest.raises(ServiceDown):
            service.check(said("akismet-status-500"))
    with pytest.raises(ServiceDown) as caught:
        service.check(SAMPLE)
    assert (caught.value.kind, len(server.received)) == ("resting", 5)
    clock.advance(seconds=caught.value.retry_after + 1)
    assert service.check(SAMPLE).word is SpamWord.HAM
    assert service.check(SAMPLE).word is SpamWord.HAM


def test_the_key_is_in_no_error_log_or_repr(
    server: AkismetStandIn, service: AkismetService, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    texts = [repr(service), repr(SAMPLE)]
    for marker in ("akismet-invalid", "akismet-echo", "akismet-status-500", "akismet-error"):
        try:
            service.check(said(f"{marker} {KEY}"))
        except ServiceDown as error:
            logging.getLogger("moderate").exception("held")
            texts += [str(error), repr(error)]
    service.usage()
    service.verify()
    texts += [record.getMessage() for record in caplog.records] + [caplog.text]
    assert len(caplog.records) > 4
    assert [text for text in texts if KEY in text] == []


def test_a_key_quoted_by_the_service_is_removed_from_messages(server: AkismetStandIn) -> None:
    quoting = AkismetService("the blog URI", "https://news.example.org/", clock=ManualClock(), base_url=server.url)
    with pytest.raises(ServiceDown) as caught:
        quoting.check(said("akismet-status-500"))
    assert "blog URI" not in str(caught.value)
    quoting.close()
    parsed = AkismetService("your blog URI", "https://news.example.org/", clock=ManualClock(), base_url=server.url)
    with pytest.raises(ServiceDown) as caught:
        parsed.check(said("akismet-invalid"))
    assert "(key)" in str(caught.value)
    parsed.close()
    warned = AkismetService("monthly", "https://news.example.org/", clock=ManualClock(), base_url=server.url)
    assert warned.check(said("akismet-alert")).alert_msg == "Over the (key) limit"
    warned.close()


def test_threads_share_one_client_without_mixing_answers(server: AkismetStandIn) -> None:
    service = AkismetService(KEY, "https://news.example.org/", clock=SystemClock(), base_url=server.url, timeout=20)
    markers = {"akismet-alert": "10011", "akismet-recheck-after": "", "hello": ""}

    def ask(number: int) -> bool:
        marker = list(markers)[number % 3]
        answer = service.check(replace(said(f"{marker} {number}"), comment_parent=str(number)))
        return (answer.alert_code == markers[marker]) and ((answer.recheck_after == 120) is (number % 3 == 1))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(200)))
    sent = {
        (received.get("comment_content").split()[-1], received.get("comment_parent")) for received in server.received
    }
    assert sent == {(str(number), str(number)) for number in range(200)}
    assert server.connections <= 8
    service.close()


def test_one_connection_serves_successive_calls(server: AkismetStandIn, service: AkismetService) -> None:
    for _ in range(5):
        service.check(SAMPLE)
    assert server.connections == 1


def in_child(service: AkismetService, answers: multiprocessing.Queue[str]) -> None:
    answers.put(service.check(SAMPLE).word.value)
    service.close()


def test_a_forked_process_makes_its_own_client(server: AkismetStandIn, service: AkismetService) -> None:
    """Two processes on one socket would read each other's answers."""
    service.check(SAMPLE)
    context = multiprocessing.get_context("fork")
    answers: multiprocessing.Queue[str] = context.Queue()
    child = context.Process(target=in_child, args=(service, answers))
    child.start()
    assert answers.get(timeout=20) == "ham"
    child.join()
    assert service.check(SAMPLE).word is SpamWord.HAM
    assert server.connections == 2
    answers.close()


def test_a_sample_survives_storage_with_unknown_field_names() -> None:
    assert SpamSample.from_json({**SAMPLE.to_json(), "of_a_later_version": "x"}) == SAMPLE
    assert SpamSample.from_json({}) == SpamSample(user_ip="")


def test_a_silent_name_server_is_a_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    answered = threading.Event()

    def resolver(*_: Any, **__: Any) -> list[tuple[Any, ...]]:
        answered.wait(30)
        return []

    clock = SystemClock()
    monkeypatch.setattr(client, "OutboundClient", partial(OutboundClient, resolver=resolver))
    url = "http://akismet.example"
    service = AkismetService(KEY, "https://news.example.org/", clock=clock, base_url=url, timeout=0.3)
    started = clock.monotonic()
    with pytest.raises(ServiceDown) as caught:
        service.check(SAMPLE)
    assert caught.value.kind == "timeout"
    assert clock.monotonic() - started < 20
    answered.set()
    service.close()


def test_an_unknown_host_name_is_reported() -> None:
    url = "http://akismet.invalid"
    service = AkismetService(KEY, "https://news.example.org/", clock=SystemClock(), base_url=url)
    with pytest.raises(ServiceDown, match=r"akismet\.invalid could not be") as caught:
        service.check(SAMPLE)
    assert caught.value.kind == "refused"
    service.close()


def test_the_next_address_is_tried_after_a_refused_connection(server: AkismetStandIn) -> None:
    port = urlsplit(server.url).port or 0

    def resolver(*_: Any, **__: Any) -> list[tuple[Any, ...]]:
        return [(socket.AF_INET, 1, 6, "", (address, port)) for address in ("127.0.0.9", "127.0.0.1")]

    budget = Budget.of(SystemClock(), 10, 1000)
    OutboundClient(resolver=resolver).backend(lambda: budget).connect_tcp("rest.akismet.com", port).close()
