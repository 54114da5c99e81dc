"""Routes that answer every method themselves.

Flask reports a wrong method before a blueprint is asked, in the host's words. Our addresses speak
problem documents, so each of them takes all methods and turns the wrong ones away on its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import Response, request
from werkzeug.exceptions import RequestEntityTooLarge

from moderate.errors import Refused, ServiceDown, TooLarge, UnknownItem
from moderate.web.errors import MethodNotAllowed, NoSuchPage, problem, report

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Blueprint
    from flask.typing import ResponseReturnValue

    View = Callable[..., ResponseReturnValue]

#: The largest id that a database can hold.
MAX_ID = 2**63 - 1

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]


def route(blueprint: Blueprint, rule: str, endpoint: str, views: dict[str, View]) -> None:
    """Register *views* by method at *rule*; HEAD is answered as GET, OPTIONS with Allow."""
    allowed = allow_header(views)

    def dispatch(**values: Any) -> ResponseReturnValue:
        method = "GET" if request.method == "HEAD" else request.method
        if method == "OPTIONS":
            return Response(status=204, headers={"Allow": allowed})
        if method not in views:
            return problem(MethodNotAllowed(allowed))
        return guarded(views[method], values)

    blueprint.add_url_rule(rule, endpoint, dispatch, methods=METHODS, provide_automatic_options=False)


def allow_header(views: dict[str, View]) -> str:
    names = set(views) | {"OPTIONS"} | ({"HEAD"} if "GET" in views else set())
    return ", ".join(sorted(names))


def guarded(view: View, values: dict[str, Any]) -> ResponseReturnValue:
    """Call a view; what it refuses becomes a problem document."""
    if values.get("item_id", 0) > MAX_ID:
        return problem(UnknownItem())
    try:
        return view(**values)
    except (Refused, ServiceDown) as error:
        report(error)
        return problem(error)
    except RequestEntityTooLarge:
        return problem(TooLarge())


def nothing_here(**_: str) -> ResponseReturnValue:
    """For all addresses below the prefix that are not ours."""
    return problem(NoSuchPage())
