"""Comments come in as a form or as JSON; what is refused leaves nothing behind."""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING, Any

import pytest

from moderate import Author

if TYPE_CHECKING:
    from tests.sites import Host

FORM = {"author": "Mika", "text": "The river froze twice."}


def test_a_json_comment_is_pending_and_returned_with_its_address_and_an_edit_token(host: Host) -> None:
    answer = host.comment()
    assert answer.status_code == 202
    assert answer.json["status"] == "pending"
    assert answer.json["edit_token"]
    assert answer.headers["Location"] == f"/discuss/items/{answer.json['id']}"


def test_without_premoderation_a_comment_is_public_at_once(tmp_path: Any) -> None:
    from tests.sites import Host

    host = Host(tmp_path, MODERATE_PREMODERATION="none")
    answer = host.comment()
    assert answer.status_code == 201
    assert answer.json["status"] == "approved"
    assert host.counts() == {"comments": 1, "trackbacks": 0}


def test_a_form_redirects_to_the_comment_on_the_article(host: Host) -> None:
    answer = host.client.post("/discuss/comments/thaw", data=FORM)
    assert answer.status_code == 303
    page = answer.headers["Location"]
    assert page.startswith("http://localhost/thaw?moderate_at=1&")
    assert page.endswith("#comment-1")
    page = host.client.get("/thaw").text
    assert 'id="comment-1"' in page
    assert "Only you can see this" in page


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        ("http://röhre.example/schnee und eis?seite=größe", "http://xn--rhre-5qa.example/schnee%20und%20eis?seite=gr%C3%B6%C3%9Fe&"),
        ("http://localhost:5000/雪#top", "http://localhost:5000/%E9%9B%AA?"),
        ("/thaw/%E9%9B%AA?a=1&b=%20<", "/thaw/%E9%9B%AA?a=1&b=%20%3C&"),
    ],
)  # fmt: skip
def test_the_redirect_is_a_uri_that_no_cache_stores(host: Host, url: str, sent: str) -> None:
    host.add_article("thaw", url=url)
    answer = host.client.post("/discuss/comments/thaw", data=FORM)
    location = answer.headers["Location"]
    assert location.startswith(sent)
    assert location.isascii()
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.headers["Content-Length"] == str(len(answer.data))
    assert escape(location) in answer.text


def test_a_multipart_form_is_read_like_any_other(host: Host) -> None:
    answer = host.client.post("/discuss/comments/thaw", data=FORM, content_type="multipart/form-data")
    assert answer.status_code == 303
    assert host.total() == 1


def test_pending_comments_are_hidden_from_others(host: Host) -> None:
    item = host.comment().json
    other = host.app.test_client()
    assert "comment-1" not in other.get("/thaw").text
    assert other.get("/discuss/comments/thaw").json["items"] == []
    assert other.get(f"/discuss/items/{item['id']}").status_code == 404
    assert other.get(f"/discuss/items/{item['id']}?edit_token={item['edit_token']}").json["id"] == item["id"]


def test_public_responses_hold_no_personal_data(host: Host) -> None:
    item = host.comment(email="mika@mail.example", url="https://mika.example/").json
    host.decide(item["id"], "approve")
    public = host.app.test_client().get("/discuss/comments/thaw")
    assert set(public.json["items"][0]) == {
        "id", "article", "kind", "status", "parent", "author", "html", "created_at", "edited_at",
    }  # fmt: skip
    assert "mail.example" not in public.text
    assert "127.0.0.1" not in public.text


@pytest.mark.parametrize("kind", ["header", "form"])
def test_a_double_click_stores_one_comment(host: Host, kind: str) -> None:
    if kind == "header":
        first, second = (
            host.client.post("/discuss/comments/thaw", json=FORM, headers={"Idempotency-Key": "k-1"}) for _ in range(2)
        )
        assert first.json["id"] == second.json["id"]
    else:
        token = host.client.get("/discuss/comments/thaw").headers["Moderate-Form-Token"]
        first, second = (
            host.client.post("/discuss/comments/thaw", data={**FORM, "form_token": token}) for _ in range(2)
        )
        assert first.headers["Location"] == second.headers["Location"]
    assert host.total() == 1


