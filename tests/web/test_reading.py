"""Public reading: threads in pages, single items, counters, previews; and when a cached copy is still valid."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING, Any

import pytest
from flask import Request, Response
from hypothesis import given
from hypothesis import strategies as st

from moderate.reading.thread import OURS
from moderate.reading.views import values_of
from tests.factories import fill_thread
from tests.sites import Host

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from flask.testing import FlaskClient

THREAD = "/discuss/comments/thaw"


def approved(host: Host, text: str = "The river froze twice.", **fields: Any) -> int:
    item = host.comment(text, **fields).json["id"]
    assert host.decide(item, "approve").status_code == 200
    return int(item)


def reader(host: Host) -> FlaskClient:
    """A reader who has sent nothing."""
    return host.app.test_client()


def walked(client: FlaskClient, order: str, limit: int) -> list[int]:
    """The ids of a whole thread, page by page."""
    found: list[int] = []
    cursor = ""
    for _ in range(20):
        page = client.get(f"{THREAD}?order={order}&limit={limit}{cursor}").json
        found += [item["id"] for item in page["items"]]
        assert len(page["items"]) <= limit
        if page["next"] is None:
            return found
        cursor = f"&cursor={page['next']}"
    raise AssertionError("the thread has no end")


# --- threads --------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 200])
def test_a_thread_is_paged_from_either_end(host: Host, limit: int) -> None:
    ids = [approved(host, f"Number {n}") for n in range(5)]
    assert walked(reader(host), "oldest", limit) == ids
    assert walked(reader(host), "newest", limit) == ids[::-1]


def test_own_pending_comments_are_in_the_pages_of_their_author_only(host: Host) -> None:
    first = approved(host, "One")
    waiting = host.comment("Two").json["id"]
    last = approved(host, "Three")
    assert walked(host.client, "oldest", 1) == [first, waiting, last]
    assert walked(host.client, "newest", 2) == [last, waiting, first]
    assert walked(reader(host), "oldest", 1) == [first, last]


def test_a_page_has_the_counters_of_the_article_and_a_form_token(host: Host) -> None:
    approved(host)
    answer = reader(host).get(THREAD)
    assert answer.json["counts"] == {"comments": 1, "trackbacks": 0}
    assert set(answer.json) == {"items", "counts", "next", "form_token"}
    assert answer.headers["Moderate-Form-Token"]


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=201",
        "limit=-1",
        "limit=x",
        "limit=1.5",
        "limit=",
        "cursor=0",
        "cursor=x",
        "order=random",
        "cursor=9223372036854775808",
        "limit=%D9%A1",
        "cursor=%00",
        "limit=1%00",
    ],
)
def test_an_invalid_query_is_refused(host: Host, query: str) -> None:
    answer = reader(host).get(f"{THREAD}?{query}")
    assert (answer.status_code, answer.json["code"]) == (422, "invalid")


def test_a_cursor_past_the_end_is_an_empty_page(host: Host) -> None:
    approved(host)
    page = reader(host).get(f"{THREAD}?cursor={2**63 - 1}").json
    assert (page["items"], page["next"]) == ([], None)


@pytest.mark.parametrize("key", ["nowhere", "x" * 201, "a%00b", "%F0%9F%90%9F"])
def test_the_thread_of_an_unknown_article_is_not_found(host: Host, key: str) -> None:
    answer = reader(host).get(f"/discuss/comments/{key}")
    assert (answer.status_code, answer.json["code"]) == (404, "unknown-article")


@pytest.mark.parametrize("value", ["9" * 30, "-1", "x", "١", "", "9223372036854775808", "1%00"])
def test_an_article_page_ignores_invalid_query_parameters(host: Host, value: str) -> None:
    approved(host)
    for name in sorted(OURS):
        assert reader(host).get(f"/thaw?{name}={value}").status_code == 200


# --- the pages of a long thread -------------------------------------------------------------------


@pytest.fixture
def long(host: Host) -> Host:
    """A host with 1,002 comments under one article."""
    host.client.get("/thaw")
    fill_thread(host.state.desk.store, 1002)
    return host


def shown(page: str) -> list[int]:
    """The numbers of the items on a page, in their order."""
    return [int(number) for number in re.findall(r'id="comment-(\d+)"', page)]


def link(page: str, words: str) -> str:
    """Return the address of the link with these words, without its fragment."""
    (found,) = re.findall(rf'<a href="([^"#]*)#[^>]*>{words}<', page)
    return f"/thaw{html.unescape(found)}"


def posted(host: Host, client: FlaskClient, **fields: Any) -> tuple[str, str]:
    """Post a form and follow it; returns the address, and the page behind it."""
    answer = client.post("/discuss/comments/thaw", data={"author": "Mika", "text": "Mine.", **fields})
    assert answer.status_code == 303
    address = answer.headers["Location"].removeprefix("http://localhost")
    return address, client.get(address.partition("#")[0]).text


def forgetful(host: Host) -> FlaskClient:
    """A reader whose browser keeps no cookies."""
    return host.app.test_client(use_cookies=False)


def test_a_long_thread_is_paged_in_both_directions(long: Host) -> None:
    first = reader(long).get("/thaw?from=front").text
    assert shown(first) == list(range(1, 501))
    assert "Earlier comments" not in first
    second = reader(long).get(link(first, "Later comments")).text
    assert shown(second) == list(range(501, 1001))
    assert "from=front" in link(second, "Later comments")
    last = reader(long).get(link(second, "Later comments")).text
    assert shown(last) == [1001, 1002]
    assert "Later comments" not in last
    back = reader(long).get(link(last, "Earlier comments")).text
    assert shown(back) == shown(second)
    assert shown(reader(long).get(link(back, "Earlier comments")).text) == shown(first)


@pytest.mark.parametrize("number", [1, 500, 501, 777, 1000, 1001, 1002])
def test_the_address_of_a_comment_leads_to_its_page(long: Host, number: int) -> None:
    page = reader(long).get(f"/thaw?moderate_at={number}").text
    assert number in shown(page)
    permalink = f'class="moderate-permalink" href="?moderate_at={number}#comment-{number}"'
    assert page.count(permalink) == 1
    # The pages are those that the links between them lead to, so that all readers share them.
    assert shown(page)[0] in {1, 501, 1001}


def test_an_unavailable_number_gives_the_plain_thread(long: Host) -> None:
    store = long.state.desk.store
    long.add_article("frost")
    long.client.get("/frost")
    fill_thread(store, 1, "frost")
    hidden = long.comment("Hidden.").json["id"]
    plain = shown(reader(long).get("/thaw").text)
    for number in (0, 4711, 2**62, 1003, hidden):
        answer = reader(long).get(f"/thaw?moderate_at={number}")
        assert (answer.status_code, shown(answer.text)) == (200, plain)
    removed = long.decide(900, "trash")
    assert removed.status_code == 200
    assert shown(reader(long).get("/thaw?moderate_at=900").text) == plain


def test_an_invalid_cursor_gives_the_first_page(long: Host) -> None:
    plain = shown(reader(long).get("/thaw").text)
    for query in ("moderate_after=1002", "moderate_after=5000", "moderate_before=1", "moderate_before=300"):
        assert shown(reader(long).get(f"/thaw?{query}").text) == plain


def test_a_comment_approved_late_is_found_at_its_address(long: Host) -> None:
    late = long.comment("Written before the others.").json["id"]
    fill_thread(long.state.desk.store, 600)
    long.decide(late, "approve")
    for path in ("/discuss/feed", "/discuss/feed/thaw"):
        (address,) = re.findall(rf'href="http://localhost(/thaw[^"#]*)#comment-{late}"', reader(long).get(path).text)
        assert late in shown(reader(long).get(address).text)


@pytest.mark.parametrize("who", [reader, forgetful])
@pytest.mark.parametrize("premoderation", ["all", "none"])
def test_a_form_in_a_long_thread_redirects_to_the_page_of_the_new_comment(
    tmp_path: Path, who: Callable[[Host], FlaskClient], premoderation: str
) -> None:
    host = Host(tmp_path, MODERATE_LIMITS={}, MODERATE_PREMODERATION=premoderation)
    host.client.get("/thaw")
    fill_thread(host.state.desk.store, 502)
    address, page = posted(host, who(host), parent="3")
    assert address.endswith("#comment-503")
    assert 503 in shown(page)
    assert ("is waiting for a moderator" in page) is (premoderation == "all")
    # What it answers is on the first page: what waits stands there, what is public says so.
    assert 3 in shown(page) or 'in reply to <a href="?moderate_at=3#comment-3"><bdi>Reader 3</bdi>' in page
    # A comment that is no reply is at the end.
    _, page = posted(host, who(host), text="Another.")
    assert shown(page)[-2:] == [503, 504] if premoderation == "none" else shown(page)[-2:] == [502, 504]
    assert "Later comments" not in page


def test_own_pending_comments_are_on_every_page_for_their_author_only(long: Host) -> None:
    posted(long, long.client)
    for query in ("", "?moderate_after=500", "?moderate_before=1001", "?moderate_at=1002"):
        answer = long.client.get(f"/thaw{query}")
        assert 1003 in shown(answer.text)
        assert "is waiting for a moderator" in answer.text
        assert answer.headers["Cache-Control"] == "private"
        assert 1003 not in shown(reader(long).get(f"/thaw{query}").text)


def test_the_address_after_the_form_shows_a_pending_comment_to_its_sender_for_some_minutes(host: Host) -> None:
    sender = forgetful(host)
    address = posted(host, sender)[0].partition("#")[0]
    answer = sender.get(address)
    assert shown(answer.text) == [1]
    assert "is waiting for a moderator" in answer.text
    assert answer.headers["Cache-Control"] == "private"
    # Others who get the address, or change it, are shown nothing.
    elsewhere = {"environ_overrides": {"REMOTE_ADDR": "198.51.100.7"}}
    assert shown(sender.get(address, **elsewhere).text) == []
    assert shown(sender.get(address.replace("moderate_sent=", "moderate_sent=x")).text) == []
    # An address says nothing of another article's comments.
    host.add_article("frost")
    assert shown(sender.get(address.replace("/thaw", "/frost")).text) == []
    host.clock.advance(minutes=11)
    assert shown(sender.get(address).text) == []


def test_spam_is_shown_to_its_sender_as_pending_also_without_cookies(host: Host) -> None:
    _, page = posted(
        host, forgetful(host), homepage="filled in", text="https://a.example/ https://b.example/ https://c.example/"
    )
    assert "is waiting for a moderator" in page


@pytest.mark.parametrize(
    ("url", "landing"),
    [
        ("http://localhost/thaw", "http://localhost/thaw?moderate_at=1#comment-1"),
        ("http://localhost/thaw?id=7", "http://localhost/thaw?id=7&moderate_at=1#comment-1"),
        ("http://localhost/thaw?id=7#top", "http://localhost/thaw?id=7&moderate_at=1#comment-1"),
        ("http://localhost/thaw#top", "http://localhost/thaw?moderate_at=1#comment-1"),
    ],
)
def test_the_query_of_an_article_address_is_kept(tmp_path: Path, url: str, landing: str) -> None:
    host = Host(tmp_path, MODERATE_PREMODERATION="none")
    host.add_article("thaw", url=url)
    answer = host.client.post("/discuss/comments/thaw", data={"author": "Mika", "text": "Mine."})
    assert answer.headers["Location"] == landing
    assert html.escape(landing) in host.client.get("/discuss/feed").text


def test_pings_are_paged_separately_from_comments(long: Host) -> None:
    store = long.state.desk.store
    source = {"kind": "trackback", "source_url": "https://blog.example/1"}
    fill_thread(store, 502, **source)
    page = reader(long).get("/thaw").text
    assert "Trackbacks (502)" in page
    assert shown(page) == [*range(1, 501), *range(1003, 1503)]
    later = reader(long).get(link(page, "Later trackbacks")).text
    assert shown(later) == [*range(1, 501), 1503, 1504]
    assert shown(reader(long).get(link(later, "Earlier trackbacks")).text) == shown(page)
    assert shown(reader(long).get("/thaw?moderate_at=1504").text) == shown(later)
    listed = reader(long).get("/discuss/trackback/thaw?__mode=rss").text
    assert listed.count("<item>") == 200


def test_a_single_ping_is_on_each_page_of_comments(long: Host) -> None:
    fill_thread(long.state.desk.store, 1, kind="trackback", source_url="https://blog.example/1")
    for query in ("", "?moderate_at=1002"):
        page = reader(long).get(f"/thaw{query}").text
        assert "Trackbacks (1)" in page
        assert shown(page)[-1] == 1003
        assert "No other site has linked here yet" not in page


def test_a_reply_names_its_parent_on_another_page(long: Host) -> None:
    answer = approved(long, "An answer.", parent=3)
    page = reader(long).get(f"/thaw?a=1&moderate_at={answer}").text
    (address,) = re.findall(r'in reply to <a href="([^"]*)"><bdi>Reader 3</bdi></a>', page)
    assert html.unescape(address) == "?a=1&moderate_at=3#comment-3"
    # Kept pages say the same, each with the query that it was asked for with.
    again = reader(long).get(f"/thaw?moderate_at={answer}").text
    assert 'in reply to <a href="?moderate_at=3#comment-3">' in again


def test_a_removed_comment_with_replies_leaves_a_stub(host: Host) -> None:
    top = approved(host, "What they should not have written.", author="Eve")
    answer = approved(host, "An answer.", parent=top)
    host.decide(top, "trash", version=2)
    page = reader(host).get("/thaw").text
    assert shown(page) == [top, answer]
    assert "This comment was removed." in page
    assert "Eve" not in page
    assert "should not have written" not in page
    assert "Comments (1)" in page
    host.client.delete(f"/discuss/moderation/items/{top}", headers=host.token())
    assert "This comment was removed." in reader(host).get("/thaw").text
    host.decide(answer, "trash", version=2)
    assert shown(reader(host).get("/thaw").text) == []


def test_a_reply_link_works_for_a_comment_of_any_page(long: Host) -> None:
    page = reader(long).get("/thaw?moderate_reply=777").text
    assert 777 in shown(page)
    assert 'You are replying to <a href="#comment-777">' in page
    for number in (4711, long.comment("Waits.").json["id"]):
        assert "You are replying to" not in reader(long).get(f"/thaw?moderate_reply={number}").text


def test_the_number_of_statements_for_a_page_is_independent_of_the_thread_length(long: Host) -> None:
    long.add_article("frost")
    approved(long, article="frost")
    posted(long, long.client)
    asked: dict[str, int] = {}
    for path in ("/frost", "/thaw", "/thaw?moderate_after=500", "/thaw?moderate_at=777"):
        # Once to see the article, and then as most readers do.
        reader(long).get(path)
        statements = long.statements()
        reader(long).get(path)
        asked[path] = len(statements)
    assert asked["/thaw"] == asked["/frost"] == asked["/thaw?moderate_after=500"]
    assert asked["/thaw?moderate_at=777"] <= asked["/thaw"] + 2


# --- when a copy is still good --------------------------------------------------------------------


def tag(client: FlaskClient, address: str = THREAD) -> str:
    found = client.get(address).headers["ETag"]
    assert not found.startswith("W/")
    return str(found)


def is_current(client: FlaskClient, etag: str, address: str = THREAD) -> bool:
    answer = client.get(address, headers={"If-None-Match": etag})
    assert answer.status_code in {200, 304}
    assert (answer.data == b"") is (answer.status_code == 304)
    return bool(answer.status_code == 304)


def test_changes_invisible_to_readers_keep_the_etag(host: Host) -> None:
    approved(host)
    etag = tag(reader(host))
    waiting = host.comment("Another").json["id"]
    for decision in ("spam", "trash", "hold"):
        version = host.client.get(f"/discuss/moderation/items/{waiting}", headers=host.token()).json["version"]
        assert host.decide(waiting, decision, version).status_code == 200
        assert is_current(reader(host), etag), decision


def test_changes_visible_to_readers_change_the_etag(host: Host) -> None:
    item = host.comment().json
    seen = {tag(reader(host))}
    steps = [
        lambda: host.decide(item["id"], "approve", 1),
        lambda: host.decide(item["id"], "hold", 2),
        lambda: host.decide(item["id"], "approve", 3),
        lambda: host.client.delete(f"/discuss/items/{item['id']}?edit_token={item['edit_token']}"),
    ]
    for step in steps:
        old = tag(reader(host))
        assert step().status_code in {200, 204}
        assert not is_current(reader(host), old)
        new = tag(reader(host))
        assert is_current(reader(host), new)
        # Two states never share a tag, not even where one is restored.
        assert new not in seen
        seen.add(new)


def test_a_changed_text_changes_the_etag_only_when_it_is_approved(host: Host) -> None:
    item = host.comment().json
    host.decide(item["id"], "approve")
    etag = tag(reader(host))
    changed = host.client.patch(
        f"/discuss/items/{item['id']}", json={"text": "It froze once.", "edit_token": item["edit_token"]}
    )
    assert changed.status_code == 200
    assert is_current(reader(host), etag)
    host.decide(item["id"], "approve", 3)
    assert not is_current(reader(host), etag)
    assert "froze once" in reader(host).get(THREAD).text


def test_the_etag_of_an_author_depends_on_items_that_only_the_author_sees(host: Host) -> None:
    approved(host)
    item = host.comment("Mine").json
    etag = tag(host.client)
    assert is_current(host.client, etag)
    host.client.patch(f"/discuss/items/{item['id']}", json={"text": "Changed", "edit_token": item["edit_token"]})
    assert not is_current(host.client, etag)
    etag = tag(host.client)
    host.decide(item["id"], "trash", 2)
    assert not is_current(host.client, etag)


def test_authors_and_other_readers_never_share_an_etag(host: Host) -> None:
    host.comment("Mine")
    assert not is_current(reader(host), tag(host.client))
    assert not is_current(host.client, tag(reader(host)))
    assert "Cookie" in host.client.get(THREAD).headers["Vary"]


def test_each_page_of_a_thread_has_its_own_etag(host: Host) -> None:
    for n in range(3):
        approved(host, f"Number {n}")
    queries = ["", "?limit=1", "?limit=2", "?order=newest", "?cursor=1", "?cursor=1&limit=1"]
    assert len({tag(reader(host), THREAD + query) for query in queries}) == len(queries)


def test_etags_of_different_articles_differ(host: Host) -> None:
    host.add_article("frost")
    assert tag(reader(host)) != tag(reader(host), "/discuss/comments/frost")


@pytest.mark.parametrize("address", [THREAD, "/discuss/counts?article=thaw"])
def test_a_weak_etag_or_one_of_several_still_matches(host: Host, address: str) -> None:
    etag = tag(reader(host), address)
    assert is_current(reader(host), f"W/{etag}", address)
    assert is_current(reader(host), f'"other", {etag}', address)
    assert is_current(reader(host), "*", address)
    assert not is_current(reader(host), '"other"', address)


def test_a_304_response_has_a_fresh_form_token(host: Host) -> None:
    etag = tag(reader(host))
    answer = reader(host).get(THREAD, headers={"If-None-Match": etag})
    assert answer.status_code == 304
    assert answer.headers["ETag"] == etag
    assert answer.headers["Moderate-Form-Token"]
    assert answer.headers["Cache-Control"] == "no-cache"


def test_functions_of_the_host_may_change_an_answer(host: Host) -> None:
    @host.app.after_request
    def change(response: Response) -> Response:
        response.headers["X-Site"] = "news"
        if response.status_code == 200:
            response.set_data(response.get_data() + b"\n")
        return response

    got = reader(host).get(THREAD)
    assert (got.headers["X-Site"], got.content_length, got.data[-1:]) == ("news", len(got.data), b"\n")
    assert got.headers["X-Content-Type-Options"] == "nosniff"
    unchanged = reader(host).get(THREAD, headers={"If-None-Match": got.headers["ETag"]})
    assert (unchanged.status_code, unchanged.headers["X-Site"], unchanged.content_type) == (304, "news", None)


def test_an_answer_that_a_function_of_the_host_replaces_is_completed_as_any_other(host: Host) -> None:
    @host.app.after_request
    def replace(response: Response) -> Response:
        if response.status_code == 303:
            response.headers["Location"] = "/danke schön"
        elif "ETag" in response.headers:
            response.status_code = 204
        return response

    sent = reader(host).post("/discuss/comments/thaw", data={"text": "Anyone there?", "author": "Mika"})
    assert sent.headers["Location"] == "/danke%20sch%C3%B6n"
    assert "Content-Length" not in reader(host).get(THREAD).headers


def test_head_has_the_header_fields_of_get_and_no_body(host: Host) -> None:
    got, head = reader(host).get(THREAD), reader(host).head(THREAD)
    assert head.status_code == 200
    assert head.data == b""
    assert (head.headers["ETag"], head.content_length) == (got.headers["ETag"], got.content_length)


# --- counters -------------------------------------------------------------------------------------


def test_counters_of_many_articles_are_read_at_once_and_are_zero_for_unknown_ones(host: Host) -> None:
    host.add_article("2026/雪解け")
    approved(host)
    approved(host, article="2026/雪解け")
    host.comment("Waits")
    asked = ["thaw", "2026/雪解け", "never heard of", '"\\', "thaw"]
    answer = reader(host).get("/discuss/counts", query_string={"article": asked})
    assert [*answer.json] == asked[:-1]
    assert answer.json == {
        "thaw": {"comments": 1, "trackbacks": 0},
        "2026/雪解け": {"comments": 1, "trackbacks": 0},
        "never heard of": {"comments": 0, "trackbacks": 0},
        '"\\': {"comments": 0, "trackbacks": 0},
    }


@given(
    st.lists(
        st.sampled_from(["article", "=", "&", "&article=", "%61", "+", "%2F", "%e9", "%E9%9b%aa", "%", "雪", ";", "b"])
    )
)
def test_the_keys_in_a_query_are_those_that_flask_reads(parts: list[str]) -> None:
    query = "".join(parts)
    environ = {"QUERY_STRING": query.encode().decode("latin-1")}
    assert values_of("article", query) == Request(environ).args.getlist("article")


@pytest.mark.parametrize(
    ("keys", "status"),
    [
        ([], 422),
        (["k"] * 300, 200),
        ([f"k{n}" for n in range(100)], 200),
        ([f"k{n}" for n in range(101)], 422),
        ([""], 422),
        (["x" * 200], 200),
        (["x" * 201], 422),
        (["a\x00b"], 422),
    ],
)
def test_counters_are_limited_to_a_hundred_articles_per_request(host: Host, keys: list[str], status: int) -> None:
    assert reader(host).get("/discuss/counts", query_string={"article": keys}).status_code == status


def test_the_etag_of_counters_changes_only_with_a_number(host: Host) -> None:
    address = "/discuss/counts?article=thaw&article=frost"
    etag = tag(reader(host), address)
    item = host.comment().json["id"]
    assert is_current(reader(host), etag, address)
    host.decide(item, "approve")
    assert not is_current(reader(host), etag, address)


def test_a_page_of_fifty_articles_needs_one_query(host: Host) -> None:
    statements = host.statements()
    with host.app.app_context():
        counts = host.moderate.counts([f"article {n}" for n in range(50)])
    assert len(counts) == 50
    assert len(statements) == 1


# --- single items and previews --------------------------------------------------------------------


def test_an_item_is_public_when_it_is_approved(host: Host) -> None:
    item = host.comment().json
    address = f"/discuss/items/{item['id']}"
    assert reader(host).get(address).status_code == 404
    host.decide(item["id"], "approve")
    assert reader(host).get(address).json["html"] == "<p>The river froze twice.</p>"
    host.decide(item["id"], "spam", 2)
    assert reader(host).get(address).status_code == 404


def test_authors_alone_see_their_own_item_by_cookie_or_by_token(host: Host) -> None:
    item, other = host.comment().json, host.comment("Other").json
    address = f"/discuss/items/{item['id']}"
    assert host.client.get(address).json["status"] == "pending"
    assert reader(host).get(f"{address}?edit_token={item['edit_token']}").status_code == 200
    for token in (other["edit_token"], item["edit_token"][:-1], "", "x" * 5000, "é"):
        assert reader(host).get(address, query_string={"edit_token": token}).status_code == 404


def test_spam_is_shown_to_its_author_as_pending(host: Host) -> None:
    item = host.trapped().json
    assert item["status"] == "pending"
    assert host.client.get(f"/discuss/items/{item['id']}").json["status"] == "pending"
    assert [entry["status"] for entry in host.client.get(THREAD).json["items"]] == ["pending"]
    assert reader(host).get(f"/discuss/items/{item['id']}").status_code == 404


@pytest.mark.parametrize("number", ["0", "999", "9223372036854775807", "9223372036854775808", "9" * 400])
def test_an_unknown_item_number_is_not_found(host: Host, number: str) -> None:
    for address in (f"/discuss/items/{number}", f"/discuss/moderation/items/{number}"):
        answer = host.client.get(address, headers=host.token())
        assert (answer.status_code, answer.json["code"]) == (404, "unknown-item")


def test_a_preview_shows_the_final_text_and_stores_nothing(host: Host) -> None:
    typed = "Look: https://ice.example\n\n<b>Bold</b><script>alert(1)</script>"
    shown = host.client.post("/discuss/preview", json={"text": typed})
    posted = host.comment(typed)
    assert shown.status_code == 200
    assert shown.json == {"html": posted.json["html"]}
    assert "<script" not in shown.text
    assert host.total() == 1


@pytest.mark.parametrize(
    ("json", "status"),
    [({"text": "x" * 8001}, 413), ({"text": "a\0b"}, 422), ({"text": 5}, 422), ({"unknown": "x"}, 422), ([], 422)],
)
def test_a_text_that_cannot_be_posted_has_no_preview(host: Host, json: object, status: int) -> None:
    answer = host.client.post("/discuss/preview", json=json)
    assert answer.status_code == status
    assert answer.mimetype == "application/problem+json"


def test_the_error_of_a_preview_is_in_the_language_of_the_reader(tmp_path: Path) -> None:
    japanese = Host(tmp_path, MODERATE_LANGUAGE="ja", MODERATE_LIMITS={"previews": ["2/minute per client"]})
    told = japanese.client.post("/discuss/preview", data={"text": "x" * 8001}).json
    assert (told["code"], told["detail"]) == ("too-large", "8000文字まで。")
    told = japanese.client.post("/discuss/preview", json={"text": "a\0b"}).json
    assert told["detail"] == "入力内容をご確認ください。"
    assert [error["message"] for error in told["errors"]] == [
        "保存できない文字が含まれています。取り除いて入力し直してください。"
    ]
    refused = japanese.client.post("/discuss/preview", data={}).json["detail"]
    assert refused == "リクエストが多すぎます。30秒後にもう一度お試しください。"
    # What programs get stays English.
    assert japanese.comment("").json["detail"] == "Some fields are invalid."


# --- what a process keeps -------------------------------------------------------------------------


def test_changes_of_another_process_are_visible_at_once(tmp_path: Path) -> None:
    here, there = Host(tmp_path, MODERATE_LIMITS={}), Host(tmp_path, MODERATE_LIMITS={})
    first = approved(here)
    for _ in range(2):
        assert [item["id"] for item in reader(here).get(THREAD).json["items"]] == [first]
    assert len(here.state.threads) == 1
    second = approved(there, "The ice is gone.")
    assert [item["id"] for item in reader(here).get(THREAD).json["items"]] == [first, second]
    there.decide(first, "trash", version=2)
    assert [item["id"] for item in reader(here).get(THREAD).json["items"]] == [second]


def test_the_shared_cache_never_serves_the_view_of_an_author(host: Host) -> None:
    approved(host)
    host.comment("Mine, and waiting.")
    assert len(host.client.get(THREAD).json["items"]) == 2
    assert len(reader(host).get(THREAD).json["items"]) == 1
    assert len(host.client.get(THREAD).json["items"]) == 2
