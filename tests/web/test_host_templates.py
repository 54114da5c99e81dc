"""The package's pages beside hosts that have changed their Jinja environment, and templates that hosts replace."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask, render_template_string
from jinja2 import ChainableUndefined, DictLoader, Environment, FileSystemBytecodeCache, StrictUndefined, meta
from jinja2.ext import Extension
from jinja2.sandbox import SandboxedEnvironment
from markupsafe import Markup, escape

from moderate import Moderator
from tests.servers import ROOT
from tests.web.mail_sites import a_site

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.sites import Host

TEMPLATES = ROOT / "src" / "moderate" / "http" / "templates" / "moderate"
BROWSER = {"Accept": "text/html"}
HOSTILE = "<img src=x onerror=alert(1)>"
COMMENTS = ("The river froze twice that winter.", "Nobody took the night tram home.", "Snow fell on the ninth.")

BRACKETS = {
    "block_start_string": "[%",
    "block_end_string": "%]",
    "variable_start_string": "[[",
    "variable_end_string": "]]",
    "comment_start_string": "[#",
    "comment_end_string": "#]",
}


def names_in_templates() -> set[str]:
    """Return every variable that a template of the package reads, those that Flask and Jinja provide included."""
    parse = Environment().parse
    found = {"loop", "caller", "namespace", "say", "_", "dict", "range", "true_", "g", "session", "config"}
    for path in TEMPLATES.glob("*.html"):
        found |= meta.find_undeclared_variables(parse(path.read_text(encoding="utf-8")))
    return found


def poison(value: object = "", *_: object, **__: object) -> str:
    return f"POISON {value}"


class Shouting(Extension):
    """An extension that rewrites every source."""

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        return source.replace("<p", "<P CLASS=SHOUTING").replace("{{", "{{ 'POISON' }}{{")


class Bracketed(Flask):
    jinja_options = {**Flask.jinja_options, **BRACKETS}  # noqa: RUF012


class Lined(Flask):
    jinja_options = {  # noqa: RUF012
        **Flask.jinja_options,
        "trim_blocks": True,
        "lstrip_blocks": True,
        "line_statement_prefix": "<",
        "line_comment_prefix": "{",
        "newline_sequence": "\r\n",
        "keep_trailing_newline": True,
        "extensions": [Shouting, "jinja2.ext.i18n", "jinja2.ext.do"],
        "finalize": lambda value: "POISON" if value == "" else value,
    }


class Asynchronous(Flask):
    jinja_options = {**Flask.jinja_options, "enable_async": True}  # noqa: RUF012


class Sandboxed(Flask):
    class jinja_environment(SandboxedEnvironment):  # type: ignore[assignment]  # noqa: N801
        def __init__(self, app: Flask, **options: Any) -> None:
            super().__init__(**{"loader": app.create_global_jinja_loader(), **options})

        def is_safe_attribute(self, obj: object, attr: str, value: object) -> bool:
            return False

        def is_safe_callable(self, obj: object) -> bool:
            return False


def nothing(app: Flask) -> None:
    pass


def late_delimiters(app: Flask) -> None:
    for name, value in BRACKETS.items():
        setattr(app.jinja_env, name, value)


def strict(app: Flask) -> None:
    app.jinja_env.undefined = StrictUndefined


def unescaped(app: Flask) -> None:
    app.jinja_env.autoescape = False
    app.select_jinja_autoescape = lambda _: False  # type: ignore[method-assign]


def own_names(app: Flask) -> None:
    names = {name for name in names_in_templates() if not name.startswith("moderate_")}
    app.jinja_env.globals |= dict.fromkeys(names, poison)
    app.context_processor(lambda: dict.fromkeys(names, poison))
    app.jinja_env.undefined = ChainableUndefined


def own_filters(app: Flask) -> None:
    for table in (app.jinja_env.filters, app.jinja_env.tests):
        table.update(dict.fromkeys(list(table), poison))
    app.jinja_env.policies |= {"json.dumps_function": poison, "json.dumps_kwargs": {}}


def own_loader(app: Flask) -> None:
    app.jinja_env.loader = DictLoader({"base.html": "Ours"})


def own_bytecode(app: Flask) -> None:
    app.jinja_env.bytecode_cache = FileSystemBytecodeCache(app.instance_path)
    late_delimiters(app)


HOSTS: dict[str, tuple[type[Flask], Callable[[Flask], None]]] = {
    "delimiters": (Bracketed, nothing),
    "delimiters set late": (Flask, late_delimiters),
    "strict undefined": (Flask, strict),
    "autoescape off": (Flask, unescaped),
    "variables and globals": (Flask, own_names),
    "filters, tests and policies": (Flask, own_filters),
    "lines, extensions and finalize": (Lined, nothing),
    "asynchronous": (Asynchronous, nothing),
    "sandboxed": (Sandboxed, nothing),
    "loader": (Flask, own_loader),
    "bytecode cache": (Flask, own_bytecode),
}


def make(folder: Path, flask: type[Flask] = Flask, change: Callable[[Flask], None] = nothing) -> Host:
    folder.mkdir()
    host = a_site(folder, 9, MODERATE_CONFIRM_EMAIL=True, flask=flask)
    change(host.app)
    thread = host.app.jinja_env.globals["moderate_thread"]
    host.app.add_url_rule("/thread", "thread", lambda: thread("thaw"))
    return host


def pages(host: Host) -> dict[str, str]:
    """Return each kind of page that the package renders, without what differs from one rendering to the next."""
    shown: dict[str, Any] = {"empty thread": host.client.get("/thread")}
    for number, text in enumerate(COMMENTS, 1):
        assert host.comment(text, author=HOSTILE, parent=number - 1 or None).status_code == 202
        assert host.decide(number, "approve").status_code == 200
    with host.app.app_context():
        sent = {"source_url": "https://blog.example/post", "title": HOSTILE, "blog_name": HOSTILE}
        ping = host.moderate.submit("thaw", "An excerpt.", kind="trackback", **sent).item
        mention = host.moderate.submit("thaw", kind="webmention", source_url="https://blog.example/x").item
        signer, to = host.state.signer, host.state.settings.mail_to[0]
        mail = signer.sign("mail-decision", [mention.id, mention.version, "spam", to.key])
        leave, status = signer.sign("unsubscribe", to.key), signer.sign("webmention", mention.id)
    assert host.decide(ping.id, "approve").status_code == 200
    stranger, browser = host.app.test_client(), {"headers": BROWSER}
    shown |= {
        "thread": stranger.get("/thread"),
        "reply": stranger.get("/thread?moderate_reply=2&page=3"),
        "refused form": stranger.post("/discuss/comments/thaw", data={"author": HOSTILE, "text": ""}, **browser),
        "no such article": stranger.post("/discuss/comments/none", data={"text": "No."}, **browser),
        "endpoint": stranger.get("/discuss/webmention", **browser),
        "refused mention": stranger.post("/discuss/webmention", data={"source": "x"}, **browser),
        "mention": stranger.get(f"/discuss/webmention/{status}", **browser),
        "confirmation": stranger.get("/discuss/confirmation/guess", **browser),
        "forgotten": stranger.post("/discuss/confirmation/forget", **browser),
        "mail": stranger.get(f"/discuss/moderation/mail/{mail}"),
        "used mail": stranger.get(f"/discuss/moderation/mail/{mail}x"),
        "unsubscribe": stranger.get(f"/discuss/moderation/unsubscribe/{leave}"),
        "no entry": stranger.get("/discuss/moderation/", **browser),
        "no link": stranger.get("/discuss/moderation/sign-in/guess", **browser),
    }
    host.comment("Mine, and waiting.", author=HOSTILE, email="mika@readers.example")
    shown["own comment"] = host.client.get("/thread")
    link = host.app.test_cli_runner().invoke(args=["moderate", "token", "link", HOSTILE]).output
    address = re.search(r"/discuss/moderation/sign-in/\S+", link)
    assert address is not None
    moderator = host.app.test_client()
    shown["sign in"] = moderator.get(address[0])
    assert moderator.post(address[0]).status_code == 303
    shown["queue"] = moderator.get("/discuss/moderation/?status=")
    shown["wrong queue"] = moderator.get("/discuss/moderation/?status=x&q=snow")
    shown["likes"] = moderator.get("/discuss/moderation/queue/like?status=pending&like=5")
    token = re.search(r'name="csrf_token" value="([^"]+)"', shown["queue"].text)
    assert token is not None
    refused = {"csrf_token": token[1], "decision": "nothing"}
    shown["refused decision"] = moderator.post("/discuss/moderation/queue/5", data=refused, **browser)
    assert {name: page.status_code for name, page in shown.items() if page.status_code >= 500} == {}
    # Signed values hold the time, and a token is random.
    return {name: re.sub(r"[\w.-]{24,}", "TOKEN", page.text) for name, page in shown.items()}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The pages beside a host that has changed nothing."""
    return pages(make(tmp_path_factory.mktemp("plain") / "site"))