def test_a_refused_form_keeps_the_typed_text_with_the_error_beside_the_field(host: Host) -> None:
    answer = host.client.post(
        "/discuss/comments/thaw", data={"author": "Mika", "email": "not an address", "text": "Kept <b>text</b>"}
    )
    assert answer.status_code == 422
    assert answer.mimetype == "text/html"
    assert "Kept &lt;b&gt;text&lt;/b&gt;" in answer.text
    assert 'value="not an address"' in answer.text
    assert 'aria-invalid="true"' in answer.text
    assert host.total() == 0


def test_a_reply_is_stored_with_its_parent(host: Host) -> None:
    parent = host.comment().json["id"]
    host.decide(parent, "approve")
    answer = host.comment("Three times.", parent=parent)
    assert answer.status_code == 202
    assert answer.json["parent"] == parent


@pytest.mark.parametrize("parent", [0, -1, 999, 2**63 - 1, 2**63, "1", 1.5, True, [1], {"id": 1}])
def test_an_invalid_or_unknown_parent_is_refused(host: Host, parent: object) -> None:
    answer = host.comment(parent=parent)
    assert answer.status_code == 422
    assert answer.json["code"] == "invalid"
    assert host.total() == 0


def test_a_parent_of_another_article_is_refused(host: Host) -> None:
    host.add_article("frost")
    elsewhere = host.comment(article="frost").json["id"]
    host.decide(elsewhere, "approve")
    assert host.comment(parent=elsewhere).status_code == 422


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "text"),
        ({"text": "   \u200b \u3000 "}, "text"),
        ({"text": "x" * 8001}, "text"),
        ({"text": "a\x00b"}, "text"),
        ({"author": ""}, "author"),
        ({"author": "a\x00"}, "author"),
        ({"email": "nobody"}, "email"),
        ({"url": "javascript:alert(1)"}, "url"),
        ({"url": "java\tscript:alert(1)"}, "url"),
        ({"url": "//evil.example"}, "url"),
        ({"status": "approved"}, "status"),
        ({"ip": "192.0.2.1"}, "ip"),
        ({"is_admin": True}, "is_admin"),
        ({"text": ["x"]}, "text"),
        ({"text": None}, "text"),
    ],
)
def test_invalid_fields_are_named_and_nothing_is_stored(host: Host, body: dict[str, object], field: str) -> None:
    fields = {"author": "Mika", "text": "Fine", **body} if body else {"author": "Mika"}
    answer = host.client.post("/discuss/comments/thaw", json=fields)
    assert answer.status_code == 422
    assert answer.mimetype == "application/problem+json"
    assert answer.json["code"] == "invalid"
    assert field in [error["field"] for error in answer.json["errors"]]
    assert host.total() == 0


@pytest.mark.parametrize(
    ("data", "content_type", "status", "code"),
    [
        (b"[" * 100_000, "application/json", 422, "invalid"),
        (b'{"text": "\\ud800"}', "application/json", 422, "invalid"),
        (b'{"text": "\xff"}', "application/json", 422, "invalid"),
        (b"not json", "application/json", 422, "invalid"),
        (b"null", "application/json", 422, "invalid"),
        (b'{"text": "' + b"x" * 200_000 + b'"}', "application/json", 413, "too-large"),
        (b"text=hello", "text/plain", 415, "unsupported-media-type"),
        (b"text=hello", "", 415, "unsupported-media-type"),
        (b"<x/>", "application/xml", 415, "unsupported-media-type"),
    ],
)
def test_unreadable_bodies_are_refused(host: Host, data: bytes, content_type: str, status: int, code: str) -> None:
    answer = host.client.post("/discuss/comments/thaw", data=data, content_type=content_type)
    assert answer.status_code == status
    assert answer.json["code"] == code
    assert host.total() == 0


@pytest.mark.parametrize(
    "data",
    [
        b"author=M&text=%FF%FE",
        b"author=M&text=%ED%A0%80",
        b"author=M&text=a%00b",
        b"author=M&text[]=x",
        b"&".join([b"a=1"] * 90),
    ],
)
def test_malformed_forms_and_forms_that_are_not_utf_8_are_refused(host: Host, data: bytes) -> None:
    answer = host.client.post("/discuss/comments/thaw", data=data, content_type="application/x-www-form-urlencoded")
    assert answer.status_code == 422
    assert host.total() == 0


