"""The objects of one app, and values of the current request. The extension object itself holds nothing of an app."""

from __future__ import annotations

import atexit
import logging
import weakref
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from flask import current_app, request

from moderate.errors import ServiceDown
from moderate.lru import DerivedCache, LRUCache
from moderate.monitoring.warnings import Hints

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from flask import Request

    from moderate.database.tables import Tables
    from moderate.errors import Refused
    from moderate.http.answers import Templates
    from moderate.http.edge import SiteEdge
    from moderate.http.signing import Signer
    from moderate.http.site_address import SiteAddress
    from moderate.model import Item
    from moderate.monitoring.warnings import PageOutages
    from moderate.protocols.base import InboundProtocol
    from moderate.reading.thread import ThreadHtml
    from moderate.redis import RedisLimiter
    from moderate.settings import Settings
    from moderate.submit.desk import Desk
    from moderate.tasks.worker import Worker


T = TypeVar("T")

log = logging.getLogger("moderate")

#: The key of the `Refused` in the WSGI environment of a request whose body cannot be read. It is of that request alone.
REFUSAL = "moderate.refusal"

#: Seconds that a process waits for the current task when it ends: slow servers are killed.
AT_EXIT = 5.0

#: The states of all apps in this process; `close_all` closes those that are left.
_states: weakref.WeakSet[State] = weakref.WeakSet()


def page_cache() -> LRUCache[Any]:
    """Return a cache for parts of pages.

    Keys hold the article's revision, which is read from the database for each reader: after a change, here or in
    another process, another key is asked for, and the old value is evicted in time.
    """
    return LRUCache(max_entries=256, max_bytes=8 * 1024 * 1024)


def item_cache() -> DerivedCache[Item, Any]:
    """Return a cache for what is made of items for moderators, some screens of the queue."""
    return DerivedCache(max_entries=512, max_bytes=8 * 1024 * 1024)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, weakref_slot=True)
class State:
    """All objects of one app."""

    desk: Desk
    signer: Signer
    edge: SiteEdge
    address: SiteAddress
    protocols: tuple[InboundProtocol, ...]
    worker: Worker
    tables: Tables
    page_outages: PageOutages
    templates: Templates
    #: The limiter in Redis, None where limits are counted in this process.
    redis: RedisLimiter | None = None
    hints: Hints = field(default_factory=Hints)
    #: Threads as JSON, by their tags.
    threads: LRUCache[bytes] = field(default_factory=page_cache)
    #: The lists of article pages as HTML, by what they depend on.
    listings: LRUCache[ThreadHtml] = field(default_factory=page_cache)
    #: What is around the lists and in the head, by what it depends on; see `moderate.reading.fragments`.
    frames: LRUCache[Any] = field(default_factory=lambda: LRUCache(2048, 8 * 1024 * 1024))
    #: Items as moderators get them, as JSON by their ids.
    item_texts: DerivedCache[Item, str] = field(default_factory=item_cache)
    #: Their cards on the page of the queue, by all that they depend on beside the item.
    cards: DerivedCache[Item, tuple[str, str, str]] = field(default_factory=item_cache)
    #: What closes the connections that were made for the app, the last one first.
    endings: tuple[Callable[[], object], ...] = ()

    def __post_init__(self) -> None:
        _states.add(self)

    @property
    def settings(self) -> Settings:
        return self.desk.settings

    def report(self, error: Refused | ServiceDown) -> None:
        """Log the outage of a service once. Those of Redis are logged by `moderate.limits.local`."""
        if isinstance(error, ServiceDown) and error.service != "redis":
            self.desk.outages.met(error)

    def close(self, patience: float = 30.0) -> None:
        """End the app's threads and close its connections, but not those of objects that the host handed in.

        Waits at most *patience* seconds for the current task.
        """
        with ExitStack() as ending:
            for end in self.endings:
                ending.callback(end)
            self.worker.close(patience)


@atexit.register
def close_all() -> None:
    """Close every app at the end of the process, so that an SQLite database is left as a single file."""
    for state in list(_states):
        try:
            state.close(AT_EXIT)
        except Exception:
            log.exception("Not everything could be closed at the end of the process.")


def current_state() -> State:
    """Return the state of the app that serves the current request. Raises RuntimeError where it has none."""
    try:
        state: State = current_app.extensions["moderate"]
    except KeyError:
        raise RuntimeError("moderate is not initialised on this app: call Moderate(...).init_app(app).") from None
    return state


def current_request() -> Request:
    """Return the current request itself, for code that reads much of it: Flask's proxy looks it up for each attribute.

    With four attributes that takes longer than to compare a signature.
    """
    current: Request = request._get_current_object()  # type: ignore[attr-defined]
    return current


def once_per_request(make: Callable[..., T], *arguments: Hashable) -> T:
    """Return what *make* returned when it was first called with these *arguments* in this request and app.

    Outside of requests it is called each time. The values are kept with the request, not in `flask.g`, which
    goes on for several requests where a test has pushed an app context around them.
    """
    known = request_scope()
    if known is None:
        return make(*arguments)
    key = (id(current_app._get_current_object()), make, arguments)  # type: ignore[attr-defined]
    if key not in known:
        known[key] = make(*arguments)
    value: T = known[key]
    return value


def request_scope() -> dict[Any, Any] | None:
    """Return the dictionary of the current request's values, None outside of requests."""
    try:
        environ = current_request().environ
    except RuntimeError:
        return None
    scope: dict[Any, Any] = environ.setdefault("moderate.once", {})
    return scope


def render(name: str, /, **values: Any) -> str:
    """Render ``moderate/NAME.html`` with *values*, which take precedence over the host's context processors."""
    return current_state().templates.render(name, **values)
