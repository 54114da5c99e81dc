"""What somebody with bad intentions tries, each told from the attacker's side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.sites import Host

if TYPE_CHECKING:
    from pathlib import Path

JSON = {"Accept": "application/json"}


def form_token(host: Host) -> str:
    return str(host.client.get("/discuss/comments/thaw").headers["Moderate-Form-Token"])


def edit(host: Host, item: dict[str, Any], text: str) -> Any:
    return host.client.patch(f"/discuss/items/{item['id']}", json={"text": text, "edit_token": item["edit_token"]})


# --- to be public without a moderator --------------------------------------------------------------


def test_what_was_held_as_too_fast_is_not_published_by_editing_it(tmp_path: Path) -> None:
    host = Host(tmp_path, MODERATE_LIMITS={}, MODERATE_PREMODERATION="none")
    form = {"author": "Mika", "text": "Sent by a program.", "form_token": form_token(host)}
    held = host.client.post("/discuss/comments/thaw", data=form, headers=JSON)
    assert held.status_code == 202
    assert edit(host, held.json, "Sent by a program!").json["status"] == "pending"
    assert host.counts() == {"comments": 0, "trackbacks": 0}


def test_what_was_held_in_a_crowd_is_not_published_by_editing_it(tmp_path: Path) -> None:
    host = Host(tmp_path, MODERATE_LIMITS={"comments": ["1/minute per article"]}, MODERATE_PREMODERATION="none")
    assert host.comment("The first one.").status_code == 201
    held = host.comment("One of the crowd.")
    assert held.status_code == 202
    assert edit(host, held.json, "One of the crowd!").json["status"] == "pending"
