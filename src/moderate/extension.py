"""The Flask extension: hooks for the host, and `init_app`. It stores no state of any app."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final, TypeVar

from flask import request, request_finished, request_started

from moderate.build import Parts, build_state
from moderate.checks.order import refuse_checks
from moderate.cli import build_cli, is_served, settings_explained
from moderate.database.engine import refuse_engine
from moderate.database.migrate import include_name
from moderate.hooks import key_text
from moderate.http import language
from moderate.http.blueprint import build_blueprint, build_models, place_of, prepare
from moderate.http.edge import Hooks
from moderate.http.state import current_state
from moderate.model import ChangedText, Client, Decision, Kind, Moderator, Raw
from moderate.moderation.decide import DecisionRequest, decide_one
from moderate.reading import fragments, thread_page
from moderate.settings import Settings
from moderate.submit.submit import accept
from moderate.text.sanitizer import load_packages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from flask import Flask
    from sqlalchemy.engine import Engine

    from moderate.checks.base import Check
    from moderate.http.state import State
    from moderate.model import Counts, Item, Receipt
    from moderate.ports import Clock
    from moderate.protocols.base import InboundProtocol

F = TypeVar("F", bound="Callable[..., Any]")
K = TypeVar("K", bound="str | int")


class Moderate:
    """Comments and trackbacks for one or more Flask apps.

    Register the hooks first, then call `init_app`. A host may pass in objects of its own: `engine`
    (an SQLAlchemy engine, or a callable that returns one when called within an app context),
    `redis` (a redis-py client: plain, of a Sentinel, or of a Cluster; a callable that returns one and
    is called once, by `init_app`; or an address), `checks`, `protocols`, `clock`. Raises `TypeError` for
    an engine or a check, and `init_app` for a client or a protocol, that cannot be used.
    """

    def __init__(
        self,
        app: Flask | None = None,
        *,
        engine: Engine | Callable[[], Engine] | None = None,
        redis: Any = None,
        checks: Sequence[Check] | None = None,
        protocols: Sequence[InboundProtocol] | None = None,
        clock: Clock | None = None,
    ) -> None:
        refuse_engine(engine)
        checks = None if checks is None else tuple(checks)
        refuse_checks(checks or ())
        self._hooks = Hooks()
        self._parts = Parts(engine, redis, checks, protocols, clock, self._hooks)
        if app is not None:
            self.init_app(app)

    # --- hooks ---------------------------------------------------------------------------------

    def article_loader(self, function: F) -> F:
        """Register ``load(key: str) -> Article | None``. Required.

        None means that there is no such article for this request: everything about it is 404. An article
        with another key than the requested one counts under its own key.
        """
        return self._plug("article_loader", function)

    def article_finder(self, function: F) -> F:
        """Register ``find(url: str) -> Article | None``, for pings. Without it, articles that were shown are found."""
        return self._plug("article_finder", function)

    def moderator_loader(self, function: F) -> F:
        """Register ``load() -> Moderator | None``, which returns the moderator of the host's login, if it is one."""
        return self._plug("moderator_loader", function)

    def author_loader(self, function: F) -> F:
        """Register ``load() -> Author | None``, which returns the verified author of the host's login, if any."""
        return self._plug("author_loader", function)

    def _plug(self, name: str, function: F) -> F:
        self._hooks.functions[name] = function
        return function

    # --- the app -------------------------------------------------------------------------------

    def init_app(self, app: Flask) -> None:
        """Register the blueprint under MODERATE_URL_PREFIX, at MODERATE_HOST or MODERATE_SUBDOMAIN where one is set.

        Raises `ConfigError` for a wrong setting.
        """
        # A host may pass `flask.current_app`; signals and worker threads need the app behind that proxy.
        app = getattr(app, "_get_current_object", lambda: app)()
        if "moderate" in app.extensions:
            raise RuntimeError("moderate is already initialised on this app.")
        with settings_explained():
            settings = Settings.from_config(app.config)
            place = place_of(app, settings)
            state = build_state(app, settings, self._parts)
            blueprint = build_blueprint(state.protocols)

            def load() -> None:
                load_packages(state.desk.policy)
                build_models(blueprint, settings)

            if is_served():
                # Nothing of this is left to the first request, nor to each process that is forked from this one.
                load()
            else:
                # A command of the host's own may serve requests too, by several threads.
                before_first_request(app, load)
        app.extensions["moderate"] = state
        app.register_blueprint(blueprint, url_prefix=settings.url_prefix, **place)
        request_started.connect(prepare, app)
        app.jinja_env.globals.update(
            moderate_counts=thread_page.moderate_counts,
            moderate_thread=thread_page.moderate_thread,
            moderate_discovery=thread_page.moderate_discovery,
            moderate_feed_elements=thread_page.moderate_feed_elements,
            **language.GLOBALS,
            **fragments.GLOBALS,
        )
        app.cli.add_command(build_cli())
        request_finished.connect(fragments.note_answer, app)

    def close(self, app: Flask) -> None:
        """End the threads of *app* and close its connections; an engine or Redis client of the host stays open.

        Waits up to 30 seconds for the task at hand. The app can still serve requests afterwards, but its worker
        threads do not start again. May be called more than once.
        """
        state: State = app.extensions["moderate"]
        state.close()

    #: Keeps moderate's tables out of the host's own Alembic migrations; the same as `moderate.include_name`.
    include_name: Final = staticmethod(include_name)

    # --- for the host's own code, within an app context ----------------------------------------

    def create_tables(self) -> None:
        """Create moderate's tables, or bring them up to date, as ``flask moderate db upgrade`` does.

        For app factories and tests. Raises `ServiceDown` where the database fails or tables have been lost.
        """
        current_state().tables.upgrade()

    def counts(self, keys: Iterable[K]) -> dict[K, Counts]:
        """Return the counts of many articles, by the keys as given, in one query.

        Keys without any items count zero, and so do all of them while the database cannot be read, which
        is logged. The hooks are not called. Raises `TypeError` for keys that are neither text nor int.
        """
        return thread_page.counts_of(keys)

    def discovery_headers(self, key: str | int) -> list[tuple[str, str]]:
        """Return the ``Link`` and ``X-Pingback`` header fields for the response to an article page."""
        return thread_page.discovery_headers(key)

    def is_personal(self, *_: object, **__: object) -> bool:
        """Return True if the article page of this request may show something of this visitor's own.

        Made for ``@cache.cached(unless=moderate.is_personal)`` of Flask-Caching, which passes the view and its
        arguments: such a page is then neither stored in the cache nor taken from it.
        """
        return current_state().edge.is_personal(request)

    def submit(
        self,
        article: str | int,
        text: str = "",
        *,
        kind: str = "comment",
        author: str = "",
        email: str = "",
        url: str = "",
        parent: int | None = None,
        source_url: str | None = None,
        title: str | None = None,
        blog_name: str | None = None,
        ip: str = "",
        user_agent: str = "",
    ) -> Receipt:
        """Submit from code, for imports and tests: like over HTTP, but it counts for no rate limit and no wave.

        *parent* may be any comment of the article, public or not. Raises `Refused` where the submission is refused.
        """
        raw = Raw(
            kind=Kind(kind),
            client=Client(ip, user_agent),
            article=key_text(article),
            author=author,
            email=email,
            url=url,
            text=text,
            parent=parent,
            source_url=source_url,
            title=title,
            blog_name=blog_name,
        )
        return accept(current_state().desk, raw)

    def decide(
        self, item_id: int, decision: str, *, version: int, by: str, note: str | None = None, change: str = "accept"
    ) -> Item:
        """Decide from code. Raises `UnknownItem` or `DecidedMeanwhile`.

        `change` is ``accept`` or ``decline``, for a changed text that waits behind an approved one.
        """
        request = DecisionRequest(
            decision=Decision(decision),
            items={item_id: version},
            by=Moderator(by),
            note=note,
            change=ChangedText(change),
        )
        return decide_one(current_state().desk, request)


def before_first_request(app: Flask, work: Callable[[], None]) -> None:
    """Run *work* at the beginning of the first request; others that begin meanwhile wait for it."""
    lock, waiting = threading.Lock(), [work]

    def run(_app: Flask, **_: object) -> None:
        if waiting:
            with lock:
                for wanted in waiting:
                    wanted()
                waiting.clear()

    request_started.connect(run, app, weak=False)
