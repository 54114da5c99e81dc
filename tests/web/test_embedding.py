"""Hosts as they are: factories, several apps, a mount point, and the extensions that people use."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any

import flask_login
import pytest
from flask import Flask, abort, current_app, render_template_string, request, session
from flask_sqlalchemy import SQLAlchemy
from flask_wtf.csrf import CSRFProtect, generate_csrf
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client

from moderate import Article, Author, ConfigError, Moderate, Moderator
from tests.sites import PAGE, Host

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ARTICLE = Article("thaw", "The thaw", "http://localhost/thaw")
COMMENT = {"author": "Mika", "text": "The river froze twice."}


def a_site(folder: Path, moderate: Moderate, **config: Any) -> Flask:
    """An app as a factory makes one, without the extension yet."""
    app = Flask("site", instance_path=str(folder))
    app.config.update(SECRET_KEY="for tests only", MODERATE_WORKER="external", MODERATE_LIMITS={})
    app.config.update(config)
    moderate.article_loader({"thaw": ARTICLE}.get)
    return app


def csrf_token_in(html: str) -> str:
    found = re.search(r'name="csrf_token" value="([^"]+)"', html)
    assert found is not None
    return found[1]


# --- factories, several apps, mount points --------------------------------------------------------


def test_one_extension_serves_two_apps_with_their_own_settings_and_items(tmp_path: Path) -> None:
    moderate = Moderate()
    apps = []
    for name, settings in (("a", {}), ("b", {"URL_PREFIX": "/talk", "PREMODERATION": "none"})):
        app = a_site(tmp_path / name, moderate, **{f"MODERATE_{key}": value for key, value in settings.items()})
        moderate.init_app(app)
        apps.append(app)
    first, second = apps
    assert first.test_client().post("/discuss/comments/thaw", json=COMMENT).status_code == 202
    assert second.test_client().post("/talk/comments/thaw", json=COMMENT).status_code == 201
    assert second.test_client().get("/discuss/counts?article=thaw").status_code == 404
    with first.app_context():
        assert moderate.counts(["thaw"])["thaw"].pending == 1
        with second.app_context():
            assert moderate.counts(["thaw"])["thaw"].comments == 1


def test_hooks_may_be_registered_after_the_app(tmp_path: Path) -> None:
    moderate = Moderate()
    app = Flask("site", instance_path=str(tmp_path))
    moderate.init_app(app)
    moderate.article_loader({"thaw": ARTICLE}.get)
    assert app.test_client().get("/discuss/comments/thaw").status_code == 200
    moderate.close(app)


def test_current_app_may_be_passed_to_the_extension(tmp_path: Path) -> None:
    """Signals are sent by the app itself, and worker threads run where `current_app` is not bound."""
    moderate = Moderate()
    app = a_site(tmp_path, moderate)
    app.before_request(lambda: request.stream.read() and None)
    with app.app_context():
        moderate.init_app(current_app)
    client = app.test_client()
    assert client.post("/discuss/comments/thaw", json=COMMENT).status_code == 202
    ping = client.post("/discuss/trackback/thaw", data={"url": "http://127.0.0.1/one", "title": "On ice"})
    assert "<error>0</error>" in ping.text
    assert app.extensions["moderate"].worker.drain() == 1
    moderate.close(app)


def test_an_extension_without_an_article_loader_raises_a_clear_error(tmp_path: Path) -> None:
    app = Flask("site", instance_path=str(tmp_path))
    app.testing = True
    Moderate(app)
    with pytest.raises(RuntimeError, match="decorate one with @moderate"):
        app.test_client().get("/discuss/comments/thaw")


def test_initializing_an_app_twice_raises_an_error(tmp_path: Path) -> None:
    app = Flask("site", instance_path=str(tmp_path))
    moderate = Moderate(app)
    with pytest.raises(RuntimeError, match="already initialised"):
        moderate.init_app(app)


def test_using_an_app_without_the_extension_raises_a_clear_error(tmp_path: Path) -> None:
    moderate = Moderate()
    with Flask("bare").app_context(), pytest.raises(RuntimeError, match="not initialised on this app"):
        moderate.counts(["thaw"])


def test_every_address_includes_the_mount_point(tmp_path: Path) -> None:
    moderate = Moderate()
    app = a_site(tmp_path, moderate)
    moderate.moderator_loader(lambda: Moderator("mori"))
    moderate.init_app(app)
    app.add_url_rule("/thaw", "article", lambda: render_template_string(PAGE, article=ARTICLE))
    client = Client(DispatcherMiddleware(Flask("root"), {"/news": app}))
    page = client.get("/news/thaw").text
    addresses = re.findall(r'(?:action|href|src)="(/[^"]*)"', page)
    assert addresses
    assert [address for address in addresses if not address.startswith("/news/")] == []
    posted = client.post("/news/discuss/comments/thaw", json=COMMENT)
    assert posted.headers["Location"] == "/news/discuss/items/1"
    queue = client.get("/news/discuss/moderation/").text
    addresses = re.findall(r'(?:action|href|src)="(/[^"]*)"', queue)
    assert [address for address in addresses if not address.startswith("/news/")] == []
    answer = client.post(
        "/news/discuss/moderation/queue/1",
        data={"csrf_token": csrf_token_in(queue), "version": "1", "decision": "approve"},
    )
    assert answer.headers["Location"].startswith("/news/discuss/moderation/")


def test_a_comment_on_one_site_does_not_hide_pending_items_on_another(tmp_path: Path) -> None:
    mounts = {}
    for name in ("news", "blog"):
        app = a_site(tmp_path / name, moderate := Moderate())
        moderate.init_app(app)
        app.add_url_rule("/thaw", "article", lambda: render_template_string(PAGE, article=ARTICLE))
        mounts[f"/{name}"] = app
    client = Client(DispatcherMiddleware(Flask("root"), mounts))
    for mount in mounts:
        assert client.post(f"{mount}/discuss/comments/thaw", json=COMMENT).status_code == 202
    for mount in mounts:
        assert "is waiting for a moderator" in client.get(f"{mount}/thaw").text


def test_without_a_secret_key_tokens_are_signed_with_a_stored_key(tmp_path: Path) -> None:
    moderate = Moderate()
    tokens = []
    for _ in range(2):
        app = a_site(tmp_path, moderate, SECRET_KEY=None)
        moderate.init_app(app)
        client = app.test_client()
        item = client.post("/discuss/comments/thaw", json=COMMENT | {"text": f"Number {len(tokens)}"}).json
        tokens.append((item["id"], item["edit_token"]))
    # The second app, as after a restart, knows the first one's token.
    number, token = tokens[0]
    assert app.test_client().get(f"/discuss/items/{number}?edit_token={token}").status_code == 200


def test_tokens_signed_with_a_fallback_key_stay_valid(tmp_path: Path) -> None:
    host = Host(tmp_path, MODERATE_LIMITS={})
    item = host.comment().json
    host.app.config.update(SECRET_KEY="another", SECRET_KEY_FALLBACKS=["for tests only"])
    address = f"/discuss/items/{item['id']}?edit_token={item['edit_token']}"
    assert host.app.test_client().get(address).status_code == 200
    host.app.config.update(SECRET_KEY_FALLBACKS=[])
    assert host.app.test_client().get(address).status_code == 404


def test_the_configuration_of_the_host_is_left_unchanged(tmp_path: Path) -> None:
    app = Flask("site", instance_path=str(tmp_path))
    app.config.update(SECRET_KEY="for tests only")
    levels = {name: logging.getLogger(name).level for name in ("", "site", "werkzeug", "moderate")}
    handlers = {name: list(logging.getLogger(name).handlers) for name in levels}
    before = {
        "config": dict(app.config),
        "errors": {name: dict(found) for name, found in app.error_handler_spec.items()},
        "before": dict(app.before_request_funcs),
        "after": dict(app.after_request_funcs),
        "context": {name: list(found) for name, found in app.template_context_processors.items()},
        "filters": set(app.jinja_env.filters),
        "globals": set(app.jinja_env.globals),
        "session": type(app.session_interface),
        "json": type(app.json),
        "autoescape": app.jinja_env.autoescape,
    }
    Moderate(app)
    assert dict(app.config) == before["config"]
    assert {name: dict(found) for name, found in app.error_handler_spec.items() if found} == {
        name: found for name, found in before["errors"].items() if found
    }
    assert app.before_request_funcs.get(None) is None
    assert app.after_request_funcs.get(None) is None
    assert app.teardown_request_funcs.get(None) is None
    assert app.teardown_appcontext_funcs == []
    assert app.template_context_processors[None] == before["context"][None]
    assert set(app.jinja_env.filters) == before["filters"]
    added = set(app.jinja_env.globals) - before["globals"]
    assert {"moderate_counts", "moderate_thread", "moderate_discovery"} <= added
    assert [name for name in added if not name.startswith("moderate_")] == []
    assert (type(app.session_interface), type(app.json)) == (before["session"], before["json"])
    assert set(app.blueprints) == {"moderate"}
    assert {name: logging.getLogger(name).level for name in levels} == levels
    assert {name: list(logging.getLogger(name).handlers) for name in levels} == handlers
    assert all(name.startswith("moderate/") for name in app.blueprints["moderate"].jinja_loader.list_templates())


def test_error_pages_of_the_host_are_left_unchanged(host: Host) -> None:
    host.app.register_error_handler(404, lambda error: ("The host's own words", 404))
    host.app.register_error_handler(Exception, lambda error: ("The host's own words", 500))
    assert host.client.get("/none/such").text == "The host's own words"
    assert host.client.get("/discuss/none/such").json["code"] == "not-found"
    assert host.client.get("/discuss/items/999").json["code"] == "unknown-item"
    assert host.client.put("/discuss/comments/thaw").json["code"] == "method-not-allowed"


def test_request_hooks_of_the_host_run_and_may_refuse_requests(host: Host) -> None:
    @host.app.before_request
    def closed_for_repairs() -> Any:
        return abort(418) if request.headers.get("X-Closed") else None

    assert host.client.get("/discuss/comments/thaw", headers={"X-Closed": "1"}).status_code == 418
    assert host.client.get("/discuss/comments/thaw").status_code == 200


def test_an_abort_within_the_moderator_loader_is_passed_on(host: Host) -> None:
    host.moderate.moderator_loader(lambda: abort(403, "Sign in over there"))
    answer = host.client.get("/discuss/moderation/items")
    assert (answer.status_code, answer.mimetype) == (403, "text/html")


def test_a_host_can_override_a_template(tmp_path: Path) -> None:
    (tmp_path / "templates" / "moderate").mkdir(parents=True)
    (tmp_path / "templates" / "moderate" / "_styles.html").write_text("<!-- the host's own dress -->")
    moderate = Moderate()
    app = Flask("site", root_path=str(tmp_path), instance_path=str(tmp_path / "instance"))
    moderate.article_loader({"thaw": ARTICLE}.get)
    moderate.init_app(app)
    app.add_url_rule("/thaw", "article", lambda: render_template_string(PAGE, article=ARTICLE))
    assert "the host's own dress" in app.test_client().get("/thaw").text
    moderate.close(app)


# --- Flask-WTF ------------------------------------------------------------------------------------


@pytest.fixture(params=["before", "after"])
def protected(request: pytest.FixtureRequest, tmp_path: Path) -> Flask:
    """A host with CSRFProtect, set up before or after moderate, and a form of its own."""
    moderate = Moderate()
    app = a_site(tmp_path, moderate)
    moderate.moderator_loader(lambda: Moderator("mori"))
    csrf = CSRFProtect()
    for step in (csrf, moderate) if request.param == "before" else (moderate, csrf):
        step.init_app(app)
    app.add_url_rule("/newsletter", "newsletter", lambda: "subscribed", methods=["POST"])
    app.add_url_rule("/token", "token", generate_csrf)
    return app


def test_csrf_protection_of_the_host_does_not_block_comments_and_pings(protected: Flask) -> None:
    client = protected.test_client()
    assert client.post("/discuss/comments/thaw", data=COMMENT).status_code == 303
    assert client.post("/discuss/comments/thaw", json=COMMENT).status_code == 202
    ping = {"url": "https://blog.example/1", "title": "On ice"}
    assert "<error>0</error>" in client.post("/discuss/trackback/thaw", data=ping).text
    mention = {"source": "https://blog.example/2", "target": "http://localhost/thaw"}
    assert client.post("/discuss/webmention", data=mention).status_code in {201, 400}
    call = "<?xml version='1.0'?><methodCall><methodName>pingback.ping</methodName></methodCall>"
    assert "faultCode" in client.post("/discuss/pingback", data=call, content_type="text/xml").text
    assert client.post("/discuss/preview", json={"text": "x"}).status_code == 200


def test_csrf_protection_of_the_host_still_protects_its_own_forms(protected: Flask) -> None:
    client = protected.test_client()
    for _ in range(2):
        assert client.post("/newsletter").status_code == 400
        token = client.get("/token").text
        assert client.post("/newsletter", data={"csrf_token": token}).text == "subscribed"
        # Also after a request to moderate has been let through.
        client.post("/discuss/comments/thaw", data=COMMENT)


def test_decisions_are_protected_by_a_csrf_token_of_their_own(protected: Flask) -> None:
    client = protected.test_client()
    client.post("/discuss/comments/thaw", json=COMMENT)
    form = {"version": "1", "decision": "approve"}
    assert client.post("/discuss/moderation/queue/1", data=form).status_code == 403
    hosts_own = client.get("/token").text
    assert client.post("/discuss/moderation/queue/1", data={**form, "csrf_token": hosts_own}).status_code == 403
    ours = csrf_token_in(client.get("/discuss/moderation/").text)
    assert client.post("/discuss/moderation/queue/1", data={**form, "csrf_token": ours}).status_code == 303


# --- Flask-Login ----------------------------------------------------------------------------------


class Member(flask_login.UserMixin):
    def __init__(self, name: str) -> None:
        self.id = name


@pytest.fixture
def members(tmp_path: Path) -> Flask:
    """A host whose members sign in with Flask-Login: Editors moderate, everybody comments under their name."""
    moderate = Moderate()
    app = a_site(tmp_path, moderate)
    manager = flask_login.LoginManager(app)
    manager.user_loader(Member)

    @moderate.moderator_loader
    def load_moderator() -> Moderator | None:
        user = flask_login.current_user
        return Moderator(user.id) if user.is_authenticated and user.id == "editor" else None

    @moderate.author_loader
    def load_author() -> Author | None:
        user = flask_login.current_user
        return Author(user.id, id=user.id) if user.is_authenticated else None

    @app.post("/login/<name>")
    def login(name: str) -> str:
        flask_login.login_user(Member(name))
        return name

    moderate.init_app(app)
    return app


def test_the_login_of_the_host_decides_who_moderates(members: Flask) -> None:
    anybody, member, editor = (members.test_client() for _ in range(3))
    member.post("/login/mika")
    editor.post("/login/editor")
    assert anybody.get("/discuss/moderation/").status_code == 401
    assert member.get("/discuss/moderation/").status_code == 401
    assert member.get("/discuss/moderation/items").status_code == 401
    anybody.post("/discuss/comments/thaw", json=COMMENT)
    page = editor.get("/discuss/moderation/")
    assert "The river froze twice." in page.text
    form = {"csrf_token": csrf_token_in(page.text), "version": "1", "decision": "approve"}
    assert member.post("/discuss/moderation/queue/1", data=form).status_code == 401
    assert editor.post("/discuss/moderation/queue/1", data=form).status_code == 303


def test_members_comment_under_their_name_at_the_host(members: Flask) -> None:
    client = members.test_client()
    client.post("/login/aino")
    item = client.post("/discuss/comments/thaw", json={"author": "Somebody else", "text": "Hello"}).json
    assert item["author"]["name"] == "aino"
    assert members.test_client().post("/discuss/comments/thaw", json=COMMENT).json["author"]["name"] == "Mika"


# --- Flask-SQLAlchemy -----------------------------------------------------------------------------


class Shared:
    """A host that keeps its own rows with Flask-SQLAlchemy and lends its engine."""

    def __init__(self, folder: Path) -> None:
        class Base(DeclarativeBase):
            pass

        self.db = SQLAlchemy(model_class=Base)
        moderate = self.moderate = Moderate(engine=lambda: self.db.engine)
        self.app = a_site(folder, moderate, SQLALCHEMY_DATABASE_URI=f"sqlite:///{folder / 'host.sqlite3'}")
        db = self.db

        class Visit(db.Model):  # type: ignore[name-defined, misc]
            id: Mapped[int] = mapped_column(primary_key=True)
            page: Mapped[str]

        self.visit = Visit
        db.init_app(self.app)
        moderate.init_app(self.app)
        self.app.add_url_rule("/visit", "visit", self.note_a_visit, methods=["POST"])
        with self.app.app_context():
            db.create_all()

    def note_a_visit(self) -> str:
        """The host's session is in the middle of its own work while it asks us, and has us write."""
        self.db.session.add(self.visit(page="before"))
        before = self.moderate.counts(["thaw"])["thaw"].pending
        self.db.session.commit()
        self.moderate.submit("thaw", "From the host's own code.", author="Host")
        self.db.session.add(self.visit(page="after"))
        self.db.session.commit()
        return f"{before} {self.moderate.counts(['thaw'])['thaw'].pending}"

    def upgrade(self) -> None:
        result = self.app.test_cli_runner().invoke(args=["moderate", "db", "upgrade"])
        assert result.exit_code == 0, result.output


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[Shared]:
    host = Shared(tmp_path)
    yield host
    with host.app.app_context():
        host.db.engine.dispose()


