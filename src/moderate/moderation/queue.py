"""The moderators' queue as an HTML page, usable without JavaScript, with its banners and what its script asks."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlencode

from flask import Response, request, url_for

from moderate.akismet.feedback import USAGE
from moderate.errors import Invalid
from moderate.http.answers import NoSuchPage, problem, status_of, unstored
from moderate.http.item_json import verified
from moderate.http.language import check_names, duration, for_moderators, say, translated
from moderate.http.operation import CURSOR, HTML, HTML_PAGE, TEXT, Answer, Count, Operation, Reply, query, whole
from moderate.i18n import Message
from moderate.model import MAX_ID, TASK_KINDS, Awaiting, ItemFilter, Kind, Page, Status, whole_number
from moderate.moderation.access import answers_pages, csrf_token, moderator, page, refusal, session_token, signed_in
from moderate.moderation.labels import BUTTONS, read_notice, script_words
from moderate.moderation.views import FILTER, TotalsOut, item_filter, item_id, totals
from moderate.monitoring.health import LAG, akismet
from moderate.reading.views import number

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from enum import StrEnum

    from flask.typing import ResponseReturnValue

    from moderate.akismet.sql import AccountNote
    from moderate.http.state import State
    from moderate.model import Item, Moderator


class Totals(TotalsOut):
    changed: Count


class NewsOut(Answer):
    """The number of items that are newer than the first one of the page, at most a hundred."""

    new: int
    totals: Totals


E = TypeVar("E", bound="StrEnum")

#: Items on a page, whose cards the script may ask for at once.
PAGE = 50

#: Up to how many new items are counted.
MOST_NEW = 100

#: The parameters of the queue's address that its forms carry along, so that the moderator comes back to the same list.
FILTERS = (*(field.name for field in fields(ItemFilter)), "cursor")

#: Changed texts of approved items that wait for a moderator.
CHANGED = ItemFilter(status=Status.APPROVED, awaiting=Awaiting.MODERATOR)


@Operation(
    "GET",
    "/moderation/",
    "queue",
    "The queue",
    parameters=(*FILTER, CURSOR, query("notice", TEXT, "What was just done; signed.")),
    replies=(HTML_PAGE,),
    has_problem_pages=True,
    is_for_moderators=True,
)
@answers_pages()
def queue() -> ResponseReturnValue:
    state, who = signed_in()
    try:
        which, cursor = default_filter(), number("cursor", None, MAX_ID)
    except Invalid as error:
        return shown(state, who, as_typed(), Page((), None), error)
    return shown(state, who, which, state.desk.store.queue.page(which, cursor=cursor, limit=PAGE))


def shown(state: State, who: Moderator, which: ItemFilter, some: Page, wrong: Invalid | None = None) -> Response:
    """Return the page with some items, or with the errors of its address (*wrong*) in their place."""
    for_moderators()
    notes = state.desk.account.all()
    return page(
        "queue",
        status_of(wrong) if wrong else 200,
        wrong=wrong.errors if wrong else (),
        who=who,
        has_session=session_token(state) is not None,
        items=some.items,
        tabs=tabs(state, which),
        next_url=next_url(some.next) if some.next else None,
        news_url=None if wrong else news_url(which, some.items),
        csv_url=csv_url(which),
        notice=read_notice(state, who, request.args.get("notice")),
        banners=list(banners(state, notes)),
        # The month's number of calls. That few are left is a banner.
        usage=next((say("Akismet: {note}", note=translated(note.text)) for note in notes if note.topic == USAGE), None),
        waiting_since=state.desk.store.queue.oldest_waiting(),
        script_words=script_words(),
        **frame(state, which),
    )


def as_typed() -> ItemFilter:
    """Return the query string without the values that no field of the page can show."""
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
    """Return the template variables of every page with cards and forms."""
    kept, cursor = fields_of(which), request.args.get("cursor") or request.form.get("filter_cursor")
    if cursor and whole_number(cursor):
        kept["cursor"] = cursor
    return {
        "filter": which,
        "kept": kept,
        "csrf_token": csrf_token(state, moderator(state)),
        "buttons": BUTTONS,
        "kinds": Kind,
        "now": state.desk.clock.now(),
        "not_asked": not_asked,
        "verified": verified,
    }


def fields_of(which: ItemFilter) -> dict[str, str]:
    """Return the filter as fields of a query."""
    return {"status": ""} | {name: str(value) for name, value in asdict(which).items() if value is not None}


def default_filter() -> ItemFilter:
    """Return the filter of the query string; without a status in it, that of pending items."""
    which = item_filter()
    if which.status is None and "status" not in request.args:
        return replace(which, status=Status.PENDING)
    return which


def tabs(state: State, which: ItemFilter) -> list[dict[str, Any]]:
    """Return the tabs with their counts: the four statuses, changed texts, and all items."""
    counted = totals(state)
    is_changed = which.status is CHANGED.status and which.awaiting is CHANGED.awaiting

    def tab(name: str, label: Message, count: int, is_current: bool, **place: Any) -> dict[str, Any]:
        url = url_for("moderate.queue", **place)
        return {"name": name, "label": label, "count": count, "url": url, "is_current": is_current}

    found = [
        tab(status, status.label, counted[status], which.status is status and not is_changed, status=status.value)
        for status in Status
    ]
    about_changes = {"status": "approved", "awaiting": "moderator"}
    found.insert(1, tab("changed", Message("Changed"), changed(state), is_changed, **about_changes))
    return [*found, tab("", Message("All"), sum(counted.values()), which.status is None, status="")]


def not_asked(item: Item) -> list[str]:
    """Return the checks that were not asked about an item, each with the reason."""
    return [f"{check_names([check])} ({translated(reason)})" for check, reason in item.skipped or ()]


def next_url(cursor: int) -> str:
    """Return this page's address with another cursor."""
    args = {name: value for name, value in request.args.items() if name not in {"cursor", "notice"}}
    return f"{url_for('moderate.queue')}?{urlencode(args | {'cursor': cursor})}"


