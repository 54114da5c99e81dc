"""The protocols read any bytes, or name what is wrong with them."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import pytest
from flask import Request
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.test import EnvironBuilder

from moderate.errors import Refused
from moderate.http.operation import FORM
from moderate.protocols.comment import read_urlencoded
from moderate.protocols.pingback import Pingback
from moderate.protocols.trackback import Trackback
from moderate.protocols.webmention import Webmention
from moderate.text.clean import clean
from moderate.text.tags import Policy
from tests.unit.protocols.stand_in import ARTICLE, StandInEdge

if TYPE_CHECKING:
    from moderate.model import Raw
    from moderate.protocols.base import InboundProtocol

PROTOCOLS: list[InboundProtocol] = [Trackback(), Pingback(), Webmention()]

TYPES = st.sampled_from(
    ["", "text/xml", "application/json", "multipart/form-data", "multipart/form-data; boundary=x", "\xff\xfe;;=",
     "application/x-www-form-urlencoded", "application/x-www-form-urlencoded; charset=sjis", "a/b; charset=" + "u" * 99]
)  # fmt: skip

NAMES = st.sampled_from([b"url", b"title", b"excerpt", b"charset", b"source", b"target", b"URL", b"amp;url", b""])
ADDRESSES = st.sampled_from([b"https://blog.example/post", b"http%3A%2F%2Fa.example", b"https://[::1]:80/", b"//x"])
FORMS = st.lists(st.tuples(NAMES, ADDRESSES | st.binary(max_size=40)), max_size=8).map(
    lambda pairs: b"&".join(name + b"=" + value for name, value in pairs)
)
TAGS = ["methodCall", "methodName", "params", "param", "value", "string", "name", "int"]
PIECES = st.sampled_from(
    [*(f"<{tag}>" for tag in TAGS), *(f"</{tag}>" for tag in TAGS), "pingback.ping", "https://a.example/?a=1&b=2",
     "&amp;", "&#0;", "<!DOCTYPE m [", "<!ENTITY a 'b'>", "]>", "<?xml version='1.0' encoding='", "utf-16", "'?>",
     "<![CDATA[", "]]>"]
)  # fmt: skip
CALLS = st.lists(PIECES, max_size=30).map(lambda pieces: "".join(pieces).encode())
PAIRS = st.lists(
    st.sampled_from([b"text", b"url", b"=", b"&", b"+", b";", b"%", b"%c3%A9", b"%C3", b"%0d%0A", b"%00", b"\xc3\xa9"]),
    max_size=12,
).map(b"".join)
PART = b'--x\r\nContent-Disposition: form-data; name="url"\r\n\r\n'
PARTS = st.lists(st.sampled_from([PART, b"--x\r\n", b"--x--", b"\r\n"]) | st.binary(max_size=20), max_size=9).map(
    b"".join
)


@given(PAIRS)
def test_a_comment_form_is_read_as_by_the_standard_library(body: bytes) -> None:
    request = Request(EnvironBuilder(method="POST", data=body, content_type=FORM).get_environ())
    try:
        expected = parse_qsl(body.decode(), keep_blank_values=True, errors="strict")
    except UnicodeDecodeError:
        with pytest.raises(Refused):
            read_urlencoded(request)
    else:
        # The first of equal names counts.
        assert read_urlencoded(request) == dict(reversed(expected))


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda protocol: protocol.name)
@given(body=st.binary(max_size=400) | FORMS | CALLS | PARTS, content_type=TYPES)
def test_reading_ends_in_a_raw_submission_or_a_refusal(
    protocol: InboundProtocol, body: bytes, content_type: str
) -> None:
    request = Request(EnvironBuilder(method="POST", data=body, content_type=content_type).get_environ())
    edge: Any = StandInEdge()
    # Anything else than a refusal goes through and fails the test.
    with contextlib.suppress(Refused):
        check(protocol.read(request, "1", edge))


def check(raw: Raw) -> None:
    """Check that the fields are bounded, and that cleaning accepts or refuses them."""
    assert raw.source_url is not None
    assert raw.source_url.startswith(("http", "HTTP"))
    assert len(raw.source_url) <= 2048
    for text in (raw.title, raw.blog_name, raw.text, raw.source_url, raw.target_url):
        assert (text or "").encode().decode() == (text or "")
    clean(raw, ARTICLE, Policy(), require_author=False)
