from __future__ import annotations

from typing import Any

import pytest

from moderate.errors import Invalid
from moderate.model import Author, Client, Kind, Raw, Submission
from moderate.text.clean import clean
from moderate.text.sanitizer import render
from moderate.text.tags import Policy
from tests.factories import an_article

ARTICLE = an_article()
READER = Client("192.0.2.7", "Mozilla/5.0", "https://news.example/1")
PINGS = pytest.mark.parametrize("kind", [Kind.TRACKBACK, Kind.PINGBACK, Kind.WEBMENTION])


def cleaned(*, policy: Policy | None = None, require_author: bool = True, **fields: Any) -> Submission:
    values = {"kind": Kind.COMMENT, "client": READER, "author": "Mika", "text": "Hello", **fields}
    return clean(Raw(**values), ARTICLE, policy or Policy(), require_author=require_author)


def pinged(kind: Kind = Kind.TRACKBACK, **fields: Any) -> Submission:
    return cleaned(**{"kind": kind, "author": "", "text": "", "source_url": "https://blog.example/1", **fields})


def refused(**fields: Any) -> dict[str, str]:
    """The fields that were refused, and why."""
    with pytest.raises(Invalid) as caught:
        cleaned(**fields)
    return {error.field: error.message for error in caught.value.errors}


def test_a_comment_keeps_its_raw_text_beside_the_clean_one() -> None:
    text = "One <b>two</b>\r\n\r\n<script>x</script> https://a.example"
    comment = cleaned(author=" Mika ", email="Mika@Mail.Example", url="https://mika.example/", text=text, parent=7)
    assert comment.body.raw == text
    assert comment.body.html == render(text, Policy()).html
    assert comment.body.policy == "2.html.bleach"
    assert comment.body.links == ("https://a.example",)
    assert (comment.author, comment.email, comment.url) == ("Mika", "Mika@mail.example", "https://mika.example/")
    assert (comment.kind, comment.article, comment.parent, comment.client) == (Kind.COMMENT, ARTICLE, 7, READER)
    assert (comment.source_url, comment.title, comment.blog_name, comment.author_id) == (None, None, None, None)


def test_all_invalid_fields_are_named_at_once() -> None:
    found = refused(author="", email="nobody", url="javascript:alert(1)", text="\u200b", parent=0, idempotency_key="\n")
    assert list(found) == ["author", "email", "url", "text", "parent", "idempotency_key"]


@pytest.mark.parametrize("key", ["a", "k" * 255, "a\u3000\xa0b", "\U000323b0"])
def test_a_key_of_printable_characters_is_accepted(key: str) -> None:
    """A character that this Python's tables do not know may be of a newer Unicode."""
    assert cleaned(idempotency_key=key).idempotency_key == key


@pytest.mark.parametrize("key", ["", "k" * 256, "a\n", "a\0", "a\u202e", "\ud800", "\ue000"])
def test_a_key_of_other_characters_is_refused(key: str) -> None:
    assert list(refused(idempotency_key=key)) == ["idempotency_key"]


@pytest.mark.parametrize(
    "text", ["", " \n", "\u3164", "<p></p>", "&nbsp;&#8203;", "<b> </b><br>", "<a href=https://a.example></a>"]
)
def test_a_text_without_visible_characters_is_refused(text: str) -> None:
    assert refused(text=text) == {"text": "Write something first."}


@pytest.mark.parametrize("field", ["author", "email", "url", "text"])
@pytest.mark.parametrize("value", ["a\0b", "\ud800abc"])
def test_characters_that_no_database_can_hold_are_refused_in_every_field(field: str, value: str) -> None:
    assert list(refused(**{field: value})) == [field]


def test_a_text_over_the_limit_is_refused_and_one_at_the_limit_is_kept_whole() -> None:
    policy = Policy(max_length=20)
    assert "at most 20" in refused(text="x" * 21, policy=policy)["text"]
    assert cleaned(text="x" * 20, policy=policy).body.html == f"<p>{'x' * 20}</p>"


def test_the_author_may_be_optional() -> None:
    assert refused(author="\u200b") == {"author": "Tell us your name."}
    assert cleaned(author="\u200b", require_author=False).author == ""
    assert list(refused(author="x" * 101)) == ["author"]


