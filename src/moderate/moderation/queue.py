"""The moderators' queue as an HTML page, usable without JavaScript."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlencode

from flask import Response, request, url_for

from moderate.errors import Invalid, Unauthorized
from moderate.http.errors import NoSuchPage, problem, public_text, status_of
from moderate.http.present import verified
from moderate.http.rendering import render
from moderate.http.routing import MAX_ID
from moderate.http.state import current_state
from moderate.http.words import checks, for_moderators, found
from moderate.model import Awaiting, Kind, Status
from moderate.moderation.access import csrf_token, moderator, session_token
from moderate.moderation.banners import banners, usage, waiting_since
from moderate.moderation.notice import unpack
from moderate.moderation.script_words import script_words
from moderate.moderation.views import item_filter, item_id, private, totals
from moderate.ports import ItemFilter, Page
from moderate.reading.pieces import lines
from moderate.reading.views import number
from moderate.text.destinations import destinations

if TYPE_CHECKING:
    from enum import StrEnum

    from flask.typing import ResponseReturnValue

    from moderate.http.state import State
    from moderate.model import Item, Moderator

E = TypeVar("E", bound="StrEnum")

PAGE = 50

#: A text on a card that takes more lines than this is folded; see `moderate.reading.pieces.lines`.
LONG = 11

#: Cards that the script may ask for at once: those of a page.
MOST_CARDS = PAGE

#: More new items than this are "more than".
MOST_NEW = 100

#: What the address of the queue, and each of its forms, says about the moderator's place.
FILTERS = ("status", "kind", "article", "author", "ip", "host", "like", "q", "awaiting", "cursor")

#: Changed texts of approved items that wait for a moderator.
CHANGED = ItemFilter(status=Status.APPROVED, awaiting=Awaiting.MODERATOR)

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
        return no_entry(state, error)
    try:
        which, cursor = default_filter(), number("cursor", None, MAX_ID)
    except Invalid as error:
        return shown(state, who, as_typed(), Page((), None), error)
    return shown(state, who, which, state.desk.store.items(which, cursor=cursor, limit=PAGE))


def shown(state: State, who: Moderator, which: ItemFilter, some: Page, wrong: Invalid | None = None) -> Response:
    """The page with some items, or, where its address means nothing, with what is *wrong* in their place."""
    for_moderators()
    return page(
        "queue",
        status_of(wrong) if wrong else 200,
        wrong=wrong.errors if wrong else (),
        who=who,
        has_session=session_token(state) is not None,
        items=some.items,
        tabs=tabs(state, which),
        next_url=here(cursor=some.next) if some.next else None,
        news_url=None if wrong else news_url(which, some.items),
        csv_url=csv_url(which),
        now=state.desk.clock.now(),
        not_asked=not_asked,
        verified=verified,
        notice=unpack(state, who, request.args.get("notice")),
        banners=banners(state),
        usage=usage(state),
        waiting_since=waiting_since(state),
        script_words=script_words(),
        **frame(state, which),
    )


def as_typed() -> ItemFilter:
    """The query string as far as the page's own fields can show it: what no field can hold is left out."""
    texts: dict[str, Any] = {
        name: request.args.get(name, "").replace("\0", "").strip() or None
        for name in ("article", "author", "ip", "host", "q")
    }
    return ItemFilter(
        status=known(Status, "status") if "status" in request.args else Status.PENDING,
        kind=known(Kind, "kind"),
        awaiting=known(Awaiting, "awaiting"),
        **texts,
    )


def known(enum: type[E], name: str) -> E | None:
    value = request.args.get(name)
    return next((entry for entry in enum if entry.value == value), None)


def frame(state: State, which: ItemFilter) -> dict[str, Any]:
    """What every page with forms needs: the token that they carry, and the filters that they keep."""
    return {"filter": which, "kept": kept(which), "csrf_token": csrf_token(state, moderator(state))}


def kept(which: ItemFilter) -> dict[str, str]:
    """The moderator's place as the fields of a query."""
    place = {name: str(value) for name in FILTERS if (value := getattr(which, name, None)) is not None}
    cursor = request.args.get("cursor") or request.form.get("filter_cursor")
    if not is_place(cursor):
        cursor = None
    return {"status": "", **place, **({"cursor": cursor} if cursor else {})}


def is_place(cursor: str | None) -> bool:
    """Whether it can stand for a place in the list."""
    return cursor is not None and cursor.isascii() and cursor.isdigit() and len(cursor) <= 19 and int(cursor) > 0


def default_filter() -> ItemFilter:
    """What the query string says; without a word about the status, what waits."""
    which = item_filter()
    if which.status is None and "status" not in request.args:
        return replace(which, status=Status.PENDING)
    return which


