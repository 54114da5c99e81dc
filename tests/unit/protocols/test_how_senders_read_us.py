"""The answers as deployed senders read them: each with its own regular expression, after protocols' notes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from moderate.errors import Closed, Invalid, RateLimited, Refused, ServiceDown
from moderate.protocols.pingback import REGISTERED, fault
from moderate.protocols.trackback import SUCCESS, Trackback, failure, message_of, status_of

if TYPE_CHECKING:
    from collections.abc import Callable


def movable_type(status: int, body: str) -> bool:
    found = re.search(r"<error>(\d+).*<message>(.+?)</message>", body, re.DOTALL)
    return 200 <= status < 300 and not (found and int(found[1]))


def serendipity(status: int, body: str) -> bool:
    found = re.search(r"<error>(\d+)</error>", body)
    if found and int(found[1]):
        assert re.search(r"<message>([^<]+)", body)
        return False
    return True


def dotclear(status: int, body: str) -> bool:
    found = re.search(r"<response>.*<error>(.*)</error>", body, re.DOTALL)
    assert found, "not a ping address"
    return found[1].strip() == "0"


def pear(status: int, body: str) -> bool:
    found = re.search(r"<error>([0-9]+)</error>", body)
    return status == 200 and found is not None and int(found[1]) == 0


def nucleus(status: int, body: str) -> bool:
    return status == 200 and "<error>0</error>" in body


def indieweb_utils(status: int, body: str) -> bool:
    found = re.search(r"<response>.*?<error>(.*?)</error>", body, re.DOTALL)
    return status == 200 and found is not None and found[1] == "0"


def npm_trackback(status: int, body: str) -> bool:
    found = re.search(r"<error>(.*?)</error>", body)
    return status == 200 and (found is None or found[1] == "0")


TRACKBACK_READERS = [movable_type, serendipity, dotclear, pear, nucleus, indieweb_utils, npm_trackback]


@pytest.mark.parametrize("reader", TRACKBACK_READERS)
def test_every_trackback_sender_reads_success(reader: Callable[[int, str], bool]) -> None:
    assert reader(200, SUCCESS.decode())


@pytest.mark.parametrize(
    "error",
    [
        Closed("Pings are closed."),
        Invalid.field("url", "Line\nend & <tag> 0"),
        Refused(" "),
        RateLimited(3),
        ServiceDown("x"),
    ],
)
@pytest.mark.parametrize("reader", TRACKBACK_READERS)
def test_every_trackback_sender_reads_failure(reader: Callable[[int, str], bool], error: Refused | ServiceDown) -> None:
    answer = failure(message_of(error), status_of(error))
    assert not reader(answer.status_code, answer.get_data(as_text=True))


def serendipity_pingback(body: str) -> bool:
    return "<fault>" not in body


def npm_pingback(body: str) -> bool:
    return "fault" not in body


def mention_client(body: str) -> bool:
    packed = re.sub(r"\s", "", body).lower()
    return "<string>" in packed and "<fault>" not in packed


def npm_code(body: str) -> int:
    found = re.search(r"<int>(\d+)[^¡]*?<string>([^<]+)", body)
    assert found
    return int(found[1])


@pytest.mark.parametrize("reader", [serendipity_pingback, npm_pingback, mention_client])
def test_every_pingback_sender_distinguishes_success_from_a_fault(reader: Callable[[str], bool]) -> None:
    assert reader(REGISTERED.decode())
    assert not reader(fault(33, "No.").decode())
    assert npm_code(fault(33, "No.").decode()) == 33


def test_the_response_holds_only_the_xml_document() -> None:
    for body in (SUCCESS, failure("x").data, REGISTERED, fault(1, "x")):
        assert body.startswith(b'<?xml version="1.0" encoding="utf-8"?>\n')
        assert body.endswith(b">\n")
        assert b"\r" not in body
    assert Trackback.rule == "/trackback/<path:article>"