def test_a_shared_database_is_not_used_before_its_upgrade_and_an_error_says_so(
    shared: Shared, caplog: pytest.LogCaptureFixture
) -> None:
    answer = shared.app.test_client().post("/discuss/comments/thaw", json=COMMENT)
    assert (answer.status_code, answer.json["code"]) == (503, "unavailable")
    assert "flask moderate db upgrade" in caplog.text
    assert shared.app.test_client().get("/discuss/health").json["database"] != "ok"
    with shared.app.app_context():
        assert shared.db.inspect(shared.db.engine).get_table_names() == ["visit"]
    shared.upgrade()
    assert shared.app.test_client().post("/discuss/comments/thaw", json=COMMENT).status_code == 202


def test_the_session_of_the_host_and_writes_of_moderate_coexist(shared: Shared) -> None:
    shared.upgrade()
    client = shared.app.test_client()
    assert client.post("/visit").text == "0 1"
    assert client.post("/visit").text == "1 2"
    assert client.post("/discuss/comments/thaw", json=COMMENT).status_code == 202
    with shared.app.app_context():
        assert shared.db.session.query(shared.visit).count() == 4
        assert shared.moderate.counts(["thaw"])["thaw"].pending == 3


def test_the_engine_of_the_host_is_left_unchanged(shared: Shared) -> None:
    with shared.app.app_context():
        before = pragmas(shared)
    shared.upgrade()
    shared.app.test_client().post("/discuss/comments/thaw", json=COMMENT)
    with shared.app.app_context():
        assert pragmas(shared) == before