def csv_url(which: ItemFilter) -> str:
    """Return the address of the CSV file of all items that the filter matches, on whichever page of the list."""
    place = {name: value for name, value in fields_of(which).items() if value}
    return f"{url_for('moderate.moderation_items_csv')}?{urlencode(place)}"


# --- what the page's script asks ----------------------------------------------------------------------


def news_url(which: ItemFilter, items: tuple[Item, ...]) -> str | None:
    """Return the address at which the page asks for new items; None for later pages of the list."""
    if request.args.get("cursor"):
        return None
    place = fields_of(which) | {"after": str(items[0].id if items else 1)}
    return f"{url_for('moderate.queue_news')}?{urlencode(place)}"


@Operation(
    "GET",
    "/moderation/queue/news",
    "queue_news",
    "What came in since",
    parameters=(*FILTER, query("after", whole(MAX_ID), "The newest item that is known.")),
    replies=(Reply(200, "The numbers.", NewsOut),),
    is_for_moderators=True,
)
def news() -> ResponseReturnValue:
    state, _ = signed_in()
    newest = state.desk.store.queue.versions(default_filter(), MOST_NEW)
    after = number("after", 1, MAX_ID) or 1
    counted = Totals(**totals(state), changed=changed(state))
    return unstored(NewsOut(new=sum(item_id > after for item_id in newest), totals=counted))


@Operation(
    "GET",
    "/moderation/queue/cards",
    "queue_cards",
    "The cards of some items as they stand now, as HTML for the queue page",
    parameters=(*FILTER, query("item", whole(MAX_ID), "The number of an item; may be given up to fifty times.")),
    replies=(Reply(200, "The cards.", types=(HTML,)),),
    is_for_moderators=True,
)
def cards() -> ResponseReturnValue:
    """Leave out items that were deleted meanwhile."""
    state, _ = signed_in()
    which = default_filter()
    numbers = [item_id(value, "item") for value in request.args.getlist("item")[:PAGE]]
    found = (state.desk.store.items.get(number) for number in numbers if number is not None)
    return page("cards", 200, items=[item for item in found if item is not None], **frame(state, which))


def changed(state: State) -> int:
    """Return the number of changed texts that wait, at most a hundred."""
    return len(state.desk.store.queue.versions(CHANGED, MOST_NEW))


def nothing_here(**_: str) -> ResponseReturnValue:
    """Answer 404 for every other address below ``/moderation/``: a page for browsers, a problem for programs."""
    error = NoSuchPage()
    if request.method in {"GET", "HEAD"} and request.accept_mimetypes.best == HTML:
        return refusal(error)
    return problem(error)


# --- banners --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Banner:
    """A message at the top of the page. `urgent` marks those that call for action."""

    name: str
    words: str
    urgent: bool = True


def banners(state: State, notes: Iterable[AccountNote]) -> Iterator[Banner]:
    """Yield what moderators should know before they decide, without asking another server.

    *notes* are those of Akismet about the site's account; its state is the one that a worker last found.
    """
    wave = state.desk.waves.current()
    if wave is not None:
        words = say("A spam wave is under way: everything is held until it is over.")
        yield Banner("wave", f"{words} {translated(wave.reason)}", urgent=False)
    part = akismet(state)
    if not part.is_well:
        yield Banner("akismet", say("Akismet: {note}", note=f"{translated(part.state)}. {translated(part.advice)}"))
    for note in notes:
        if note.topic != USAGE:
            yield Banner("account", say("Akismet: {note}", note=translated(note.text)))
    if state.desk.limits.outage is not None:
        yield Banner("redis", say("Redis does not answer: rate limits hold for each process on its own."))
    lag = state.desk.store.tasks.lag(state.desk.clock.now(), TASK_KINDS)
    if lag > LAG and not state.worker.is_catching_up():
        yield Banner("tasks", say("Checks are behind by {time}. Is a worker running?", time=duration(lag)))
    dead = len(state.desk.store.tasks.dead())
    if dead:
        words = say("{n} tasks were given up. The site's operator lists them with: flask moderate tasks dead", n=dead)
        yield Banner("dead", words, urgent=False)