def test_an_author_given_by_the_host_replaces_the_fields_of_the_form() -> None:
    identity = Author("Aki\u202e", "aki@host.example", "https://host.example/aki", "17")
    comment = cleaned(identity=identity, author="Somebody else", email="nobody", url="javascript:x")
    assert (comment.author, comment.author_id) == ("Aki", "17")
    assert (comment.email, comment.url) == ("aki@host.example", "https://host.example/aki")


def test_invalid_author_fields_given_by_the_host_are_left_out() -> None:
    comment = cleaned(
        identity=Author("A" * 300, "broken", "/users/1"), email="form@mail.example", url="https://form.example"
    )
    assert (comment.author, comment.email, comment.url, comment.author_id) == ("A" * 100, None, None, None)


@pytest.mark.parametrize("parent", [0, -1, 2**63])
def test_a_parent_id_beyond_the_range_of_the_database_is_refused(parent: int) -> None:
    assert list(refused(parent=parent)) == ["parent"]


def test_one_text_in_two_spellings_has_the_same_key() -> None:
    assert (
        cleaned(text="Hello  WORLD").text_key == cleaned(text="hello\nworld").text_key != cleaned(text="hello").text_key
    )


def test_metadata_from_clients_is_limited_and_can_be_stored() -> None:
    comment = cleaned(client=Client("1" * 99, "x\0\n" * 5000, "r\ud800" * 5000), honeypot="h\0" * 5000)
    assert len(comment.client.ip) <= 64
    for value in (comment.client.user_agent, comment.client.referrer, comment.honeypot):
        assert 0 < len(value) <= 1000
        assert value.isprintable()


@PINGS
def test_a_ping_has_an_author_a_text_and_a_source(kind: Kind) -> None:
    ping = pinged(kind, title="A &amp; <b>B</b>", blog_name="The Blog", text="It says <i>this</i> https://a.example")
    assert (ping.title, ping.blog_name, ping.author) == ("A & B", "The Blog", "The Blog")
    assert (ping.url, ping.source_url, ping.source_key) == (
        "https://blog.example/1",
        "https://blog.example/1",
        "blog.example/1",
    )
    assert ping.body.html == "<p>It says this https://a.example</p>"
    assert ping.body.links == ()
    assert ping.body.raw == "It says <i>this</i> https://a.example"


@PINGS
def test_a_ping_without_names_is_named_after_its_address(kind: Kind) -> None:
    ping = pinged(kind, source_url="https://Blog.example:8080/post?x=1")
    assert (ping.title, ping.blog_name) == ("https://Blog.example:8080/post?x=1", "blog.example")
    assert (ping.body.html, ping.text_key) == ("", "")


def test_texts_of_a_ping_are_truncated_and_never_refused() -> None:
    ping = pinged(title="t\0" * 5000, blog_name="b" * 500, text="e\ud800" * 50_000)
    assert ping.title == "t" * 250
    assert ping.blog_name == "b" * 100
    assert ping.body.html == f"<p>{'e' * 252}...</p>"
    assert len(ping.body.raw) <= 8000
    assert ping.body.raw.encode()


@pytest.mark.parametrize(
    "source", [None, "", "javascript:alert(1)", "/post", "//blog.example/", "https://u:p@blog.example/", "http://\0"]
)
def test_a_ping_without_a_usable_source_is_refused(source: str | None) -> None:
    assert list(refused(kind=Kind.TRACKBACK, source_url=source)) == ["source"]


def test_no_text_of_a_ping_carries_markup() -> None:
    ping = pinged(title="<script>alert(1)</script>", text="&lt;img src=x onerror=alert(1)&gt;")
    assert ping.title == "alert(1)"
    assert ping.body.html == "<p>&lt;img src=x onerror=alert(1)&gt;</p>"


@pytest.mark.parametrize("name", ["\u3164", "\u2800\u2800", "\U000e0041\u200b", "\u115f\u1160", "\ufffc"])
def test_a_name_without_visible_characters_counts_as_missing(name: str) -> None:
    assert refused(author=name) == {"author": "Tell us your name."}


@PINGS
def test_a_ping_without_a_title_is_named_after_its_percent_encoded_address(kind: Kind) -> None:
    ping = pinged(kind, source_url="https://blog.example/" + "\u1100" * 1000)
    assert ping.title is not None
    assert "\u1100" not in ping.title
    assert len(ping.title) == 250
