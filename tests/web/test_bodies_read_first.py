"""Requests whose body code of the host has read before moderate is asked."""

from __future__ import annotations

import re
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus

import pytest
from flask import Request as FlaskRequest
from flask import request, request_started
from flask.sessions import SecureCookieSessionInterface
from flask_wtf.csrf import CSRFProtect
from werkzeug.wrappers import Request

from moderate import Moderator
from tests.sites import Host
from tests.unit.protocols.stand_in import exchange, serving

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from flask import Flask

TEXT = "Der Fluß ist „zugefroren“: 100 % & +1 🙂"
FORM = "application/x-www-form-urlencoded"
BOUNDARY = "moderate"
MULTIPART = f"multipart/form-data; boundary={BOUNDARY}"


# --- what hosts do with a request ------------------------------------------------------------------


def before_each(read: Callable[[FlaskRequest], object]) -> Callable[[Flask], object]:
    """Let a ``before_request`` function of the host, registered before moderate is, read the request."""

    def install(app: Flask) -> None:
        def touch() -> None:
            read(request)

        app.before_request(touch)

    return install


def preprocessed(app: Flask) -> None:
    app.url_value_preprocessor(lambda *_: request.form.to_dict() and None)


def protected(app: Flask) -> None:
    CSRFProtect(app)


def counted(app: Flask) -> None:
    def receive(*_: object, **__: object) -> None:
        assert request.form is not None

    app.extensions["receiver"] = receive
    request_started.connect(receive, app)


class FormSessions(SecureCookieSessionInterface):
    """A session that may come in a field of the form, for clients without cookies."""

    def open_session(self, app: Flask, request: FlaskRequest) -> Any:
        request.form.get("session")
        return super().open_session(app, request)


def with_sessions_of_forms(app: Flask) -> None:
    app.session_interface = FormSessions()


def wrapped(app: Flask) -> None:
    inner = app.wsgi_app

    def middleware(environ: Any, start_response: Any) -> Any:
        Request(environ).form.get("_method")
        return inner(environ, start_response)

    app.wsgi_app = middleware  # type: ignore[method-assign]


def limited(app: Flask) -> None:
    app.config.update(MAX_CONTENT_LENGTH=20, MAX_FORM_MEMORY_SIZE=8, MAX_FORM_PARTS=1)
    before_each(lambda request: request.form)(app)


class OwnRequest(FlaskRequest):
    """Requests whose limits depend on what is asked, as Flask's documentation once showed it."""

    @property
    def max_content_length(self) -> int:  # type: ignore[override]
        return 10_000_000

    max_form_parts = max_form_memory_size = max_content_length  # type: ignore[assignment]


def with_requests_of_its_own(app: Flask) -> None:
    app.request_class = OwnRequest


HOSTS: dict[str, Callable[[Flask], object]] = {
    "form": before_each(lambda request: request.form),
    "values": before_each(lambda request: request.values.get("text")),
    "files": before_each(lambda request: request.files),
    "data": before_each(lambda request: request.data),
    "json": before_each(lambda request: request.get_json(silent=True)),
    "uncached data": before_each(lambda request: request.get_data(cache=False)),
    "stream": before_each(lambda request: request.stream.read()),
    "the WSGI input": before_each(lambda request: request.environ["wsgi.input"].read()),
    "a second request object": before_each(lambda request: Request(request.environ).form),
    "everything twice": before_each(lambda request: [request.form, request.data, request.stream.read()] * 2),
    "a URL value preprocessor": preprocessed,
    "CSRFProtect": protected,
    "a receiver of the same signal": counted,
    "a session in the form": with_sessions_of_forms,
    "WSGI middleware": wrapped,
    "limits of its own": limited,
    "requests of its own": with_requests_of_its_own,
}

ON_SOCKETS = [name for name in HOSTS if name != "WSGI middleware"]


class Early(Host):
    """A host whose own code is set up before moderate."""

    def __init__(self, folder: Path, reader: str, **config: Any) -> None:
        self.reader = reader
        super().__init__(folder, MODERATE_LIMITS={}, WTF_CSRF_TIME_LIMIT=None, **config)

    def prepare(self, app: Flask) -> None:
        HOSTS[self.reader](app)


