"""The diary's own tests, as its owner writes them."""

from __future__ import annotations

import pytest

from tests.hosts.diary.app import create_app, moderate


@pytest.fixture
def app(tmp_path):
    app = create_app(tmp_path, {"TESTING": True})
    yield app
    moderate.close(app)


@pytest.fixture
def client(app):
    return app.test_client()


def log_in(client, password="snow"):
    return client.post("/login", data={"name": "Mori", "password": password})


def test_the_front_page_lists_the_posts_newest_first(client):
    page = client.get("/").text
    assert page.index("Thaw") < page.index("Snow")
    assert page.count("Comment (0)") == 2


def test_a_wrong_password_is_refused(client):
    assert log_in(client, "rain").status_code == 403
    assert "Comments to decide on" not in client.get("/").text


def test_writing_needs_a_login(client):
    entry = {"title": "Rain", "body": "It rained."}
    assert client.post("/write", data=entry).headers["Location"] == "/login"
    log_in(client)
    client.post("/write", data=entry)
    assert "It rained." in client.get("/3").text


def test_a_post_that_does_not_exist_is_not_found(client):
    assert client.get("/99").status_code == 404