def tabs(state: State, which: ItemFilter) -> list[dict[str, Any]]:
    """The tabs with their counts: the four statuses, changed texts, and all together."""
    counted = totals(state)
    is_changed = which.status is CHANGED.status and which.awaiting is CHANGED.awaiting
    places: list[tuple[str, int, dict[str, Any], bool]] = [
        (status.value, counted[status.value], {"status": status.value}, which.status is status and not is_changed)
        for status in Status
    ]
    places.insert(1, ("changed", changed(state), {"status": "approved", "awaiting": "moderator"}, is_changed))
    places.append(("", sum(counted.values()), {"status": ""}, which.status is None))
    return [
        {"name": name, "count": count, "url": url_for("moderate.queue", **query), "is_current": is_current}
        for name, count, query, is_current in places
    ]


def not_asked(item: Item) -> list[str]:
    """The checks that were not asked about an item, and why."""
    return [f"{checks([check])} ({found(reason)})" for check, reason in item.skipped or ()]


def here(**changes: object) -> str:
    """This page's address with other query parameters."""
    args = {name: value for name, value in request.args.items() if name not in {"cursor", "notice"}}
    args.update({name: str(value) for name, value in changes.items() if value is not None})
    return f"{url_for('moderate.queue')}?{urlencode(args)}"


def csv_url(which: ItemFilter) -> str:
    """All that the filter matches, wherever in the list the page stands."""
    place = {name: value for name, value in kept(which).items() if name != "cursor" and value}
    return f"{url_for('moderate.moderation_items_csv')}?{urlencode(place)}"


# --- what came in since ------------------------------------------------------------------------------


def news_url(which: ItemFilter, items: tuple[Item, ...]) -> str | None:
    """Where the page asks what is new; None further down, where nothing new can be."""
    if request.args.get("cursor"):
        return None
    place = {name: value for name, value in kept(which).items() if name != "cursor"}
    return f"{url_for('moderate.queue_news')}?{urlencode({**place, 'after': items[0].id if items else 1})}"


def news() -> ResponseReturnValue:
    """``GET /moderation/queue/news``: how many items of this filter are newer than ``after``, up to a hundred."""
    state = current_state()
    moderator(state)
    newest = state.desk.store.versions(default_filter(), MOST_NEW)
    after = number("after", 1, MAX_ID) or 1
    counted = {**totals(state), "changed": changed(state)}
    return private({"new": sum(item_id > after for item_id in newest), "totals": counted})


def cards() -> ResponseReturnValue:
    """``GET /moderation/queue/cards``: the cards of some items as they stand now; what was deleted is left out."""
    state = current_state()
    moderator(state)
    which = default_filter()
    numbers = [item_id(value, "item") for value in request.args.getlist("item")[:MOST_CARDS]]
    found = (state.desk.store.item(number) for number in numbers if number is not None)
    return page(
        "cards",
        200,
        items=[item for item in found if item is not None],
        now=state.desk.clock.now(),
        not_asked=not_asked,
        verified=verified,
        **frame(state, which),
    )


def changed(state: State) -> int:
    """How many changed texts wait, up to a hundred."""
    return len(state.desk.store.versions(CHANGED, MOST_NEW))


def no_entry(state: State, error: Unauthorized) -> Response:
    """The ways in, for whoever has come to the moderators' pages without one."""
    home = f"{request.script_root}/"
    return page(
        "sign_in",
        status_of(error),
        message=public_text(error),
        has_login=state.hooks.has_login is not None and state.hooks.has_login(),
        home=state.address.absolute(home, request) if state.settings.site_url else home,
    )


def is_long(html: str) -> bool:
    """Tell whether a text in HTML takes more than some dozen lines on a phone."""
    return lines(html) > LONG


def nothing_here(**_: str) -> ResponseReturnValue:
    """For all addresses below the moderators' that are not ours: a page for browsers, a problem for programs."""
    error = NoSuchPage()
    if request.method in {"GET", "HEAD"} and request.accept_mimetypes.best == "text/html":
        return page("refused", status_of(error), error=error, message=public_text(error))
    return problem(error)


def page(template: str, status: int, **context: Any) -> Response:
    """One of the moderators' pages, with the header fields that keep it to itself."""
    for_moderators()
    response = Response(render(template, destinations=destinations, is_long=is_long, **context), status)
    response.headers["Cache-Control"] = "no-store"
    response.headers["Content-Security-Policy"] = CSP
    response.headers["X-Frame-Options"] = "DENY"
    response.headers["Referrer-Policy"] = "same-origin"
    response.vary.add("Accept-Language")
    return response
