"""The blog's own tests, as its owner writes them."""

from __future__ import annotations

import pytest

from tests.hosts.blogroll.app import create_app, moderate


@pytest.fixture
def app(tmp_path):
    app = create_app(tmp_path, {"TESTING": True})
    yield app
    moderate.close(app)


def test_an_entry_is_shown_by_its_slug(app):
    assert "2026-01-02" in app.test_client().get("/snow/").text


def test_a_slug_that_does_not_exist_is_not_found(app):
    assert app.test_client().get("/hail/").status_code == 404


def test_the_route_for_all_slugs_leaves_the_discussion_alone(app):
    client = app.test_client()
    assert client.get("/discuss/feed").mimetype == "application/atom+xml"
    assert client.get("/discuss/").mimetype == "text/html" or client.get("/discuss/").status_code == 404


def test_a_wrong_password_is_refused(app):
    client = app.test_client()
    assert client.post("/login/", data={"password": "guess"}).status_code == 403
    assert "Comments to decide on" not in client.get("/").text