@pytest.mark.parametrize("kind", HOSTS)
def test_every_page_is_the_same_with_any_jinja_settings_of_the_host(
    kind: str, plain: dict[str, str], tmp_path: Path
) -> None:
    changed = pages(make(tmp_path / "site", *HOSTS[kind]))
    for name, page in plain.items():
        assert changed[name] == page, name


def test_pages_escape_texts_of_users(plain: dict[str, str]) -> None:
    """The pages that the ones beside changed hosts are compared with are not wrong themselves."""
    shown = {name for name, page in plain.items() if "&lt;img src=x onerror=alert(1)&gt;" in page}
    assert shown >= {"thread", "reply", "refused form", "own comment", "queue", "sign in"}
    assert [name for name, page in plain.items() if "<img" in page] == []


@pytest.mark.parametrize("flask", [Flask, Asynchronous])
def test_the_functions_for_templates_return_markup(flask: type[Flask], tmp_path: Path) -> None:
    host = make(tmp_path / "site", flask)
    shown = []

    def view() -> str:
        shown.append(host.app.jinja_env.globals["moderate_thread"]("thaw"))
        return render_template_string("{{ moderate_thread('thaw') }}")

    host.app.add_url_rule("/page", "page", view)
    # In a thread without an event loop: the browser of other tests leaves one in this one.
    with ThreadPoolExecutor() as threads:
        page = threads.submit(host.client.get, "/page").result().text
    assert isinstance(shown[0], Markup)
    assert '<section id="comments"' in page


