"""The magazine's own tests, as its owner writes them, with all tables in memory."""

from __future__ import annotations

import pytest

from tests.hosts.magazine.app import create_app, db, fill, moderate


@pytest.fixture
def app(tmp_path):
    config = {"TESTING": True, "WTF_CSRF_ENABLED": False, "SQLALCHEMY_DATABASE_URI": "sqlite:///:memory:"}
    app = create_app(tmp_path, config)
    with app.app_context():
        db.create_all()
        moderate.create_tables()
        fill()
    yield app
    moderate.close(app)
    with app.app_context():
        db.drop_all()
        db.engine.dispose()


@pytest.fixture
def client(app):
    return app.test_client()


def log_in(client, name, password):
    return client.post("/login", data={"name": name, "password": password})


def test_the_front_page_lists_the_posts(client):
    page = client.get("/").text
    assert "Snow" in page
    assert "Thaw" in page


def test_the_page_is_in_the_readers_language(client):
    assert '<html lang="es">' in client.get("/post/1", headers={"Accept-Language": "es"}).text
    assert '<html lang="en">' in client.get("/post/1", headers={"Accept-Language": "en"}).text


def test_only_those_who_are_logged_in_can_write(client):
    assert client.post("/write", data={"title": "Rain"}).headers["Location"].startswith("/login")
    log_in(client, "Nao", "rain")
    client.post("/write", data={"title": "Rain"})
    assert "Rain" in client.get("/post/3").text


def test_only_editors_see_the_link_to_the_queue_and_can_open_it(client):
    log_in(client, "Nao", "rain")
    assert "Comments to decide on" not in client.get("/").text
    assert client.get("/discuss/moderation/").status_code in {401, 403}
    log_in(client, "Mori", "snow")
    assert "Comments to decide on" in client.get("/").text
    assert client.get("/discuss/moderation/").status_code == 200


def test_a_user_comments_under_the_name_of_the_login(client):
    log_in(client, "Nao", "rain")
    assert "You comment as" in client.get("/post/1").text
    answer = client.post("/discuss/comments/1", json={"text": "By login."})
    assert answer.status_code == 202
    assert answer.json["author"]["name"] == "Nao"