def test_a_multipart_form_must_be_utf_8_and_may_hold_a_replacement_character(host: Host) -> None:
    def body(text: bytes) -> bytes:
        part = b'--X\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'
        return part % (b"author", b"Mika") + part % (b"text", text) + b"--X--\r\n"

    kind = "multipart/form-data; boundary=X"
    assert host.client.post("/discuss/comments/thaw", data=body(b"\xff"), content_type=kind).status_code == 422
    typed = "\ufffd is what it showed".encode()
    assert host.client.post("/discuss/comments/thaw", data=body(typed), content_type=kind).status_code == 303


@pytest.mark.parametrize(("article", "status"), [("nowhere", 404), ("x" * 201, 404), ("a%00b", 404)])
def test_a_missing_article_is_refused(host: Host, article: str, status: int) -> None:
    answer = host.client.post(f"/discuss/comments/{article}", json=FORM)
    assert (answer.status_code, answer.json["code"]) == (status, "unknown-article")
    assert host.total() == 0


def test_a_closed_article_accepts_no_comments(host: Host) -> None:
    host.add_article("thaw", comments_open=False)
    answer = host.comment()
    assert (answer.status_code, answer.json["code"]) == (403, "closed")
    assert host.total() == 0
    assert "closed" in host.client.get("/thaw").text


def test_keys_with_slashes_and_other_scripts_are_accepted(host: Host) -> None:
    host.add_article("2026/雪解け")
    answer = host.comment(article="2026/雪解け")
    assert answer.status_code == 202
    assert host.client.get("/discuss/counts", query_string={"article": "2026/雪解け"}).json == {
        "2026/雪解け": {"comments": 0, "trackbacks": 0}
    }


@pytest.mark.parametrize("method", ["put", "patch", "delete", "trace"])
def test_other_methods_get_405_with_the_allowed_ones(host: Host, method: str) -> None:
    answer = host.client.open("/discuss/comments/thaw", method=method.upper())
    assert answer.status_code == 405
    assert answer.json["code"] == "method-not-allowed"
    assert answer.headers["Allow"] == "GET, HEAD, OPTIONS, POST"


def test_an_unknown_address_gets_a_problem_document(host: Host) -> None:
    answer = host.client.get("/discuss/nothing/here")
    assert (answer.status_code, answer.json["code"]) == (404, "not-found")


LINKS = "https://a.example/ https://b.example/ https://c.example/"


def test_a_filled_hidden_field_gets_the_usual_response_and_makes_spam(host: Host) -> None:
    answer = host.client.post(
        "/discuss/comments/thaw", json={**FORM, "homepage": "https://pills.example/", "text": LINKS}
    )
    assert (answer.status_code, answer.json["status"]) == (202, "pending")
    stored = host.client.get("/discuss/moderation/items?status=spam", headers=host.token()).json["items"]
    assert [item["findings"][0]["check"] for item in stored] == ["honeypot"]
    assert host.counts() == {"comments": 0, "trackbacks": 0}


def test_a_hidden_field_filled_by_the_browser_only_holds_the_comment(host: Host) -> None:
    host.app.config["MODERATE_PREMODERATION"] = "none"
    assert host.comment(homepage="https://mika.example/").status_code == 202
    (item,) = host.client.get("/discuss/moderation/items?status=pending", headers=host.token()).json["items"]
    assert [(finding["check"], finding["lean"]) for finding in item["findings"]] == [("honeypot", "hold")]


def test_a_user_signed_in_at_the_host_comments_under_the_name_of_the_account(host: Host) -> None:
    host.author = Author("Editor", "editor@news.example", id="7")
    answer = host.comment(author="Somebody else", email="other@mail.example")
    assert answer.json["author"]["name"] == "Editor"
    page = host.client.get("/thaw").text
    assert "Editor" in page


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}]
)
def test_a_page_of_another_site_cannot_comment_under_the_login_of_a_reader(host: Host, headers: dict[str, str]) -> None:
    host.author = Author("Editor", id="7")
    answer = host.client.post("/discuss/comments/thaw", json=FORM, headers=headers)
    assert (answer.status_code, answer.json["code"]) == (403, "forbidden")
    assert host.total() == 0


