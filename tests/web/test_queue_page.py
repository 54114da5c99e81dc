"""The queue as a page of forms: everything a moderator does with a browser that runs no script."""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing
from datetime import timedelta
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask
from sqlalchemy import update

from moderate import Author, Moderate, Moderator
from moderate.database.schema import articles, items
from moderate.i18n import decode, translator
from moderate.model import Finding, Lean, NewTask
from moderate.store.rows import finding_to_json
from moderate.tasks.housekeeping import AKISMET
from tests.sites import Host

if TYPE_CHECKING:
    from pathlib import Path

QUEUE = "/discuss/moderation/"


class Page(HTMLParser):
    """A page as a browser without scripts has it: forms with fields and buttons, links."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.forms: list[dict[str, Any]] = []
        self.links: list[str] = []
        self.html = html
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag == "a":
            self.links.append(found.get("href", ""))
        if tag == "form":
            self.forms.append({"action": found["action"], "method": found["method"], "fields": {}, "buttons": []})
        if tag == "input" and self.forms and "name" in found:
            self.forms[-1]["fields"][found["name"]] = found.get("value", "")
        if tag == "button" and found.get("name") == "decision":
            self.forms[-1]["buttons"].append(found["value"])

    def item_forms(self) -> list[int]:
        """The items that the page has buttons for."""
        numbers = [form["action"].rpartition("/queue/")[2] for form in self.forms]
        return [int(number) for number in numbers if number.isdigit()]

    def form_of(self, item: int) -> dict[str, Any]:
        return next(form for form in self.forms if form["action"].endswith(f"/queue/{item}"))


@pytest.fixture
def desk(host: Host) -> Host:
    host.moderator = Moderator("mori")
    return host


def shown(host: Host, query: str = "", language: str = "en") -> Page:
    answer = host.client.get(QUEUE + query, headers={"Accept-Language": language})
    assert answer.status_code == 200
    return Page(answer.text)


def press(host: Host, page: Page, item: int, decision: str) -> Any:
    form = page.form_of(item)
    assert form["method"] == "post"
    assert decision in form["buttons"]
    return host.client.post(form["action"], data={**form["fields"], "decision": decision})


def test_a_button_decides_and_returns_to_the_queue_with_a_notice(desk: Host) -> None:
    desk.comment()
    answer = press(desk, shown(desk), 1, "approve")
    assert answer.status_code == 303
    page = Page(desk.client.get(answer.headers["Location"]).text)
    assert "Item 1: approved." in page.html
    assert page.item_forms() == []
    assert desk.counts() == {"comments": 1, "trackbacks": 0}


@pytest.mark.parametrize(("decision", "status"), [("spam", "spam"), ("trash", "trash")])
def test_decided_items_are_listed_under_their_own_tab(desk: Host, decision: str, status: str) -> None:
    desk.comment()
    press(desk, shown(desk), 1, decision)
    assert shown(desk, f"?status={status}").form_of(1)["buttons"]
    assert decision not in shown(desk, f"?status={status}").form_of(1)["buttons"]


def test_tabs_links_and_forms_keep_the_position_of_the_moderator(desk: Host) -> None:
    for n in range(60):
        desk.comment(f"Number {n}")
    page = shown(desk, "?status=pending&kind=comment&q=Number&notice=old")
    older = next(link for link in page.links if "cursor=" in link)
    assert "notice" not in older
    second = shown(desk, "?" + urlsplit(older).query)
    assert second.item_forms() == list(range(10, 0, -1))
    back = parse_qs(urlsplit(press(desk, second, 5, "spam").headers["Location"]).query)
    assert back["cursor"] == parse_qs(urlsplit(older).query)["cursor"]
    assert (back["status"], back["kind"], back["q"]) == (["pending"], ["comment"], ["Number"])


def test_the_second_of_two_moderators_sees_the_decision_of_the_first(desk: Host) -> None:
    desk.comment()
    page = shown(desk)
    desk.decide(1, "spam", **desk.token("sato"))
    answer = press(desk, page, 1, "approve")
    assert answer.status_code == 303
    assert "sato has decided meanwhile: spam" in desk.client.get(answer.headers["Location"]).text
    assert desk.counts() == {"comments": 0, "trackbacks": 0}


def test_a_double_click_decides_once(desk: Host) -> None:
    desk.comment()
    page = shown(desk)
    assert [press(desk, page, 1, "approve").status_code for _ in range(2)] == [303, 303]
    assert desk.counts() == {"comments": 1, "trackbacks": 0}


@pytest.mark.parametrize(
    "changes",
    [
        {"csrf_token": ""},
        {"csrf_token": "made up"},
        {"headers": {"Origin": "https://evil.example"}},
        {"headers": {"Sec-Fetch-Site": "cross-site"}},
    ],
)
def test_a_form_of_another_site_decides_nothing(desk: Host, changes: dict[str, Any]) -> None:
    desk.comment()
    form = shown(desk).form_of(1)
    headers = changes.pop("headers", {})
    data = {**form["fields"], "decision": "approve", **changes}
    answer = desk.client.post(form["action"], data=data, headers=headers)
    assert answer.status_code == 403
    assert desk.counts() == {"comments": 0, "trackbacks": 0}


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"decision": "delete"}, 422),
        ({"decision": ""}, 422),
        ({"version": ""}, 422),
        ({"version": "-1"}, 422),
        ({"version": "١"}, 422),
        ({"version": "9" * 40}, 422),
    ],
)
def test_an_invalid_form_gets_an_error_page(desk: Host, changes: dict[str, str], status: int) -> None:
    desk.comment()
    form = shown(desk).form_of(1)
    answer = desk.client.post(form["action"], data={**form["fields"], "decision": "approve", **changes})
    assert (answer.status_code, answer.mimetype) == (status, "text/html")
    assert desk.counts() == {"comments": 0, "trackbacks": 0}


def test_an_unknown_item_gets_an_error_page(desk: Host) -> None:
    desk.comment()
    form = shown(desk).form_of(1)
    answer = desk.client.post("/discuss/moderation/queue/999", data={**form["fields"], "decision": "spam"})
    assert (answer.status_code, answer.mimetype) == (404, "text/html")


def test_unauthenticated_visitors_get_a_page_without_items(host: Host) -> None:
    host.comment("Nobody may read this yet")
    answer = host.client.get(QUEUE)
    assert (answer.status_code, answer.mimetype) == (401, "text/html")
    assert "Nobody may read this" not in answer.text
    assert host.client.post("/discuss/moderation/queue/1", data={"decision": "approve"}).status_code == 401


def test_the_page_runs_only_its_own_script_and_cannot_be_framed(desk: Host) -> None:
    answer = desk.client.get(QUEUE)
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["Cache-Control"] == "no-store"
    assert "style=" not in answer.text
    assert "onclick" not in answer.text


@pytest.mark.parametrize("language", ["en", "ja"])
def test_hostile_text_is_escaped_everywhere_on_the_page(desk: Host, language: str) -> None:
    hostile = '"><img src=x onerror=alert(1)>'
    desk.comment(hostile, author=hostile)
    for query in ("", "?notice=" + hostile, "?q=" + hostile, "?author=" + hostile, "?article=" + hostile):
        assert "<img" not in shown(desk, query, language).html


def test_a_value_stands_where_the_translation_has_its_place(desk: Host) -> None:
    """The translations are in the compiled templates, and the values between their parts."""
    desk.comment(author="Mika & Co")
    assert "By <bdi>Mika &amp; Co</bdi></a>" in shown(desk).html
    japanese = translator("ja").template("By {name}").format(name="<bdi>Mika &amp; Co</bdi>")
    assert f"{japanese}</a>" in shown(desk, language="ja").html


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("status=nothing", "Status: One of pending, approved, spam, trash."),
        ("cursor=garbage", "The link that led down the list is broken."),
        ("cursor=0", "The link that led down the list is broken."),
        ("q=%00", "Words: At most 200 characters, and none of them NUL."),
        ("kind=email", "Kind: One of comment, trackback, pingback, webmention."),
        ("awaiting=godot", "Waiting for: One of checks, moderator."),
        ("like=one", "Item: The number of an item."),
        ("host=" + "x" * 201, "Host: At most 200 characters, and none of them NUL."),
    ],
)
def test_an_invalid_query_is_answered_by_the_queue_page(desk: Host, query: str, said: str) -> None:
    desk.comment("Nothing of this is listed.")
    answer = desk.client.get(f"{QUEUE}?{query}")
    assert (answer.status_code, answer.mimetype) == (422, "text/html")
    assert "The queue does not know what the address of this page asks for." in answer.text
    assert said in answer.text
    assert "Nothing of this is listed." not in answer.text
    assert "\0" not in answer.text
    # The page is whole: its tabs, its search, and no link that leads back to the same.
    page = Page(answer.text)
    assert f"{QUEUE}?status=spam" in page.links
    again = [link for link in page.links if link.startswith(QUEUE)]
    assert {desk.client.get(link.replace("&amp;", "&")).status_code for link in again} == {200}


def test_the_fields_keep_the_typed_values_beside_the_errors(desk: Host) -> None:
    html = desk.client.get(f"{QUEUE}?status=spam&kind=webmention&awaiting=moderator&q=tram+stop&cursor=garbage").text
    assert 'value="tram stop"' in html
    assert '<option value="webmention" selected>' in html
    assert '<option value="moderator" selected>' in html
    assert '<input type="hidden" name="status" value="spam">' in html
    assert "garbage" not in html


def test_hostile_text_in_an_invalid_query_is_escaped(desk: Host) -> None:
    hostile = '"><img src=x onerror=alert(1)>'
    for name in ("q", "status", "kind", "author", "like", "cursor"):
        assert "<img" not in desk.client.get(QUEUE, query_string={name: hostile, "awaiting": "x"}).text


def test_the_sign_in_page_explains_how_to_sign_in_without_redirect_loops(host: Host, tmp_path: Path) -> None:
    with_login = host.client.get(QUEUE)
    without = without_login(tmp_path).test_client().get(QUEUE)
    for answer in (with_login, without):
        assert answer.status_code == 401
        assert "flask moderate token link NAME" in answer.text
        (button,) = Page(answer.text).links[1:]
        assert button == "/"
    assert "sign in the way you always do" in with_login.text
    assert "this site has no login for them" in without.text
    assert "sign in the way you always do" not in without.text


def test_the_link_back_leads_to_the_site_at_any_mount_point(tmp_path: Path) -> None:
    app = without_login(tmp_path, MODERATE_SITE_URL="https://news.example")
    assert Page(app.test_client().get(QUEUE).text).links[1:] == ["https://news.example/"]
    below = without_login(tmp_path / "below").test_client().get(QUEUE, base_url="http://localhost/paper")
    assert Page(below.text).links[1:] == ["/paper/"]


def without_login(folder: Path, **config: Any) -> Flask:
    app = Flask("bare", instance_path=str(folder / "bare"))
    app.config.update(SECRET_KEY="for tests only", MODERATE_WORKER="external", **config)
    moderate = Moderate()
    moderate.article_loader(lambda key: None)
    moderate.init_app(app)
    return app


def test_a_signed_in_author_is_marked_and_a_typed_name_cannot_imitate_the_mark(desk: Host) -> None:
    desk.comment("Typed.", author="✓ signed in")
    desk.author = Author("Aki", id="17")
    desk.comment("Proven.")
    desk.author = None
    token = desk.token()
    typed, proven = (desk.client.get(f"/discuss/moderation/items/{number}", headers=token).json for number in (1, 2))
    assert (typed["author_id"], typed["verified"]) == (None, None)
    assert (proven["author_id"], proven["verified"]) == ("17", "login")
    html = shown(desk).html
    assert html.count('class="verified"') == 1
    card = html[html.index('id="item-2"') : html.index('id="item-1"')]
    # The mark is part of the card's accessible name, and stands apart from the author's.
    about = card[card.index('id="item-2-about"') :]
    assert '<span class="unseen">The author is </span>signed in</span>' in about
    assert "verified" not in html[html.index('id="item-1"') :]
    assert "author_id" not in desk.client.get("/discuss/comments/thaw").text


def test_checks_with_findings_are_shown_with_reasons_and_the_others_named(desk: Host) -> None:
    desk.comment(" ".join(f"https://site{n}.example/" for n in range(5)))
    html = shown(desk).html
    assert "5 links" in html
    assert "honeypot" in html


def test_the_strongest_finding_is_listed_first(desk: Host) -> None:
    desk.comment("A text")
    leans = ("trust", "note", "hold", "spam", "unsure", "discard")
    found = [{"check": "links", "lean": lean, "reason": lean, "score": 1.0} for lean in leans]
    with desk.state.desk.store.database.write() as conn:
        conn.execute(update(items).values(findings=found))
    listed = re.findall(r'<li class="lean-(\w+)">', shown(desk).html)
    assert listed == ["discard", "spam", "hold", "unsure", "note", "trust"]


def test_names_and_reasons_of_checks_are_in_the_language_of_the_moderator(desk: Host) -> None:
    desk.comment(" ".join(f"https://site{n}.example/" for n in range(5)))
    desk.trapped()
    html = desk.client.get(f"{QUEUE}?status=", headers={"Accept-Language": "ja"}).text
    assert "リンクが5個" in html
    assert '<span class="check">リンク数</span>' in html
    assert "問題なし：隠し欄、" in html
    assert "隠し欄が確定（スパム）" in html
    assert "honeypot" not in html


def test_reasons_stored_as_sentences_read_like_those_stored_now(desk: Host, tmp_path: Path) -> None:
    """Rows from before messages were stored with their values hold the English sentences alone."""
    desk.comment(" ".join(f"https://site{n}.example/" for n in range(5)))
    desk.trapped()
    queue = f"{QUEUE}?status="
    pages = [desk.client.get(queue, headers={"Accept-Language": language}).text for language in ("en", "ja")]
    items = [item["findings"] for item in desk.client.get("/discuss/moderation/items").json["items"]]
    with closing(sqlite3.connect(tmp_path / "moderate.sqlite3")) as conn:
        for number, findings, skipped in conn.execute("SELECT id, findings, skipped FROM moderate_items").fetchall():
            old = [json.dumps(sentences(json.loads(column))) for column in (findings, skipped)]
            assert "values" not in "".join(old)
            conn.execute("UPDATE moderate_items SET findings = ?, skipped = ? WHERE id = ?", (*old, number))
        conn.commit()
    assert [desk.client.get(queue, headers={"Accept-Language": tag}).text for tag in ("en", "ja")] == pages
    assert [item["findings"] for item in desk.client.get("/discuss/moderation/items").json["items"]] == items


def sentences(stored: Any) -> Any:
    """Return stored findings with each message as its English sentence."""
    if isinstance(stored, dict):
        return decode(stored) if "values" in stored else {name: sentences(value) for name, value in stored.items()}
    return [sentences(each) for each in stored] if isinstance(stored, list) else stored


HIDDEN_LINK = 'The <a href="https://evil.example/very/long?aff=77">page of www.bank.example</a>'


@pytest.mark.parametrize("query", ["", "queue/like?status=pending&author=Mika"])
def test_a_card_shows_link_destinations_and_marks_deceptive_links(desk: Host, query: str) -> None:
    desk.comment(f"{HIDDEN_LINK} and https://аpple.com/x", url="https://shop.example/buy")
    html = shown(desk, query).html
    assert 'https://<b>evil.example</b>/very/long?aff=77</bdi></a> <strong class="elsewhere">' in html
    assert "Its words name another host: <bdi>www.bank.example</bdi>" in html
    assert "https://<b>xn--pple-43d.com</b>/x</bdi></a> (<bdi>аpple.com</bdi>)" in html
    assert "Website “<bdi>Mika</bdi>”:" in html
    assert "https://<b>shop.example</b>/buy" in html
    assert html.count("Its words name another host") == 1


def test_links_of_a_changed_text_are_distinguished_from_the_public_ones(desk: Host) -> None:
    posted = desk.comment("Nothing to see.").json
    desk.decide(1, "approve")
    desk.client.patch("/discuss/items/1", json={"text": HIDDEN_LINK, "edit_token": posted["edit_token"]})
    html = shown(desk, "?status=approved&awaiting=moderator").html
    assert "Link of the changed text “<bdi>page of www.bank.example</bdi>”:" in html


@pytest.mark.parametrize(
    ("text", "is_long"),
    [("word " * 20, False), ("word " * 400, True), ("a\n\n" * 40, True), ("a\n" * 40, True), ("水" * 400, True)],
)
def test_a_long_text_is_folded_and_its_button_needs_no_script(desk: Host, text: str, is_long: bool) -> None:
    desk.comment(text)
    html = shown(desk).html
    assert ('<details><summary><span class="more">Show all of it</span>' in html) is is_long


def test_a_card_with_a_hundred_links_folds_their_list(desk: Host) -> None:
    desk.comment(" ".join(f"https://site{number}.example/" for number in range(100)))
    html = shown(desk).html
    assert html.count("<b>site") == 100
    assert html.count("Show all of it") == 2


@pytest.mark.parametrize(
    ("query", "text", "first"),
    [
        ("status=pending", "An honest text.", "approve"),
        ("status=pending", "An honest text that a rule calls casino.", "spam"),
        ("status=spam", "An honest text.", "trash"),
        ("status=trash", "An honest text.", "spam"),
        ("status=approved", "An honest text.", "hold"),
    ],
)
def test_the_likely_bulk_decision_comes_first_and_is_the_only_filled_button(
    desk: Host, query: str, text: str, first: str
) -> None:
    rule = {"kind": "word", "value": "casino", "effect": "spam"}
    desk.client.post("/discuss/moderation/rules", json=rule, headers=desk.token())
    for number in range(3):
        desk.comment(f"{text} {number}")
    decision = {"status=spam": "spam", "status=trash": "trash", "status=approved": "approve"}.get(query, "hold")
    for number in range(1, 4):
        desk.decide(number, decision)
    page = shown(desk, f"queue/like?{query}&author=Mika")
    assert page.forms[-1]["buttons"][0] == first
    assert page.html.count(" likely") == 1
    assert f'class="{first} likely"' in page.html


def test_all_matches_can_be_unfolded_before_they_are_decided(desk: Host) -> None:
    for number in range(9):
        desk.comment(f"Number {number}.")
    html = shown(desk, "queue/like?status=pending&author=Mika").html
    rest = html[html.index('<details class="rest">') : html.index('<form class="decide')]
    assert "And 4 more." in rest
    assert [f"Number {number}." in rest for number in range(9)] == [True] * 4 + [False] * 5


def test_cards_show_the_current_state_to_moderators_only(desk: Host) -> None:
    for number in range(3):
        desk.comment(f"Number {number}.")
    desk.decide(2, "spam")
    asked = f"{QUEUE}queue/cards?status=pending&item=1&item=2&item=99"
    answer = desk.client.get(asked)
    assert (answer.status_code, answer.mimetype, answer.headers["Cache-Control"]) == (200, "text/html", "no-store")
    cards = Page(answer.text)
    assert cards.item_forms() == [1, 2]
    assert cards.form_of(2)["buttons"] == ["approve", "hold", "trash"]
    assert cards.form_of(2)["fields"]["version"] == "2"
    assert cards.form_of(2)["fields"]["filter_status"] == "pending"
    assert desk.client.get(f"{QUEUE}queue/cards?item=x").status_code == 422
    desk.moderator = None
    assert desk.client.get(asked).status_code == 401


def test_a_card_that_was_shown_before_fits_the_page_that_shows_it_again(desk: Host) -> None:
    """Cards are rendered once: for another moderator, tab, language, place of the app and time they differ."""
    desk.comment(author="Mika")
    first, again = shown(desk).html, shown(desk)
    assert re.sub(r'(csrf_token" value|data-csrf)="[^"]+"', "", first) == re.sub(
        r'(csrf_token" value|data-csrf)="[^"]+"', "", again.html
    )
    assert "just now" in first
    assert '<span class="status">' not in first
    desk.clock.advance(hours=2)
    everything = shown(desk, "?status=&author=Mika")
    assert '<span class="status">Pending</span>' in everything.html
    assert "2 hours ago" in everything.html
    assert everything.form_of(1)["fields"]["filter_author"] == "Mika"
    assert "filter_author" not in shown(desk).form_of(1)["fields"]
    japanese = desk.client.get(QUEUE, headers={"Accept-Language": "ja"}).text
    assert ("2時間前" in japanese, "hours" in japanese, "As it was sent" in japanese) == (True, False, False)
    below = Page(desk.client.get(QUEUE, environ_overrides={"SCRIPT_NAME": "/news"}).text)
    assert below.form_of(1)["action"] == "/news/discuss/moderation/queue/1"
    assert [link for link in below.links if link.startswith("/discuss")] == []
    desk.moderator = Moderator("sato")
    page = shown(desk)
    assert again.form_of(1)["fields"]["csrf_token"] not in page.html
    assert "Item 1: spam." in desk.client.get(press(desk, page, 1, "spam").headers["Location"]).text
    assert shown(desk, "?status=spam").html.count("sato") == 2


def test_a_card_shows_every_change_of_its_item(desk: Host) -> None:
    """Also those that keep its version: what the checks found, and the title of its article."""
    desk.comment()
    assert "About thaw" in shown(desk).html
    store = desk.state.desk.store
    with store.database.write() as conn:
        found = [finding_to_json(Finding("learned", Lean.HOLD, "Like nothing that was ever sent."))]
        conn.execute(update(items).values(findings=found))
        conn.execute(update(articles).values(title="Another title"))
    for query in ("", "?author=Mika"):
        page = shown(desk, query).html
        assert ("Like nothing that was ever sent." in page, "Another title" in page) == (True, True)
        assert "About thaw" not in page
    listed = desk.client.get(f"{QUEUE}items", headers=desk.token()).json["items"][0]
    assert (listed["findings"][0]["reason"], listed["article_title"]) == (
        "Like nothing that was ever sent.",
        "Another title",
    )


def test_the_page_costs_at_most_five_statements(tmp_path: Path) -> None:
    """Its items; all numbers, waits and notes; a spam wave; Akismet's state; and the session of a sign-in link."""
    with closing(Host(tmp_path, MODERATE_AKISMET_KEY="k", MODERATE_LIMITS={})) as desk:
        desk.add_article("thaw")
        for number in range(60):
            desk.comment(f"Number {number}.")
        desk.state.desk.store.states.keep(AKISMET, {"state": "ok"}, desk.clock.now())
        link = desk.app.test_cli_runner().invoke(args=["moderate", "token", "link", "mori"]).output
        assert desk.client.post(link.split()[-1]).status_code == 303
        # The use of a session is noted once in a while.
        shown(desk)
        desk.clock.advance(seconds=9)
        statements = desk.statements()
        assert len(shown(desk).item_forms()) == 50
        assert len(statements) == 5, statements
        statements.clear()
        assert len(desk.client.get(f"{QUEUE}items").json["items"]) == 50
        assert len(statements) == 3, statements


