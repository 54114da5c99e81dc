"""Values that are looked up at most once in a request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from flask import current_app, has_request_context, request

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

T = TypeVar("T")


def once_per_request(name: Hashable, make: Callable[[], T]) -> T:
    """Return what *make* returned when it was first called under *name* in this request and app.

    Outside of requests it is called each time. The values are kept with the request, not in `flask.g`, which
    goes on for several requests where a test has pushed an app context around them.
    """
    known = request_scope()
    if known is None:
        return make()
    key = (id(current_app._get_current_object()), name)  # type: ignore[attr-defined]
    if key not in known:
        known[key] = make()
    value: T = known[key]
    return value


def request_scope() -> dict[Any, Any] | None:
    """Return what is kept for the current request, None outside of requests."""
    return request.environ.setdefault("moderate.once", {}) if has_request_context() else None
