"""The moderators' queue as an HTML page, usable without JavaScript."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from flask import Response, redirect, render_template, request, url_for

from moderate import moderation
from moderate.errors import DecidedMeanwhile, Invalid, Refused, ServiceDown, Unauthorized
from moderate.model import Decision, Status
from moderate.web.access import csrf_token, moderator
from moderate.web.errors import public_text, report, status_of
from moderate.web.moderation_api import MAX_BODY, item_filter, totals
from moderate.web.read import number
from moderate.web.state import current_state

if TYPE_CHECKING:
    from flask.typing import ResponseReturnValue

    from moderate.ports import ItemFilter
    from moderate.web.state import State

PAGE = 50

#: No script of another origin, no inline script, no framing: hostile text has nowhere to run.
CSP = "; ".join(
    (
        "default-src 'none'",
        "style-src 'self'",
        "script-src 'self'",
        "connect-src 'self'",
        "img-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
)


def queue() -> ResponseReturnValue:
    """``GET /moderation/``: what waits, newest first."""
    state = current_state()
    try:
        who = moderator(state)
    except Unauthorized as error:
        return page("moderate/sign_in.html", status_of(error), message=public_text(error))
    which = default_filter()
    cursor = number("cursor", None, 2**63 - 1)
    found = state.desk.store.items(which, cursor=cursor, limit=PAGE)
    return page(
        "moderate/queue.html",
        200,
        who=who,
        items=found.items,
        filter=which,
        tabs=tabs(state, which),
        next_url=here(cursor=found.next) if found.next else None,
        csrf_token=csrf_token(state, who),
        now=state.desk.clock.now(),
        decisions=list(Decision),
        notice=request.args.get("notice", ""),
    )


def default_filter() -> ItemFilter:
    """What the query string says; without a word about the status, what waits."""
    which = item_filter()
    if which.status is None and "status" not in request.args:
        return replace(which, status=Status.PENDING)
    return which


def tabs(state: State, which: ItemFilter) -> list[dict[str, Any]]:
    """The status tabs with their counts."""
    counted = totals(state)
    return [
        {
            "name": status.value,
            "count": counted[status.value],
            "url": url_for("moderate.queue", status=status.value),
            "is_current": which.status is status,
        }
        for status in Status
    ]


def here(**changes: object) -> str:
    """This page's address with other query parameters."""
    args = {name: value for name, value in request.args.items() if name not in {"cursor", "notice"}}
    args.update({name: str(value) for name, value in changes.items() if value is not None})
    return f"{url_for('moderate.queue')}?{urlencode(args)}"


def decide(item_id: int) -> ResponseReturnValue:
    """``POST /moderation/queue/<id>``: one decision by a form's button, and back to the queue."""
    state = current_state()
    try:
        request.max_content_length = MAX_BODY
        who = moderator(state)
        decision, version = read_form()
        done = moderation.decide(state.desk, item_id, decision, version=version, by=who)
        notice = f"Item {done.id}: {done.status.value}."
    except DecidedMeanwhile as error:
        notice = f"Item {item_id}: {error.by or 'somebody'} has decided meanwhile: {error.item.status.value}."
    except (Refused, ServiceDown) as error:
        report(error)
        return page("moderate/sign_in.html", status_of(error), message=public_text(error))
    return redirect(back(notice), 303)


def read_form() -> tuple[Decision, int]:
    version = request.form.get("version", "")
    try:
        decision = Decision(request.form.get("decision", ""))
    except ValueError as error:
        raise Invalid.field("decision", "One of approve, hold, spam, trash.") from error
    if not (version.isascii() and version.isdigit() and len(version) < 10):
        raise Invalid.field("version", "A whole number.")
    return decision, int(version)


def back(notice: str) -> str:
    """The queue as the moderator had it: same tab, same filters, same place."""
    kept = {name: value for name in FILTERS if (value := request.form.get(f"filter_{name}"))}
    return f"{url_for('moderate.queue')}?{urlencode(kept | {'notice': notice})}"


FILTERS = ("status", "kind", "article", "author", "ip", "q", "awaiting", "cursor")


def page(template: str, status: int, **context: Any) -> Response:
    response = Response(render_template(template, **context), status)
    response.headers["Cache-Control"] = "no-store"
    response.headers["Content-Security-Policy"] = CSP
    response.headers["X-Frame-Options"] = "DENY"
    response.headers["Referrer-Policy"] = "same-origin"
    return response