@pytest.fixture(params=list(HOSTS))
def early(request: pytest.FixtureRequest, tmp_path: Path) -> Early:
    return Early(tmp_path, request.param)


def multipart(fields: dict[str, bytes]) -> bytes:
    part = '--{}\r\nContent-Disposition: form-data; name="{}"\r\n\r\n'
    parts = [part.format(BOUNDARY, name).encode() + value + b"\r\n" for name, value in fields.items()]
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def stored(host: Host) -> list[dict[str, Any]]:
    """All items as moderators see them, oldest first."""
    items: list[dict[str, Any]] = host.client.get("/discuss/moderation/items", headers=host.token()).json["items"]
    return items[::-1]


def test_comments_are_stored_as_typed(early: Early) -> None:
    fields = {"author": "Jürgen", "text": TEXT}
    page = {"Accept": "text/html"}
    assert early.client.post("/discuss/comments/thaw", data=fields, headers=page).status_code == 303
    sent = early.client.post("/discuss/comments/thaw", data=fields, content_type="multipart/form-data", headers=page)
    assert sent.status_code == 303
    written = early.client.post("/discuss/comments/thaw", json=fields).json
    assert [(item["author"]["name"], item["text"]) for item in stored(early)] == [("Jürgen", TEXT)] * 3

    path = f"/discuss/items/{written['id']}"
    changed = early.client.patch(path, json={"text": f"{TEXT}!", "edit_token": written["edit_token"]})
    assert changed.status_code == 200, changed.text
    assert stored(early)[2]["text"] == f"{TEXT}!"
    for sent in ({"data": {"text": TEXT}}, {"json": {"text": TEXT}}):
        assert "zugefroren" in early.client.post("/discuss/preview", **sent).json["html"]
    gone = early.client.delete(path, json={"edit_token": written["edit_token"]})
    assert gone.status_code == 204, gone.text

    refused = early.client.post("/discuss/comments/thaw", data={"author": "", "text": TEXT}, headers=page)
    assert refused.status_code == 422
    assert "zugefroren“: 100 % &amp; +1 🙂</textarea>" in refused.text


def test_a_form_that_the_host_has_parsed_has_as_many_fields_as_another(tmp_path: Path) -> None:
    early = Early(tmp_path, "form")
    fields = {"author": b"Mika", "text": TEXT.encode(), **{f"field-{number}": b"" for number in range(48)}}
    for body, status in ((fields, 303), (fields | {"one-more": b""}, 413)):
        sent = early.client.post("/discuss/comments/thaw", data=multipart(body), content_type=MULTIPART)
        assert sent.status_code == status


WORDS = {"euc_jp": "川が凍った日のこと", "cp932": "川が凍った日のこと", "cp1252": "Grüße & Café", "utf-8": "Grüße 🙂"}


@pytest.mark.parametrize("codec", WORDS)
def test_trackbacks_keep_their_charset(early: Early, codec: str) -> None:
    words = WORDS[codec]
    label = {"cp932": "Shift_JIS", "cp1252": "windows-1252", "euc_jp": "EUC-JP"}.get(codec, codec)
    fields = {"url": b"http://blog.example/1", "title": words.encode(codec), "charset": label.encode()}
    bodies = {FORM: "&".join(f"{name}={quote_plus(value)}" for name, value in fields.items()).encode()}
    if early.reader != "limits of its own" or codec == "utf-8":
        bodies[MULTIPART] = multipart({**fields, "url": b"http://blog.example/2"})
    for kind, body in bodies.items():
        answer = early.client.post("/discuss/trackback/thaw", data=body, content_type=kind)
        assert "<error>0</error>" in answer.text
    assert [item["title"] for item in stored(early)] == [words] * len(bodies)


@pytest.mark.parametrize("kind", ["text/xml", FORM])
def test_pingbacks_and_webmentions_are_received(early: Early, kind: str) -> None:
    call = (
        "<?xml version='1.0'?><methodCall><methodName>pingback.ping</methodName><params>"
        "<param><value>http://blog.example/a?b=1&amp;c=2</value></param>"
        "<param><value>http://localhost/thaw</value></param></params></methodCall>"
    )
    assert early.client.get("/thaw").status_code == 200
    answer = early.client.post("/discuss/pingback", data=call, content_type=kind)
    assert "Pingback registered" in answer.text
    mention = {"source": "http://blog.example/ü?x=%41&y=2", "target": "http://localhost/thaw"}
    assert early.client.post("/discuss/webmention", data=mention).status_code == 201
    sources = [item["source_url"] for item in stored(early)]
    assert sources == ["http://blog.example/a?b=1&c=2", mention["source"]]