class Told(HTMLParser):
    """The text of a page, and its attributes that are read out or shown."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.words += [value or "" for name, value in attrs if name in {"aria-label", "title", "placeholder"}]

    def handle_data(self, data: str) -> None:
        self.words.append(data.strip())

    def english(self) -> list[str]:
        """Two words of Latin letters in a row are a sentence; commands, settings and lists of values are none."""
        none = r"flask moderate[a-z ]*(NAME)?|MODERATE_\w+|https?://\S+|次のいずれか：.*"
        plain = (re.sub(none, "", words) for words in self.words)
        return [words for words in plain if re.search(r"[A-Za-z]{2,}[ ,.]+[A-Za-z]{2,}", words)]


#: What may be said of the account at Akismet, by topic.
ACCOUNT = {
    "usage": "25 calls this month, of 500 (5 %)",
    "scarce": "460 calls this month, without a limit; the service slows us down",
    "alert": "Warning 10011: no message",
    "bad-key": "The key is refused: the key is not valid for this site. Items wait; check MODERATE_AKISMET_KEY.",
}

#: Forms that mean nothing, or come too late: path and fields.
REFUSED_FORMS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("1", {"decision": "praise", "version": "1"}),
    ("1", {"decision": "spam", "version": "one"}),
    ("999", {"decision": "spam", "version": "1"}),
    ("selected", {"decision": "spam"}),
    ("selected", {"decision": "spam", "item": "x"}),
    ("selected", {"decision": "spam", "item": ["2:9", "99:1", "3:1"]}),
    ("all", {"decision": "spam", "expect": "x"}),
    ("all", {"decision": "spam", "expect": "99"}),
    ("undo", {"batch": "x"}),
)


def test_no_page_of_the_queue_falls_back_to_english(tmp_path: Path) -> None:
    settings = {"MODERATE_AKISMET_KEY": "k", "MODERATE_SITE_URL": "http://localhost", "MODERATE_LIMITS": {}}
    with closing(Host(tmp_path, MODERATE_LANGUAGE="ja", **settings)) as desk:
        desk.add_article("thaw", title="雪解け")
        for number in range(12):
            desk.comment(f"春{number} https://a.example https://b.example https://c.example", author="三日月")
        desk.trapped("春", author="三日月")
        ping = {"url": "http://127.0.0.1:1/post", "title": "雪", "excerpt": "雪", "blog_name": "雪"}
        desk.client.post("/discuss/trackback/thaw", data=ping)
        with desk.app.app_context():
            store, now = desk.state.desk.store, desk.clock.now()
            store.states.keep(AKISMET, {"state": "down"}, now)
            for topic, text in ACCOUNT.items():
                desk.state.desk.account.keep(topic, text, now, quiet=0)
            late = now - timedelta(hours=2)
            store.tasks.add(1, [NewTask(kind="judge", due_at=late), NewTask(kind="judge", due_at=late)], late)
            store.tasks.bury(store.tasks.lease_due(now, limit=1, seconds=60)[0], "no use")
        pages = [desk.client.get(QUEUE)]
        desk.moderator = Moderator("mori")
        queries = ("?status=", "?status=bad&kind=bad&q=" + "x" * 300, "?cursor=bad", "?like=x", "?ip=192.0.2.1&q=x")
        pages += [desk.client.get(QUEUE + query) for query in (*queries, "queue/like?status=&author=三日月")]
        token = pages[1].text.partition('name="csrf_token" value="')[2].partition('"')[0]
        for path, fields in REFUSED_FORMS:
            data = {**fields, "csrf_token": token}
            pages.append(desk.client.post(f"{QUEUE}queue/{path}", data=data, follow_redirects=True))
        pages += [desk.client.post(f"{QUEUE}queue/1"), desk.client.get(f"{QUEUE}sign-in/x")]
        pages += [desk.client.get(f"{QUEUE}mail/x"), desk.client.get(f"{QUEUE}unsubscribe/x")]
        assert "calls" not in pages[1].text
        assert pages[1].text.count('<p class="banner') == 7
        assert {page.mimetype for page in pages} == {"text/html"}
        assert [Told(page.text).english() for page in pages] == [[]] * len(pages)


def test_an_unknown_queue_address_gets_a_page_with_a_link_to_the_queue(desk: Host) -> None:
    browser = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    answer = desk.client.get(f"{QUEUE}settings", headers=browser)
    assert (answer.status_code, answer.mimetype) == (404, "text/html")
    assert QUEUE in Page(answer.text).links
    for program in ({}, {"Accept": "application/json"}, {"Accept": "*/*"}):
        assert desk.client.get(f"{QUEUE}settings", headers=program).json["code"] == "not-found"
    assert desk.client.post(f"{QUEUE}settings", headers=browser).json["code"] == "not-found"


def test_ages_are_in_the_language_of_each_moderator(desk: Host) -> None:
    desk.comment(author="Mika")
    desk.clock.advance(hours=5)
    preview = desk.client.get(f"{QUEUE}queue/like?author=Mika&status=pending", headers={"Accept-Language": "ja"}).text
    assert ("5時間前" in preview, "5 hours ago" in shown(desk).html) == (True, True)