def pragmas(shared: Shared) -> list[object]:
    names = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
    with shared.db.engine.connect() as conn:
        return [conn.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names]


# --- wrong settings -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "accepted"),
    [
        ("PREMODERATION", "sometimes", "'all', 'strangers', 'links', 'none'"),
        ("URL_PREFIX", "discuss", "begins with a slash"),
        ("URL_PREFIX", "/<lang>/discuss", "no variables"),
        ("URL_PREFIX", "/", "begins with a slash"),
        ("SITE_URL", "example.org", "https://example.org"),
        ("MAX_LENGTH", "8000", "a whole number from 1 to 20000"),
        ("MAX_LENGTH", True, "a whole number"),
        ("MIN_SECONDS", float("nan"), "seconds"),
        ("REQUIRE_AUTHOR", "yes", "true or false"),
        ("HONEYPOT", "two words", "letters, digits and underscores"),
        ("FETCH_PORTS", [0], "1 to 65535"),
        ("FETCH_ALLOW", ["10.0.0.1/8"], "networks"),
        ("LIMITS", {"comments": "5/minute"}, "list of texts"),
        ("LIMITS", {"comments": 5}, "list of texts"),
        ("LIMITS", {"comments": ["often"]}, "5/minute per client"),
        ("LIMITS", {"coments": []}, "comments"),
        ("LIMITS", None, "table"),
        ("RETENTION", {"ips": 3}, "ip"),
        ("WORKER", "celery", "'thread', 'external'"),
    ],
)
def test_an_invalid_setting_stops_the_start_with_key_value_and_accepted_values(
    tmp_path: Path, name: str, value: object, accepted: str
) -> None:
    moderate = Moderate()
    app = a_site(tmp_path, moderate, **{f"MODERATE_{name}": value})
    with pytest.raises(ConfigError) as caught:
        moderate.init_app(app)
    text = str(caught.value)
    assert f"MODERATE_{name}" in text
    assert repr(value) in text
    assert accepted in text


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "no address: hunter2"),
        ("DATABASE_URL", "oracle+none://user:hunter2@host/name"),
        ("DATABASE_URL", "postgresql://user:hunter2@host:port/name"),
        ("DATABASE_URL", 5),
        ("REDIS_URL", "hunter2"),
        ("REDIS_URL", "http://user:hunter2@host"),
        ("REDIS_URL", ["hunter2"]),
        ("REDIS_URL", "redis://host/0?no_such_argument=hunter2"),
        ("DATABASE_URL", "postgresql://user@host/name?no_such_parameter=hunter2"),
        ("DATABASE_URL", "mariadb://user@host/name?no_such_parameter=hunter2"),
        ("MAIL_SERVER", "smtp://user:hunter2@host"),
        ("AKISMET_URL", "https://user:hunter2@host"),
        ("SITE_URL", "https://user:hunter2@host"),
        ("AKISMET_KEY", {"key": "hunter2"}),
    ],
)
def test_an_invalid_setting_with_a_secret_stops_the_start_without_showing_it(
    tmp_path: Path, name: str, value: object
) -> None:
    import traceback

    with pytest.raises(ConfigError) as caught:
        Host(tmp_path, **{f"MODERATE_{name}": value})
    shown = "".join(traceback.format_exception(caught.value))
    assert f"MODERATE_{name}" in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert not [line for line in shown.splitlines() if "hunter2" in line and "Error" in line]