def test_moderators_can_decide_by_form_and_by_api(early: Early) -> None:
    for number in range(3):
        early.comment(f"Number {number}.")
    early.moderator = Moderator("mori")
    page = early.client.get("/discuss/moderation/").text
    token = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert token
    fields = {"csrf_token": token[1], "decision": "approve", "version": "1"}
    assert early.client.post("/discuss/moderation/queue/1", data=fields).status_code == 303
    selected = {**fields, "item": "2:1"}
    sent = early.client.post("/discuss/moderation/queue/selected", data=selected, content_type="multipart/form-data")
    assert sent.status_code == 303
    assert early.decide(3, "approve").status_code == 200
    assert early.counts()["comments"] == 3


def test_signing_in_by_a_link_works(early: Early) -> None:
    done = early.app.test_cli_runner().invoke(args=["moderate", "token", "link", "mori"])
    address = done.stdout.strip().splitlines()[-1].removeprefix("http://localhost")
    assert early.client.post(address, data={"go": "1"}).status_code == 303
    assert early.client.get("/discuss/moderation/items").status_code == 200


@pytest.mark.parametrize("again", ["", "1"])
def test_one_click_unsubscribe_and_resubscribe_work(early: Early, again: str) -> None:
    with early.app.test_request_context():
        token = early.state.signer.sign("unsubscribe", "somebody")
    sent = {"List-Unsubscribe": "One-Click", **({"again": again} if again else {})}
    answer = early.client.post(f"/discuss/moderation/unsubscribe/{token}", data=sent)
    assert answer.status_code == 200
    with early.app.app_context():
        is_out = early.state.desk.store.mailboxes.get("somebody").unsubscribed_at is not None
    assert is_out == (not again)


@pytest.mark.parametrize(
    ("method", "path", "fields"),
    [
        ("POST", "/discuss/comments/thaw", {"json": {"author": "Mika", "text": "x" * 200_000}}),
        ("POST", "/discuss/comments/thaw", {"data": {"author": "Mika", "text": "x" * 200_000}}),
        ("POST", "/discuss/trackback/thaw", {"data": {"url": "http://blog.example/", "excerpt": "x" * 70_000}}),
        ("POST", "/discuss/pingback", {"data": "x" * 20_000}),
        ("POST", "/discuss/preview", {"json": {"text": "x" * 200_000}}),
        ("PATCH", "/discuss/items/1", {"json": {"text": "x" * 200_000}}),
        ("POST", "/discuss/moderation/queue/1", {"data": {"version": "1" * 70_000}}),
        ("POST", "/discuss/moderation/decisions", {"json": {"decision": "x" * 70_000}}),
    ],
)
@pytest.mark.parametrize("reader", ["form", "stream"])
def test_too_large_bodies_are_refused_by_moderate_itself(
    tmp_path: Path, reader: str, method: str, path: str, fields: dict[str, Any]
) -> None:
    host = Early(tmp_path, reader)
    answer = host.client.open(path, method=method, **fields)
    assert answer.status_code == 413
    assert "larger than what is accepted" in answer.text


def test_the_hosts_own_forms_keep_its_own_limits(tmp_path: Path) -> None:
    host = Early(tmp_path, "limits of its own")
    host.app.add_url_rule("/own", view_func=lambda: request.form["a"], methods=["POST"])
    assert host.client.post("/own", data={"a": "x" * 40}).status_code == 413
    assert host.client.post("/own", data={"a": "x"}).text == "x"


# --- on a real line, where nothing can be read twice -------------------------------------------------


def chunked(path: str, kind: str, body: bytes) -> bytes:
    half = len(body) // 2
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:half], body[half:]))
    return (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: {kind}\r\n"
        "Transfer-Encoding: chunked\r\n\r\n"
    ).encode() + chunks + b"0\r\n\r\n"  # fmt: skip


