"""Hostile and unusual input over HTTP: taken, or refused with a reason, and nothing in between."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_from_bytes

import pytest

from tests.sites import Host
from tests.timing import quickly

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.corpus

FIELDS = {"name": "author", "email": "email", "url": "url", "body": "text"}
COMMENTS = "/discuss/comments/thaw"

#: What an answer may be; a redirect is a form that was taken.
TAKEN = {201, 202, 303}
FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Host]:
    """A host that hides no error: exceptions that are not caught fail the test."""
    host = Host(tmp_path, MODERATE_LIMITS={}, MODERATE_MAX_LENGTH=10_000)
    host.app.testing = True
    yield host
    whole(host)


def whole(host: Host) -> None:
    """Everything that is stored is stored completely: text, clean text, history and counters."""
    with host.app.app_context():
        store = host.state.desk.store
        assert [drift for drift in store.counters.recount(repair=False) if drift] == []
    cursor: int | None = None
    while True:
        query = {"limit": 200, **({"cursor": cursor} if cursor else {})}
        page = host.client.get("/discuss/moderation/items", query_string=query, headers=host.token()).json
        for item in page["items"]:
            assert item["text"]
            assert item["html"]
            assert item["author"]["name"]
        cursor = page["next"]
        if cursor is None:
            return


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def generated(gen: dict[str, Any]) -> str:
    repeated = gen["repeat"]
    parts = (repeated % n for n in range(gen["count"])) if "%" in repeated else [repeated * gen["count"]]
    more = gen.get("repeat2", "") * gen["count"]
    return gen.get("prefix", "") + "".join(parts) + gen.get("middle", "") + more + gen.get("suffix", "")


def judged(host: Host, row: dict[str, Any], send: Any) -> Any:
    """Send it, and hold the answer against what is expected of it."""
    before = host.total()
    with quickly(row["id"]):
        answer = send()
    assert answer.status_code < 500, row["id"]
    is_taken = answer.status_code in TAKEN
    assert host.total() - before == int(is_taken), row["id"]
    if row["expect"] == "accept":
        assert is_taken, (row["id"], row["why"], answer.status_code)
    if row["expect"] == "reject":
        assert 400 <= answer.status_code < 500, (row["id"], row["why"], answer.status_code)
    if not is_taken and answer.status_code >= 400 and answer.mimetype == "application/problem+json":
        assert answer.json["code"] in {
            "invalid", "too-large", "unsupported-media-type", "unknown-article", "unknown-item", "not-found",
            "method-not-allowed",
        }, row["id"]  # fmt: skip
    return answer


def value_of(row: dict[str, Any]) -> bytes:
    """The value as bytes of a form; a lone surrogate becomes what careless senders make of it."""
    if "gen" in row:
        return generated(row["gen"]).encode()
    if "value_b64" in row:
        return base64.b64decode(row["value_b64"])
    return str(row["value"]).encode("utf-8", "surrogatepass")


# --- single fields --------------------------------------------------------------------------------


def test_fields_sent_as_a_form_are_accepted_or_refused_as_expected(corpora: Path, site: Host) -> None:
    for row in rows(corpora / "input" / "fields.jsonl"):
        values = {"author": b"Mika", "text": b"Hello", FIELDS[row["field"]]: value_of(row)}
        body = "&".join(f"{name}={quote_from_bytes(value)}" for name, value in values.items())
        judged(site, row, lambda body=body: site.client.post(COMMENTS, data=body, content_type=FORM))


def test_fields_sent_as_json_are_accepted_or_refused_as_expected(corpora: Path, site: Host) -> None:
    for row in rows(corpora / "input" / "fields.jsonl"):
        if "value_b64" in row:
            # Bytes that are no text cannot be a JSON string but as they are.
            body = b'{"author":"Mika","text":"' + base64.b64decode(row["value_b64"]).replace(b'"', b"") + b'"}'
        else:
            value = generated(row["gen"]) if "gen" in row else row["value"]
            body = json.dumps({"author": "Mika", "text": "Hello", FIELDS[row["field"]]: value}).encode()
        judged(site, row, lambda body=body: site.client.post(COMMENTS, data=body, content_type="application/json"))


def test_accepted_texts_are_shown_and_break_no_page(corpora: Path, site: Host) -> None:
    taken = 0
    for row in rows(corpora / "input" / "fields.jsonl"):
        if row["expect"] != "accept":
            continue
        item = site.comment(**{"text": "Hello", FIELDS[row["field"]]: row["value"]})
        assert site.decide(item.json["id"], "approve").status_code == 200, row["id"]
        taken += 1
    assert site.counts()["comments"] == taken > 50
    page = site.app.test_client().get("/thaw")
    assert page.text.count('<article id="comment-') == taken
    assert site.client.get("/discuss/comments/thaw?limit=200").status_code == 200


def test_naughty_strings_are_stored_or_refused_in_text_and_by_turns_in_the_other_fields(
    corpora: Path, site: Host
) -> None:
    for n, value in enumerate(json.loads((corpora / "input" / "blns.json").read_text(encoding="utf-8"))):
        row = {"id": f"blns-{n}", "expect": "either"}
        for field in ("text", ("author", "email", "url")[n % 3]):
            sent = {"author": "Mika", "text": f"Number {n}", field: value}
            judged(site, row, lambda sent=sent: site.client.post(COMMENTS, json=sent))


def test_naughty_strings_as_keys_cursors_tokens_and_searches_cause_no_server_error(corpora: Path, site: Host) -> None:
    site.comment()
    headers = site.token()
    names = ("q", "author", "article", "ip", "status", "cursor", "limit", "order", "edit_token", "notice")
    paths = ("comments/thaw", "counts", "items/1", "moderation/", "trackback/thaw")
    for n, value in enumerate(json.loads((corpora / "input" / "blns.json").read_text(encoding="utf-8"))):
        # By turns: every parameter and every address meets a hundred of them.
        only = {names[n % len(names)]: value}
        assert site.client.get("/discuss/moderation/items", query_string=only, headers=headers).status_code < 500
        query = dict.fromkeys(names, value)
        assert site.client.get(f"/discuss/{paths[n % len(paths)]}", query_string=query).status_code < 500
        body = {"author": "Mika", "text": "Hello", "form_token": value}
        assert site.client.post(COMMENTS, json=body).status_code == 202
        assert site.client.patch("/discuss/items/1", json={"text": "x", "edit_token": value}).status_code == 404


# --- whole requests -------------------------------------------------------------------------------


def ours(row: dict[str, Any]) -> tuple[str, bytes]:
    """The request's address and body, with the names that our fields and routes have."""
    path = row["path"].replace("/COMMENT-ENDPOINT", COMMENTS).replace("/COMMENTS/", "/discuss/items/")
    path = path.replace("/COMMENTS?page", f"{COMMENTS}?cursor").replace("/COMMENTS", COMMENTS)
    body = generated(row["gen"]).encode() if "gen" in row else base64.b64decode(row["body_b64"])
    for theirs, name in ((b"body", b"text"), (b"name", b"author")):
        body = body.replace(b'"%s":' % theirs, b'"%s":' % name).replace(b'name="%s"' % theirs, b'name="%s"' % name)
        body = body.replace(b"&%s=" % theirs, b"&%s=" % name)
        if body.startswith(b"%s=" % theirs):
            body = name + body[len(theirs) :]
    return path, body


def test_whole_requests_are_accepted_or_refused_as_expected(corpora: Path, site: Host) -> None:
    for row in rows(corpora / "input" / "requests.jsonl"):
        path, body = ours(row)

        def send(row: dict[str, Any] = row, path: str = path, body: bytes = body) -> Any:
            return site.client.open(path, method=row["method"], data=body, headers=row["headers"])

        answer = judged(site, row, send)
        assert "Set-Cookie: x=1" not in str(answer.headers), row["id"]
        assert "evil.example" not in answer.headers.get("Location", ""), row["id"]