def test_a_misspelt_setting_stops_the_start_and_the_correct_one_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean MODERATE_PREMODERATION"):
        Host(tmp_path, MODERATE_PREMODERATE="all")


def test_a_warning_is_logged_for_akismet_without_site_url(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    Host(tmp_path, MODERATE_AKISMET_KEY="a-key").client.get("/discuss/counts")
    assert "MODERATE_SITE_URL is not set" in caplog.text
    assert "a-key" not in caplog.text


def test_secrets_are_read_from_the_environment_with_priority_for_the_config(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODERATE_DATABASE_URL", f"sqlite:///{tmp_path / 'elsewhere.sqlite3'}")
    monkeypatch.setenv("MODERATE_MAX_LENGTH", "5")
    host = Host(tmp_path / "a")
    assert host.state.settings.database_url.endswith("elsewhere.sqlite3")
    assert host.state.settings.max_length == 8000
    chosen = Host(tmp_path / "b", MODERATE_DATABASE_URL="sqlite://")
    assert chosen.state.settings.database_url == "sqlite://"


def test_settings_are_immutable_and_never_print_a_secret(tmp_path: Path) -> None:
    host = Host(tmp_path, MODERATE_DATABASE_URL="postgresql://user:hunter2@127.0.0.1:1/name")
    assert "hunter2" not in repr(host.state.settings)
    with pytest.raises(AttributeError):
        host.state.settings.max_length = 5


def test_a_notice_about_in_process_limits_is_logged_once_when_the_site_is_served(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    host = Host(tmp_path)
    host.app.test_cli_runner().invoke(args=["moderate", "queue"])
    assert "MODERATE_REDIS_URL" not in caplog.text
    for _ in range(2):
        host.client.get("/discuss/counts")
    assert [record.getMessage() for record in caplog.records if "MODERATE_REDIS_URL" in record.getMessage()] == [
        "MODERATE_REDIS_URL is not set: rate limits hold for each process on its own."
    ]


def test_no_notice_about_limits_is_logged_without_limits(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    Host(tmp_path, MODERATE_LIMITS={}).client.get("/discuss/counts")
    assert "MODERATE_REDIS_URL" not in caplog.text


def test_the_session_of_the_host_is_not_modified(host: Host) -> None:
    host.app.add_url_rule("/session", "session", lambda: ",".join(sorted(session)))
    host.comment()
    host.client.get("/thaw")
    assert host.client.get("/session").text == ""


def test_two_threads_on_a_page_share_no_id(host: Host) -> None:
    threads = host.app.jinja_env.globals["moderate_thread"]
    host.app.add_url_rule("/both/", "both", lambda: threads("thaw") + threads("frost"))
    host.app.add_url_rule("/twice/", "twice", lambda: f"{len(threads('thaw'))}{threads('thaw')}")
    host.add_article("frost")
    for article in ("thaw", "frost"):
        item = host.comment(article=article).json["id"]
        host.decide(item, "approve")
        host.comment(article=article)
    page = host.client.get("/both/?moderate_reply=3").text
    ids = re.findall(r'\sid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    odd = {name for name in ids if not name.startswith("moderate-")}
    assert odd == {"comments", "trackbacks", *(f"comment-{number}" for number in range(1, 5))}
    pointed = re.findall(r'(?:for|aria-labelledby|aria-describedby)="([^"]+)"|href="[^"#]*#([^"]+)"', page)
    assert {first or second for first, second in pointed} <= set(ids)
    assert 'moderate_reply=1#moderate-comment-form"' in page
    assert '?#moderate-comment-form-2">Comment on the article instead' in page
    assert page.count("moderate.css") == 1
    assert 'id="comments"' in host.client.get("/twice/").text