def plain(path: str, kind: str, body: bytes, length: int | None = None) -> bytes:
    return (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: {kind}\r\n"
        f"Content-Length: {len(body) if length is None else length}\r\n\r\n"
    ).encode() + body


@pytest.mark.parametrize("reader", ON_SOCKETS)
def test_a_request_over_a_socket_is_read_whole(tmp_path: Path, reader: str) -> None:
    host = Early(tmp_path, reader)
    words = WORDS["euc_jp"]
    ping = b"url=http://blog.example/1&charset=EUC-JP&title=" + quote_plus(words.encode("euc_jp")).encode()
    comment = f"author=Mika&text={quote_plus(TEXT)}".encode()
    with serving(host.app) as port:
        assert b"<error>0</error>" in exchange(port, plain("/discuss/trackback/thaw", FORM, ping))
        assert b" 303 " in exchange(port, plain("/discuss/comments/thaw", FORM, comment))
        fields = {"author": b"Mika", "text": f"{TEXT}!".encode()}
        assert b" 303 " in exchange(port, plain("/discuss/comments/thaw", MULTIPART, multipart(fields)))
    assert [item.get("title") or item["text"] for item in stored(host)] == [words, TEXT, f"{TEXT}!"]


def test_a_chunked_body_is_read_once_and_within_limits(tmp_path: Path) -> None:
    host = Early(tmp_path, "form")
    comment = f"author=Mika&text={quote_plus(TEXT)}".encode()
    with serving(host.app) as port:
        assert b" 303 " in exchange(port, chunked("/discuss/comments/thaw", FORM, comment))
        assert b" 413 " in exchange(
            port, chunked("/discuss/comments/thaw", FORM, comment + b"x" * 200_000), hang_up=True
        )
    assert [item["text"] for item in stored(host)] == [TEXT]


@pytest.mark.parametrize("path", ["comments/thaw", "trackback/thaw", "pingback", "webmention", "preview"])
def test_a_truncated_body_is_refused_with_a_message(tmp_path: Path, path: str) -> None:
    host = Early(tmp_path, "form")
    with serving(host.app) as port:
        answer = exchange(port, plain(f"/discuss/{path}", FORM, b"author=Mika", 500), hang_up=True)
    assert b"ended early" in answer
    assert host.total() == 0


class Breaking(BytesIO):
    """The input of a server that finds an invalid chunk, and raises an error of its own."""

    def readinto(self, buffer: Any) -> int:
        raise LookupError("invalid chunk size")


@pytest.mark.parametrize(("stream", "words"), [(BytesIO, "ended early"), (Breaking, "cannot be read")])
@pytest.mark.parametrize("path", ["comments/thaw", "trackback/thaw", "pingback", "webmention", "preview"])
def test_a_failing_or_unnoticed_end_of_the_body_stores_nothing_partial(
    tmp_path: Path, stream: type[BytesIO], words: str, path: str
) -> None:
    """As gunicorn does, which calls the input of every request terminated."""
    host = Early(tmp_path, "form")
    environ = {
        "wsgi.input": stream(b"author=Mika&text=The%20river%20froze&url=http://blog.example/"),
        "wsgi.input_terminated": True,
        "CONTENT_LENGTH": "" if stream is Breaking else "500",
    }
    answer = host.client.post(f"/discuss/{path}", content_type=FORM, environ_overrides=environ)
    assert 400 <= answer.status_code < 500 or "<error>1</error>" in answer.text or "<fault>" in answer.text
    assert words in answer.text
    assert host.total() == 0


def test_middleware_that_consumes_the_body_is_logged_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    host = Host(tmp_path, MODERATE_LIMITS={})
    inner = host.app.wsgi_app

    def greedy(environ: Any, start_response: Any) -> Any:
        environ["wsgi.input"].read()
        environ["wsgi.input"] = BytesIO()
        return inner(environ, start_response)

    host.app.wsgi_app = greedy  # type: ignore[method-assign]
    caplog.clear()
    for _ in range(2):
        refused = host.comment(TEXT)
        assert (refused.status_code, refused.json["errors"][0]["message"]) == (422, "The request ended early.")
    (line,) = caplog.messages
    assert "WSGI middleware has read it" in line