def test_a_body_above_the_size_limit_is_refused(host: Host) -> None:
    answer = host.client.post("/discuss/comments/thaw", data={"author": "M", "text": "x" * 2_000_000})
    assert answer.status_code == 413
    assert host.total() == 0


# --- what the form allows, the server takes -----------------------------------------------------------


def field(page: str, name: str) -> dict[str, str]:
    """The attributes of the form's field of that name."""
    found = re.search(rf'<(?:input|textarea)[^>]*\bname="{name}"[^>]*>', page)
    assert found is not None
    return dict(re.findall(r'([a-z]+)="([^"]*)"', found[0]))


@pytest.mark.parametrize("unit", ["x", "é", "雪", "🙂", "x\r\n"])
def test_a_text_of_the_maximum_length_is_accepted_and_a_longer_one_refused(host: Host, unit: str) -> None:
    limit = int(field(host.client.get("/thaw").text, "text")["maxlength"])
    # A browser counts a line break as one character, and sends it as two.
    text = unit * (limit // len(unit.replace("\r", "")) - 1)
    text += "x" * (limit - len(text.replace("\r", "")))
    for kind in ("application/x-www-form-urlencoded", "multipart/form-data"):
        sent = host.client.post("/discuss/comments/thaw", data={**FORM, "text": text}, content_type=kind)
        assert sent.status_code == 303, sent.text[-300:]
    assert host.comment(text).status_code == 202
    assert host.client.post("/discuss/preview", data={"text": text}).status_code == 200
    longer = host.client.post("/discuss/comments/thaw", data={**FORM, "text": f"{text}x"})
    assert longer.status_code == 422
    assert f"this has {limit + 1}" in longer.text
    assert host.client.post("/discuss/preview", data={"text": f"{text}x"}).status_code == 413


@pytest.mark.parametrize("name", ["author", "email", "url"])
def test_a_field_of_the_maximum_length_is_accepted(host: Host, name: str) -> None:
    limit = int(field(host.client.get("/thaw").text, name)["maxlength"])
    domain = ".".join(["a" * 60] * 4)
    longest = {
        "author": "雪" * limit,
        "email": f"mika@{domain}.example"[:limit],
        "url": "mika.example/" + "x" * (limit - 13),
    }[name]
    assert len(longest) <= limit
    assert host.comment(**{name: longest}).status_code == 202


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("example.org", "https://example.org"),
        (" www.example.org ", "https://www.example.org"),
        ("example.org:8080/a?b=http://c.example#d", "https://example.org:8080/a?b=http://c.example#d"),
        ("例え.jp/ページ", "https://例え.jp/ページ"),
        ("Example.ORG/Path", "https://Example.ORG/Path"),
        ("http://example.org/", "http://example.org/"),
        ("HTTPS://example.org/", "HTTPS://example.org/"),
        ("\u3000example.org\u3000", "https://example.org"),
        ("", None),
    ],
)
@pytest.mark.parametrize("way", ["form", "json"])
def test_a_website_without_a_scheme_is_completed(host: Host, typed: str, stored: str | None, way: str) -> None:
    fields = {**FORM, "url": typed}
    sent = host.client.post("/discuss/comments/thaw", **({"data": fields} if way == "form" else {"json": fields}))
    assert sent.status_code in {202, 303}, sent.text
    item = host.client.get("/discuss/moderation/items", headers=host.token()).json["items"][0]
    assert item["author"]["url"] == stored


@pytest.mark.parametrize(
    "typed",
    [
        "javascript:alert(1)",
        "javascript:alert(document.cookie)//.example",
        "javascript.example:alert(1)",
        "data:text/html,x.example",
        "vbscript:x.example",
        "mailto:mika@example.org",
        "mika@example.org",
        "//example.org",
        "/example.org",
        "\\\\example.org",
        "ftp://example.org",
        "https:example.org",
        "https//example.org",
        "example",
        "example..org",
        "exa mple.org",
        "example.org:x/",
        "example.org:99999/",
        "example.org\u202e/gro",
        "http://",
        "://example.org",
    ],
)
def test_invalid_web_addresses_are_refused(host: Host, typed: str) -> None:
    answer = host.comment(url=typed)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json["errors"]] == ["url"]
    assert host.total() == 0


