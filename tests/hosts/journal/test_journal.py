"""The journal's own tests, as its owner writes them."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from tests.hosts.journal.app import create_app, db, moderate


@pytest.fixture
def app(tmp_path):
    app = create_app(tmp_path, {"TESTING": True})
    yield app
    moderate.close(app)
    with app.app_context():
        db.engine.dispose()


def test_a_post_shows_what_readers_wrote_before(app):
    assert "I remember that." in app.test_client().get("/post/1").text


def test_the_login_needs_the_sites_own_token(app):
    client = app.test_client()
    assert client.post("/login", data={"password": "secret"}).status_code == 400
    token = re.search(r'name="csrf_token" value="([^"]+)"', client.get("/login").text)[1]
    assert client.post("/login", data={"password": "secret", "csrf_token": token}).status_code == 302


def test_every_page_has_the_policy_and_nothing_inline_but_the_sites_own_script(app):
    client = app.test_client()
    answer = client.get("/post/1")
    assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
    assert re.findall(r"<style|\sstyle=|\son\w+=", answer.text) == []
    inline = re.findall(r"<script(?![^>]*\ssrc=)([^>]*)>", answer.text)
    assert len(inline) == 1
    assert "nonce=" in inline[0]


def test_no_id_of_the_page_of_the_site_is_repeated_in_the_thread(app):
    ids = Counter(re.findall(r'\sid="([^"]+)"', app.test_client().get("/post/1").text))
    assert {name for name, count in ids.items() if count > 1} <= {"comments"}
