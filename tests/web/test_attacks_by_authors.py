"""Attacks by authors of comments, to learn or to do what they may not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from moderate import Moderator
from tests.sites import Host

if TYPE_CHECKING:
    from pathlib import Path


def told(host: Host, item: dict[str, Any]) -> list[Any]:
    """Return all responses that the author of a comment gets when viewing, withdrawing and viewing it again."""
    path, token = f"/discuss/items/{item['id']}", {"edit_token": item["edit_token"]}
    change = {"text": "Another text.", **token}
    answers = [
        host.client.get(path, query_string=token),
        host.client.get("/discuss/comments/thaw"),
        host.client.delete(path, query_string=token),
        host.client.get(path, query_string=token),
        host.client.get("/discuss/comments/thaw"),
        host.client.patch(path, json=change),
        host.client.delete(path, query_string=token),
        host.client.get(path, query_string=token),
    ]
    return [(answer.status_code, without_traces(answer.get_json(silent=True))) for answer in answers]


def without_traces(body: Any) -> Any:
    """Without what differs between any two comments: numbers and times."""
    if isinstance(body, dict):
        return {name: without_traces(value) for name, value in body.items() if name not in {"id", "created_at"}}
    return [without_traces(value) for value in body] if isinstance(body, list) else body


@pytest.mark.parametrize("decision", ["spam", None])
def test_the_response_to_a_withdrawal_does_not_reveal_that_the_comment_was_spam(
    tmp_path: Path, decision: str | None
) -> None:
    (tmp_path / "waits").mkdir()
    waiting = Host(tmp_path / "waits", MODERATE_LIMITS={})
    text = "https://a.example/ https://b.example/ https://c.example/"
    usual = told(waiting, waiting.comment(text).json)
    host = Host(tmp_path, MODERATE_LIMITS={})
    trap = {} if decision else {"homepage": "https://spam.example"}
    item = host.comment(text, **trap).json
    if decision:
        host.decide(item["id"], decision)
    assert told(host, item) == usual
    found: Any = host.client.get(f"/discuss/moderation/items/{item['id']}", headers=host.token()).json
    assert found["status"] == "spam", "what it was judged stays known"
    assert [line["act"] for line in found["history"]].count("withdrawn") == 1


@pytest.mark.parametrize("decision", ["spam", "trash"])
def test_an_undo_does_not_publish_a_comment_withdrawn_by_its_author(host: Host, decision: str) -> None:
    item = host.comment().json
    host.decide(item["id"], "approve")
    body = {"decision": decision, "items": [{"id": item["id"], "version": 2}]}
    done: Any = host.client.post("/discuss/moderation/decisions", json=body, headers=host.token()).json
    assert host.client.delete(f"/discuss/items/{item['id']}?edit_token={item['edit_token']}").status_code == 204
    undone: Any = host.client.post("/discuss/moderation/undo", json={"batch": done["batch"]}, headers=host.token()).json
    assert (undone["undone"], undone["conflicts"][0]["code"]) == ([], "decided-meanwhile")
    assert host.counts()["comments"] == 0


@pytest.mark.parametrize("status", ["pending", "spam", "trash"])
@pytest.mark.parametrize("text", ["An answer.", ""])
def test_responses_do_not_reveal_which_hidden_items_exist(host: Host, status: str, text: str) -> None:
    hidden = host.comment("Hidden.").json["id"]
    if status != "pending":
        host.decide(hidden, status)
    answers = [host.comment(text, parent=number) for number in (hidden, hidden + 1000)]
    assert [answer.status_code for answer in answers] == [422, 422]
    assert answers[0].data == answers[1].data


def test_an_edit_token_shows_a_hidden_text_for_one_month_only(host: Host) -> None:
    item = host.comment().json
    address = f"/discuss/items/{item['id']}?edit_token={item['edit_token']}"
    host.clock.advance(days=29)
    assert host.app.test_client().get(address).status_code == 200
    host.clock.advance(days=2)
    assert host.app.test_client().get(address).status_code == 404


def test_the_name_of_a_moderator_as_author_gives_no_access(host: Host) -> None:
    host.moderator = None
    item: Any = host.client.post("/discuss/comments/thaw", json={"author": "mori", "text": "Let me in."}).json
    assert host.client.get("/discuss/moderation/items").status_code == 401
    host.moderator = Moderator("mori")
    assert host.client.get(f"/discuss/moderation/items/{item['id']}").status_code == 200