@pytest.mark.parametrize("typed", ["https://mika:secret@example.org/", "http://mika@example.org"])
def test_a_password_in_a_website_is_refused_with_its_own_message(host: Host, typed: str) -> None:
    answer = host.comment(url=typed)
    assert answer.status_code == 422
    assert answer.json["errors"][0]["message"] == "Leave the user name and the password out of the address."
    assert "secret" not in answer.text
    assert host.total() == 0


@pytest.mark.parametrize(
    "typed", [" mika@mail.example ", "mika@MAIL.example\t", "\u3000mika@mail.example", "mika＠mail.example"]
)
def test_an_email_address_is_stored_in_one_spelling(host: Host, typed: str) -> None:
    assert host.comment(email=typed).status_code == 202
    item = host.client.get("/discuss/moderation/items", headers=host.token()).json["items"][0]
    assert item["email"] == "mika@mail.example"


# --- replies ------------------------------------------------------------------------------------------


@pytest.fixture
def parent(host: Host) -> int:
    number: int = host.comment("Which kitchen?", author="K. <Brandt>").json["id"]
    host.decide(number, "approve")
    return number


def test_a_refused_reply_stays_a_reply(host: Host, parent: int) -> None:
    typed = {"author": "Mika", "text": "The one below.", "url": "javascript:x", "parent": str(parent)}
    refused = host.client.post("/discuss/comments/thaw", data=typed)
    assert refused.status_code == 422
    assert "You are replying to" in refused.text
    assert "K. &lt;Brandt&gt;" in refused.text
    assert "Post reply" in refused.text
    assert f'<a href="http://localhost/thaw?moderate_at={parent}#comment-{parent}">' in refused.text
    assert field(refused.text, "parent")["value"] == str(parent)


@pytest.mark.parametrize("gone", ["trash", "spam", "hold", "deleted"])
def test_a_reply_to_a_hidden_or_deleted_comment_can_be_sent_as_a_comment(host: Host, parent: int, gone: str) -> None:
    host.decide(parent, "trash" if gone == "deleted" else gone, version=2)
    if gone == "deleted":
        host.client.delete(f"/discuss/moderation/items/{parent}", headers=host.token())
    before = host.total()
    typed = {"author": "Mika", "email": "mika@mail.example", "text": "The one <below>.", "parent": str(parent)}
    refused = host.client.post("/discuss/comments/thaw", data=typed)
    assert refused.status_code == 422
    assert "The comment that you answered is not there any more." in refused.text
    assert "You can send it as a comment on the article." in refused.text
    assert "You are replying to" not in refused.text
    assert "Post comment" in refused.text
    assert 'name="parent"' not in refused.text
    assert "The one &lt;below&gt;." in refused.text
    assert host.total() == before

    kept = {name: field(refused.text, name)["value"] for name in ("author", "email", "form_token")}
    again = host.client.post("/discuss/comments/thaw", data={**kept, "text": typed["text"]})
    assert again.status_code == 303
    newest = host.client.get("/discuss/moderation/items", headers=host.token()).json["items"][0]
    assert (newest["parent"], newest["text"]) == (None, typed["text"])


def test_the_problem_document_names_the_field_of_a_missing_parent(host: Host, parent: int) -> None:
    host.decide(parent, "trash", version=2)
    answer = host.comment("The one below.", parent=parent)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json["errors"]] == ["parent"]


def test_every_tag_named_in_the_form_hint_works(host: Host) -> None:
    hint = re.search(r'id="moderate-text-hint">(.*?)</span>', host.client.get("/thaw").text, re.DOTALL)
    assert hint is not None
    named = re.findall(r"<code>&lt;(\w+)", hint[1])
    assert {"a", "strong", "code", "li"} <= set(named)
    for name in named:
        inner = "<li>word</li>" if name in {"ul", "ol"} else "word"
        typed = f'<{name} href="https://a.example">{inner}</{name}>' if name == "a" else f"<{name}>{inner}</{name}>"
        shown = host.client.post("/discuss/preview", json={"text": typed}).json["html"]
        assert f"<{name}" in shown
        assert "&lt;" not in shown
    shown = host.client.post("/discuss/preview", json={"text": "<em>open, see www.a.example"}).json["html"]
    assert "&lt;em&gt;open" in shown
    assert 'href="https://www.a.example"' in shown
