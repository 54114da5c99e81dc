"""Authors' second thoughts: while the window is open they may change or take back what is their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from moderate import Author
from tests.sites import Host

if TYPE_CHECKING:
    from pathlib import Path


def edit(host: Host, item: dict[str, Any], text: str = "It froze once.", token: str | None = None) -> Any:
    body = {"text": text, "edit_token": item["edit_token"] if token is None else token}
    return host.app.test_client().patch(f"/discuss/items/{item['id']}", json=body)


def withdraw(host: Host, item: dict[str, Any], token: str | None = None) -> Any:
    token = item["edit_token"] if token is None else token
    return host.app.test_client().delete(f"/discuss/items/{item['id']}", query_string={"edit_token": token})


def seen(host: Host, item: dict[str, Any]) -> dict[str, Any]:
    """The item as moderators see it."""
    found: dict[str, Any] = host.client.get(f"/discuss/moderation/items/{item['id']}", headers=host.token()).json
    return found


def public(host: Host) -> list[str]:
    page = host.app.test_client().get("/discuss/comments/thaw").json
    return [item["html"] for item in page["items"]]


def test_a_pending_comment_gets_its_new_text_and_stays_pending(host: Host) -> None:
    item = host.comment().json
    answer = edit(host, item)
    assert answer.status_code == 200
    assert answer.json["html"] == "<p>It froze once.</p>"
    assert answer.json["edited_at"] is not None
    found = seen(host, item)
    assert (found["text"], found["status"], found["version"]) == ("It froze once.", "pending", 2)
    assert [entry["act"] for entry in found["history"]] == ["received", "revised"]


def test_an_approved_text_stays_public_while_the_new_one_is_pending(host: Host) -> None:
    item = host.comment().json
    host.decide(item["id"], "approve")
    assert edit(host, item).status_code == 200
    assert public(host) == ["<p>The river froze twice.</p>"]
    assert host.counts() == {"comments": 1, "trackbacks": 0}
    found = seen(host, item)
    assert (found["status"], found["awaiting"], found["proposed"]["text"]) == (
        "approved",
        "moderator",
        "It froze once.",
    )
    assert host.decide(item["id"], "approve", found["version"]).status_code == 200
    assert public(host) == ["<p>It froze once.</p>"]
    assert host.counts() == {"comments": 1, "trackbacks": 0}


def test_an_edited_text_is_checked_again(tmp_path: Path) -> None:
    host = Host(tmp_path, MODERATE_LIMITS={}, MODERATE_PREMODERATION="none")
    item = host.comment().json
    assert item["status"] == "approved"
    links = " ".join(f"https://pills{n}.example/" for n in range(9))
    assert edit(host, item, links).status_code == 200
    assert public(host) == ["<p>The river froze twice.</p>"]
    assert seen(host, item)["awaiting"] == "moderator"
    harmless = host.comment("A second one.").json
    assert edit(host, harmless, "A better one.").status_code == 200
    assert public(host)[1] == "<p>A better one.</p>"


def test_a_decision_on_a_text_edited_meanwhile_is_refused(host: Host) -> None:
    item = host.comment().json
    edit(host, item, "Buy pills")
    assert host.decide(item["id"], "approve", 1).status_code == 409
    assert public(host) == []


@pytest.mark.parametrize("decision", ["spam", "trash"])
def test_spam_and_trash_stay_so_after_an_edit_and_a_withdrawal(host: Host, decision: str) -> None:
    item = host.comment().json
    host.decide(item["id"], decision)
    assert edit(host, item).status_code == 200
    assert withdraw(host, item).status_code == 204
    found = seen(host, item)
    assert found["status"] == decision
    assert public(host) == []


def test_the_edit_window_ends_to_the_second(host: Host) -> None:
    item = host.comment().json
    host.clock.advance(minutes=15)
    assert edit(host, item, "Just in time").status_code == 200
    host.clock.advance(seconds=1)
    for answer in (edit(host, item, "Too late"), withdraw(host, item)):
        assert (answer.status_code, answer.json["code"]) == (403, "closed")
    assert seen(host, item)["text"] == "Just in time"


def test_an_edit_does_not_extend_the_edit_window(host: Host) -> None:
    item = host.comment().json
    host.clock.advance(minutes=14)
    edit(host, item)
    host.clock.advance(minutes=14)
    assert edit(host, item, "Again").status_code == 403


def test_editing_can_be_turned_off(tmp_path: Path) -> None:
    host = Host(tmp_path, MODERATE_LIMITS={}, MODERATE_EDIT_WINDOW=0)
    item = host.comment().json
    host.clock.advance(seconds=1)
    assert edit(host, item).status_code == 403
    assert withdraw(host, item).status_code == 403


def test_only_the_token_of_the_item_allows_an_edit(host: Host) -> None:
    item, other = host.comment().json, host.comment("Another").json
    forged = [other["edit_token"], item["edit_token"][:-2], item["edit_token"] + "x", "", "x" * 5000, "ü"]
    form = host.client.get("/discuss/comments/thaw").headers["Moderate-Form-Token"]
    for token in [*forged, form]:
        for answer in (edit(host, item, token=token), withdraw(host, item, token=token)):
            # The response does not reveal whether the item exists.
            assert (answer.status_code, answer.json["code"]) == (404, "unknown-item")
    host.decide(item["id"], "approve")
    answer = edit(host, item, token=other["edit_token"])
    assert (answer.status_code, answer.json["code"]) == (403, "forbidden")
    assert seen(host, item)["text"] == "The river froze twice."


def test_a_cookie_alone_allows_no_change(host: Host) -> None:
    """A page of another site can make a browser send the cookie; it cannot know the token."""
    item = host.comment().json
    assert host.client.patch(f"/discuss/items/{item['id']}", json={"text": "Mine now"}).status_code == 404
    assert host.client.delete(f"/discuss/items/{item['id']}").status_code == 404


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"text": ""}, 422, "text"),
        ({"text": " \u200b "}, 422, "text"),
        ({"text": "x" * 8001}, 422, "text"),
        ({"text": "a\0b"}, 422, "text"),
        ({"text": None}, 422, "text"),
        ({}, 422, "text"),
        ({"text": "x", "status": "approved"}, 422, "status"),
        ({"text": "x", "author": "Somebody"}, 422, "author"),
        ({"text": 5}, 422, "text"),
    ],
)
def test_a_new_text_is_validated_by_the_same_rules(host: Host, body: dict[str, Any], status: int, field: str) -> None:
    item = host.comment().json
    answer = host.client.patch(f"/discuss/items/{item['id']}", json={"edit_token": item["edit_token"], **body})
    assert answer.status_code == status
    assert field in [error["field"] for error in answer.json["errors"]]
    assert seen(host, item)["version"] == 1


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_an_edit_must_be_json(host: Host, kind: str) -> None:
    item = host.comment().json
    answer = host.client.patch(f"/discuss/items/{item['id']}", data=b"text=x", content_type=kind)
    assert (answer.status_code, answer.json["code"]) == (415, "unsupported-media-type")


def test_an_unchanged_text_changes_nothing(host: Host) -> None:
    item = host.comment().json
    assert edit(host, item, "The river froze twice.").status_code == 200
    assert seen(host, item)["version"] == 1


def test_a_withdrawn_comment_is_hidden_from_readers_and_kept_for_moderators(host: Host) -> None:
    item = host.comment().json
    host.decide(item["id"], "approve")
    assert withdraw(host, item).status_code == 204
    assert public(host) == []
    assert host.counts() == {"comments": 0, "trackbacks": 0}
    found = seen(host, item)
    assert (found["status"], found["history"][-1]["act"], found["history"][-1]["by"]) == ("trash", "withdrawn", None)
    assert withdraw(host, item).status_code == 204


def test_the_token_of_a_delete_may_be_in_the_body(host: Host) -> None:
    item = host.comment().json
    answer = host.client.delete(f"/discuss/items/{item['id']}", json={"edit_token": item["edit_token"]})
    assert answer.status_code == 204


def test_a_comment_under_a_verified_name_keeps_that_name(host: Host) -> None:
    host.author = Author("Editor", id="7")
    item = host.comment().json
    host.author = None
    assert edit(host, item).json["author"]["name"] == "Editor"


def test_no_edit_is_accepted_once_the_article_is_closed(host: Host) -> None:
    item = host.comment().json
    host.add_article("thaw", comments_open=False)
    assert edit(host, item).status_code == 403


def test_guessing_tokens_is_rate_limited(tmp_path: Path) -> None:
    host = Host(tmp_path, MODERATE_LIMITS={"edits": ["3/minute per client"]})
    item = host.comment().json
    answers = [edit(host, item, token="guess").status_code for _ in range(5)]
    assert answers == [404, 404, 404, 429, 429]
