"""The reader of calls: what it takes, what it refuses, and with which code."""

from __future__ import annotations

import xmlrpc.client

import pytest

from moderate.protocols.pingback import (
    BAD_ENCODING,
    MAX_DEPTH,
    NOT_A_CALL,
    NOT_WELL_FORMED,
    REGISTERED,
    Call,
    Parameter,
    PingRefused,
    fault,
    read_call,
)

SOURCE, TARGET = "https://blog.example/post", "https://site.example/a/1"
PING = Call("pingback.ping", (Parameter(SOURCE), Parameter(TARGET)))


def call(source: str = f"<string>{SOURCE}</string>", target: str = f"<string>{TARGET}</string>", head: str = "") -> str:
    params = f"<param><value>{source}</value></param><param><value>{target}</value></param>"
    return f"{head}<methodCall><methodName>pingback.ping</methodName><params>{params}</params></methodCall>"


@pytest.mark.parametrize(
    "body",
    [
        call().encode(),
        call(SOURCE, TARGET).encode(),
        call(f"\n <string>\n{SOURCE}\t</string>\n", f"  {TARGET}\n").encode(),
        call(f"<![CDATA[{SOURCE}]]>").encode(),
        call(f"<string><![CDATA[{SOURCE}]]></string>").encode(),
        b"\xef\xbb\xbf" + call(head='<?xml version="1.0"?>').encode(),
        ("\r\n" + call(head='<?xml version="1.0"?>')).encode(),
        call(head='<?xml version="1.0" encoding="ISO-8859-1"?>').encode(),
        call(head="<!-- hi --><?x y?>").encode(),
        call(SOURCE.replace("/", "&#47;")).encode(),
        xmlrpc.client.dumps((SOURCE, TARGET), "pingback.ping").encode(),
    ],
)
def test_calls_in_all_common_spellings_are_parsed(body: bytes) -> None:
    assert read_call(body) == PING


def test_declared_latin_1_and_undeclared_utf_8_are_decoded() -> None:
    latin = call("https://a.example/é", head='<?xml version="1.0" encoding="iso-8859-1"?>').encode("latin-1")
    assert read_call(latin).parameters[0].text == "https://a.example/é"
    assert read_call(call("https://a.example/日本").encode()).parameters[0].text == "https://a.example/日本"


def test_bare_ampersands_are_repaired_and_references_kept() -> None:
    body = call("https://a.example/?a=1&b=2&amp;c=3&#38;d&copy=4").encode()
    assert read_call(body).parameters[0].text == "https://a.example/?a=1&b=2&c=3&d&copy=4"


def test_only_short_pings_without_declarations_are_repaired() -> None:
    bare = call("https://a.example/?a&b")
    for body in (bare + "<!-- c -->", bare.replace("pingback.ping", "other"), bare + "<?x" + "x" * 8192 + "?>"):
        with pytest.raises(PingRefused) as refused:
            read_call(body.encode())
        assert refused.value.fault == NOT_WELL_FORMED


@pytest.mark.parametrize(
    "head",
    [
        "<!DOCTYPE methodCall>",
        '<!DOCTYPE m [<!ENTITY a "b">]>',
        '<!DOCTYPE m SYSTEM "file:///etc/passwd">',
        '<!DOCTYPE m PUBLIC "x" "http://127.0.0.1:9/x.dtd">',
        '<!DOCTYPE m [<!ENTITY % a SYSTEM "http://127.0.0.1:9/"> %a;]>',
        "<?xml version='1.0'?>\n<!doctype html>",
    ],
)
def test_any_document_type_is_refused(head: str) -> None:
    with pytest.raises(PingRefused) as refused:
        read_call(call(head=head).encode())
    assert refused.value.fault == NOT_WELL_FORMED


@pytest.mark.parametrize(
    "label", ["utf-7", "utf-16", "shift_jis", "unicode_escape", "zlib_codec", "idna", "cp037", "x"]
)
def test_other_charsets_are_refused_before_any_codec_is_looked_up(label: str) -> None:
    with pytest.raises(PingRefused) as refused:
        read_call(call(head=f'<?xml version="1.0" encoding="{label}"?>').encode())
    assert refused.value.fault == BAD_ENCODING


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_wide_charsets_are_refused(codec: str) -> None:
    with pytest.raises(PingRefused) as refused:
        read_call(call(head="<!DOCTYPE m>").encode(codec))
    assert refused.value.fault == BAD_ENCODING


@pytest.mark.parametrize("broken", [b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xe9"])
def test_bytes_that_do_not_fit_the_charset_are_refused(broken: bytes) -> None:
    with pytest.raises(PingRefused) as refused:
        read_call(call("https://a.example/x").encode().replace(b"x<", broken + b"<"))
    assert refused.value.fault == BAD_ENCODING


@pytest.mark.parametrize(
    "body",
    [
        "",
        " ",
        "{}",
        "source=x&target=y",
        "<methodCall>",
        "<methodCall></a>",
        "<methodCall/><methodCall/>",
        call() + "x",
    ],
)
def test_text_that_is_no_xml_gets_the_fault_not_well_formed(body: str) -> None:
    with pytest.raises(PingRefused) as refused:
        read_call(body.encode())
    assert refused.value.fault == NOT_WELL_FORMED


@pytest.mark.parametrize(
    "body",
    [
        "<html>",
        "<methodCall><a></methodCall>",
        "<methodCall/>",
        "<methodCall><methodName/></methodCall>",
        "<methodResponse><params/></methodResponse>",
        "<m:methodCall xmlns:m='u'><m:methodName>pingback.ping</m:methodName></m:methodCall>",
        "<methodCall><methodName>x</methodName><evil/></methodCall>",
        call("<array>" * MAX_DEPTH + "</array>" * MAX_DEPTH),
        call("<i/>" * 250),
        call("x" * 9000),
    ],
)
def test_xml_that_is_no_call_gets_its_own_fault(body: str) -> None:
    with pytest.raises(PingRefused) as refused:
        read_call(body.encode())
    assert refused.value.fault == NOT_A_CALL


@pytest.mark.parametrize(
    "value",
    ["<int>1</int>", "<nil/>", "<base64>eA==</base64>",
     "<struct><member><name>a</name><value>b</value></member></struct>",
     "<array><data><value>x</value></data></array>", f"<weird>{SOURCE}</weird>", f"<string>{SOURCE}<b/></string>"],
)  # fmt: skip
def test_values_of_other_types_are_not_read_as_strings(value: str) -> None:
    assert read_call(call(value).encode()).parameters == (Parameter(None), Parameter(TARGET))


def test_named_parameters_keep_their_names() -> None:
    body = call().replace("<param>", "<param><name>n</name>")
    assert [given.name for given in read_call(body.encode()).parameters] == ["n", "n"]


def test_responses_can_be_parsed_by_the_standard_library() -> None:
    assert xmlrpc.client.loads(REGISTERED)[0] == ("Pingback registered. It is shown once it has been checked.",)
    with pytest.raises(xmlrpc.client.Fault) as raised:
        xmlrpc.client.loads(fault(17, "a < b & c"))
    assert (raised.value.faultCode, raised.value.faultString) == (17, "a < b & c")
