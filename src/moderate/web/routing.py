"""Routes that answer every method themselves.

Flask reports a wrong method before a blueprint is asked, in the host's words. Our addresses speak
problem documents, so each of them takes all methods and turns the wrong ones away on its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import Response, request
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.routing import PathConverter

from moderate.errors import Refused, ServiceDown, TooLarge, UnknownItem
from moderate.web.errors import MethodNotAllowed, NoSuchPage, problem, report

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Blueprint
    from flask.blueprints import BlueprintSetupState
    from flask.typing import ResponseReturnValue

    View = Callable[..., ResponseReturnValue]

#: The largest id that a database can hold.
MAX_ID = 2**63 - 1

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]


class KeyConverter(PathConverter):
    """The key of an article: any text, also one that begins with a slash, as hosts use that go by paths."""

    regex = "(?s:.+?)"
    # Werkzeug takes a pattern without a slash for one that no slash can match.
    part_isolating = False


def know_keys(blueprint: Blueprint) -> None:
    """Let the rules of a blueprint hold ``<path:…>`` for keys; see `with_keys`. Call it before any rule is added."""

    def tell(setup: BlueprintSetupState) -> None:
        setup.app.url_map.converters["moderate_key"] = KeyConverter

    blueprint.record(tell)


def with_keys(rule: str) -> str:
    """A rule of ours as Werkzeug has to know it."""
    return rule.replace("<path:", "<moderate_key:")


def route(
    blueprint: Blueprint, rule: str, endpoint: str, views: dict[str, View], *, told: Callable[[str], str] = str
) -> None:
    """Register *views* by method at *rule*; HEAD is answered as GET, OPTIONS with Allow.

    *told* puts what is refused into the language of those who read it; programs get it as it is.
    """
    allowed = allow_header(views)

    def dispatch(**values: Any) -> ResponseReturnValue:
        method = "GET" if request.method == "HEAD" else request.method
        if method == "OPTIONS":
            return Response(status=204, headers={"Allow": allowed})
        if method not in views:
            return problem(MethodNotAllowed(allowed))
        return guarded(views[method], values, told)

    blueprint.add_url_rule(with_keys(rule), endpoint, dispatch, methods=METHODS, provide_automatic_options=False)


def allow_header(views: dict[str, View]) -> str:
    names = set(views) | {"OPTIONS"} | ({"HEAD"} if "GET" in views else set())
    return ", ".join(sorted(names))


def guarded(view: View, values: dict[str, Any], told: Callable[[str], str] = str) -> ResponseReturnValue:
    """Call a view; what it refuses becomes a problem document."""
    if values.get("item_id", 0) > MAX_ID:
        return problem(UnknownItem())
    try:
        return view(**values)
    except (Refused, ServiceDown) as error:
        report(error)
        return problem(error, told)
    except RequestEntityTooLarge:
        return problem(TooLarge(), told)


def nothing_here(**_: str) -> ResponseReturnValue:
    """For all addresses below the prefix that are not ours."""
    return problem(NoSuchPage())