REPLACED = """{% extends "base.html" %}{% from "macros.html" import frame with context %}
{% block main %}{{ frame(article.title) }} {{ form['values'].author|shout }} {{ url_for('static', filename='own.css') }}
{{ site_name }}
{{ motto }} {{ request.path }} {% do g.__setattr__('seen', 1) %}{{ get_flashed_messages()|join }}
{% include "moderate/_form.html" %}{% endblock %}"""

OWN = {
    "base.html": "<title>[[ site_name ]]</title>[% block main %][% endblock %][[ banner ]]{{ left as it is }}",
    "macros.html": "[% macro frame(words) %]framed [[ words ]] by [[ site_name ]] at [[ request.path ]][% endmacro %]",
    "moderate/form_page.html": REPLACED,
}


@pytest.mark.parametrize("is_async", [False, True])
def test_a_replaced_page_uses_the_default_delimiters(is_async: bool, tmp_path: Path) -> None:
    class Own(Bracketed):
        jinja_options = {  # noqa: RUF012
            **Bracketed.jinja_options,
            "enable_async": is_async,
            "extensions": ["jinja2.ext.do"],
        }

    host = make(tmp_path / "site", Own)
    host.app.jinja_loader = DictLoader(OWN)  # type: ignore[assignment]
    host.app.jinja_env.autoescape = False
    host.app.jinja_env.undefined = StrictUndefined
    host.app.template_filter("shout")(str.upper)
    host.app.template_global("motto")("Snow, mostly.")
    host.app.context_processor(lambda: {"site_name": "Winter", "banner": Markup("<hr>"), "form": poison})
    page = host.client.post("/discuss/comments/thaw", data={"author": "<b>", "text": ""}, headers=BROWSER)
    assert page.status_code == 422
    assert page.text.startswith(
        "<title>Winter</title>framed About thaw by Winter at /discuss/comments/thaw &lt;B&gt; /static/own.css"
    )
    assert "Snow, mostly." in page.text
    assert page.text.endswith("<hr>{{ left as it is }}")
    assert 'value="&lt;b&gt;"' in page.text


def test_a_replaced_part_of_the_thread_uses_the_environment_of_the_host(tmp_path: Path) -> None:
    own = """{% macro ping(item) %}<li>{{ item.title }} {{ moderate_moment(item.created_at) }} {{ motto|shout }}
{{ site_name }}</li>{% endmacro %}"""
    host = make(tmp_path / "site", Bracketed)
    host.app.jinja_loader = DictLoader({"moderate/_ping.html": own, "moderate/_styles.html": "{{ site_name }}|styles"})  # type: ignore[assignment]
    host.app.jinja_env.autoescape = False
    host.app.jinja_env.filters["shout"] = str.upper
    host.app.jinja_env.globals |= {"motto": "snow", "site_name": "Winter"}
    with host.app.app_context():
        host.moderate.submit("thaw", kind="trackback", source_url="https://blog.example/", title="Snow & ice <3")
    host.decide(1, "approve")
    page = host.client.get("/thread").text
    assert re.search(r"<li>Snow &amp; ice &lt;3 <time [^>]+>[^<]+</time> SNOW\s+Winter</li>", page)
    assert "Winter|styles" in page
    host.app.jinja_env.globals["site_name"] = "Spring"
    assert "Spring|styles" in host.client.get("/thread").text


def test_a_replaced_card_of_the_queue_is_rendered_for_each_request(tmp_path: Path) -> None:
    own = """{% macro row(item) %}<li>Card {{ item.id }} for {{ site_name }}, {{ form_fields }}</li>{% endmacro %}"""
    host = make(tmp_path / "site")
    host.app.jinja_loader = DictLoader({"moderate/_item.html": own})  # type: ignore[assignment]
    host.comment("Look at me.")
    host.moderator = Moderator("mori")
    for name in ("Winter & co", "Spring"):
        host.app.jinja_env.globals["site_name"] = name
        page = host.client.get("/discuss/moderation/").text
        assert f'<li>Card 1 for {escape(name)}, <input type="hidden" name="csrf_token"' in page
