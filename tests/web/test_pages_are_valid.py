"""The pages as an HTML5 parser reads them: no error, no id twice, every label and description leads somewhere."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

import html5lib
import pytest

from examples.newsroom.app import create_app
from examples.newsroom.seed import MARKET, TRAM, seed

if TYPE_CHECKING:
    from flask.testing import FlaskClient

PAGES = (
    "/",
    f"/articles/{TRAM}",
    f"/articles/{TRAM}?moderate_reply=1",
    f"/articles/{MARKET}",
    "/discuss/moderation/",
    "/discuss/moderation/?status=approved&q=tram&kind=comment&ip=192.0.2.10",
    "/discuss/moderation/?status=spam",
    "/discuss/moderation/?status=trash&q=nothing",
)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> FlaskClient:
    config = {"NEWSROOM_DATA": str(tmp_path_factory.mktemp("newsroom")), "MODERATE_WORKER": "external"}
    seed(config)
    client = create_app(config).test_client()
    with client.session_transaction() as session:
        session["moderator"] = "Aoki Ren"
    return client


def faults(html: str) -> list[str]:
    parser = html5lib.HTMLParser()
    parser.parse(html)
    ids = Counter(re.findall(r'\sid="([^"]+)"', html))
    pointed = [name for names in re.findall(r'\s(?:for|aria-labelledby|aria-describedby)="([^"]+)"', html)
               for name in names.split()]  # fmt: skip
    local = re.findall(r'href="#([^"]+)"', html)
    return [
        *(f"{error[1]} at {error[0]}" for error in parser.errors),
        *(f"id {name} is there {count} times" for name, count in ids.items() if count > 1),
        *(f"{name} is pointed at and not there" for name in [*pointed, *local] if name not in ids),
    ]


@pytest.mark.parametrize("page", PAGES)
def test_every_page_is_valid_html(client: FlaskClient, page: str) -> None:
    answer = client.get(page)
    assert answer.status_code == 200
    assert faults(answer.text) == []


def test_the_page_of_a_refused_form_is_valid_html(client: FlaskClient) -> None:
    typed = {"author": "", "email": "nowhere", "url": "javascript:1", "text": ""}
    answer = client.post(f"/discuss/comments/{TRAM}", data=typed)
    assert answer.status_code == 422
    assert faults(answer.text) == []
    assert answer.text.count('aria-invalid="true"') == answer.text.count('class="moderate-error"') == 4
    assert answer.text.count(" autofocus") == 1


def test_the_sign_in_page_is_valid_html(client: FlaskClient) -> None:
    answer = client.application.test_client().get("/discuss/moderation/")
    assert answer.status_code == 401
    assert faults(answer.text) == []
