"""Repeats and cookies go by who has sent a comment, and by what it says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from moderate import Author
from tests.sites import Host

if TYPE_CHECKING:
    from pathlib import Path

WORDS = {"author": "Mika", "email": "mika@mail.example", "text": "The river froze twice."}

#: Header fields that browsers send with a form on a page of another origin.
ELSEWHERE = [
    {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"},
    {"Sec-Fetch-Site": "same-site", "Origin": "http://other.localhost"},
    {"Sec-Fetch-Site": "cross-site", "Origin": "null"},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
]
HERE = [
    {},
    {"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost"},
    {"Sec-Fetch-Site": "same-origin", "Origin": "null"},
    # A proxy that passes on no Host field: the browser knows better.
    {"Sec-Fetch-Site": "same-origin", "Origin": "https://news.example"},
    {"Origin": "http://localhost"},
]


def post(host: Host, client: Any = None, *, ip: str = "192.0.2.1", headers: Any = None, **fields: str) -> Any:
    client = client or host.app.test_client()
    sent = {**WORDS, **fields}
    return client.post("/discuss/comments/thaw", data=sent, headers=headers, environ_base={"REMOTE_ADDR": ip})


def keyed(host: Host, key: str, *, ip: str = "192.0.2.1", **fields: Any) -> Any:
    return host.app.test_client().post(
        "/discuss/comments/thaw",
        json={**WORDS, **fields},
        headers={"Idempotency-Key": key},
        environ_base={"REMOTE_ADDR": ip},
    )


def test_a_browser_gets_a_cookie_only_where_its_comment_is_held(tmp_path: Path) -> None:
    host = Host(tmp_path, MODERATE_PREMODERATION="none")
    reader = host.app.test_client()
    for send in (post(host, reader, text="Public at once."), keyed(host, "k", text="So is this.")):
        assert "Set-Cookie" not in send.headers
    held = post(host, reader, text="Held: " + " ".join(f"https://{name}.example/" for name in "abc"))
    assert held.headers["Set-Cookie"].startswith("moderate_own=")
    assert "Held:" in reader.get("/thaw").text
    assert "Held:" not in host.app.test_client().get("/thaw").text


# --- pages of other sites -----------------------------------------------------------------------------


@pytest.mark.parametrize("headers", ELSEWHERE)
def test_a_form_of_another_site_does_not_replace_comments_of_the_reader(host: Host, headers: dict[str, str]) -> None:
    reader = host.app.test_client()
    assert post(host, reader, text="My own words.").status_code == 303
    # The browser leaves the cookie out of such a request.
    forged = post(host, text="Forged words.", headers=headers)
    assert forged.status_code == 303
    assert "moderate_own" not in forged.headers.get("Set-Cookie", "")
    assert "My own words." in reader.get("/thaw").text
    assert "Forged words." not in reader.get("/thaw").text
    assert host.total() == 2


@pytest.mark.parametrize("headers", ELSEWHERE)
def test_a_form_of_another_site_with_the_cookie_of_the_reader_replaces_nothing(
    host: Host, headers: dict[str, str]
) -> None:
    reader = host.app.test_client()
    post(host, reader, text="My own words.")
    for number in range(40):
        post(host, reader, text=f"Forged words {number}.", headers=headers)
    page = reader.get("/thaw").text
    assert "My own words." in page
    assert "Forged words" not in page


def test_the_sender_of_a_form_on_a_static_page_sees_the_notice_on_the_article(host: Host) -> None:
    sent = post(host, headers=ELSEWHERE[0])
    landing = sent.headers["Location"].removeprefix("http://localhost")
    page = host.app.test_client().get(landing, environ_base={"REMOTE_ADDR": "192.0.2.1"})
    assert "waiting for a moderator" in page.text


@pytest.mark.parametrize("headers", HERE)
def test_the_sender_of_a_form_of_the_site_is_remembered(host: Host, headers: dict[str, str]) -> None:
    reader = host.app.test_client()
    post(host, reader, headers=headers)
    assert WORDS["text"] in reader.get("/thaw").text


def test_programs_on_other_sites_get_no_cookie(host: Host) -> None:
    answer = host.client.post("/discuss/comments/thaw", json=WORDS, headers=ELSEWHERE[0])
    assert answer.status_code == 202
    assert "Set-Cookie" not in answer.headers


def test_a_repeated_comment_leaves_the_other_comments_of_the_browser_visible(host: Host) -> None:
    reader = host.app.test_client()
    post(host, reader, text="My own words.")
    for _ in range(40):
        reader.post("/discuss/comments/thaw", json=WORDS, headers={"Idempotency-Key": "order-1"})
    assert host.total() == 2
    assert "My own words." in reader.get("/thaw").text


# --- keys in the header -------------------------------------------------------------------------------


def test_an_idempotency_key_is_valid_for_one_client_only(host: Host) -> None:
    first = keyed(host, "order-1")
    other = keyed(host, "order-1", ip="192.0.2.2")
    assert first.status_code == other.status_code == 202
    assert first.json["id"] != other.json["id"]
    token = first.json["edit_token"]
    assert host.client.get(f"/discuss/items/{other.json['id']}?edit_token={token}").status_code == 404
    assert keyed(host, "order-1").json["id"] == first.json["id"]
    assert keyed(host, "order-1", ip="192.0.2.2").json["id"] == other.json["id"]
    assert host.total() == 2


def test_an_ipv6_network_is_one_client(host: Host) -> None:
    first = keyed(host, "k", ip="2001:db8:1:1::1")
    assert keyed(host, "k", ip="2001:db8:1:1::2").json["id"] == first.json["id"]
    assert keyed(host, "k", ip="2001:db8:1:2::1").json["id"] != first.json["id"]


def test_two_logins_behind_one_address_have_separate_idempotency_keys(host: Host) -> None:
    host.author = Author("One", id="1")
    first = keyed(host, "k").json
    host.author = Author("Two", id="2")
    second = keyed(host, "k").json
    assert first["id"] != second["id"]
    assert second["author"]["name"] == "Two"


def test_a_key_reused_for_another_text_is_refused_with_a_message(host: Host) -> None:
    keyed(host, "k")
    again = keyed(host, "k", text="Something else.")
    assert again.status_code == 422
    words = "Another comment was sent with this Idempotency-Key. Use a new one for each comment."
    assert again.json["errors"] == [{"field": "idempotency_key", "message": words}]
    assert host.total() == 1


# --- tokens of forms ----------------------------------------------------------------------------------


@pytest.fixture
def token(host: Host) -> str:
    found: str = host.client.get("/discuss/comments/thaw").headers["Moderate-Form-Token"]
    return found


def number_of(answer: Any) -> str:
    assert answer.status_code == 303, answer.text
    return str(answer.headers["Location"].rpartition("#comment-")[2])


def test_a_form_sent_twice_is_one_comment(host: Host, token: str) -> None:
    assert number_of(post(host, form_token=token)) == number_of(post(host, form_token=token))
    assert host.total() == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"text": "A second thought."},
        {"author": "Mika S."},
        {"email": "other@mail.example"},
        {"url": "https://mika.example/"},
    ],
)
def test_a_form_resent_with_changed_fields_is_another_comment(host: Host, token: str, changes: dict[str, str]) -> None:
    first = number_of(post(host, form_token=token))
    second = number_of(post(host, form_token=token, **changes))
    assert first != second
    # Either of them can be sent again.
    assert number_of(post(host, form_token=token)) == first
    assert number_of(post(host, form_token=token, **changes)) == second
    assert host.total() == 2


def test_two_readers_behind_one_address_may_use_one_cached_form(host: Host, token: str) -> None:
    one = number_of(post(host, form_token=token, author="Mika", text="I agree."))
    other = number_of(post(host, form_token=token, author="Nao", email="nao@mail.example", text="I agree."))
    assert one != other
    assert host.total() == 2


def test_the_same_text_from_two_addresses_is_two_comments(host: Host, token: str) -> None:
    assert number_of(post(host, form_token=token)) != number_of(post(host, form_token=token, ip="192.0.2.2"))


def test_the_same_text_as_a_reply_is_another_comment(host: Host, token: str) -> None:
    parent = number_of(post(host, text="Which kitchen?"))
    host.decide(int(parent), "approve")
    assert number_of(post(host, form_token=token)) != number_of(post(host, form_token=token, parent=parent))
