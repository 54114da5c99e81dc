"""The moderators' queue as an HTML page, usable without JavaScript, with its banners and what its script asks."""

from __future__ import annotations

import secrets
from dataclasses import replace
from functools import cache, lru_cache, partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from urllib.parse import quote_plus, urlencode

from flask import Response, request, url_for
from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup, escape

from moderate.akismet.feedback import USAGE
from moderate.errors import Invalid
from moderate.http.answers import NoSuchPage, problem, status_of, unstored
from moderate.http.item_json import verified
from moderate.http.language import check_names, duration, for_moderators, language, say, translated
from moderate.http.operation import CURSOR, HTML, HTML_PAGE, TEXT, Answer, Count, Operation, Reply, query, whole
from moderate.i18n import Message
from moderate.model import FILTER_NAMES, MAX_ID, Awaiting, ItemFilter, Kind, Lean, Page, Status, whole_number
from moderate.moderation.access import (
    answers_pages,
    csrf_token,
    is_long,
    moderator,
    page,
    protected,
    refusal,
    session_token,
    signed_in,
)
from moderate.moderation.labels import BUTTONS, BY_STATUS, CONFIRMED, read_notice, script_words
from moderate.moderation.views import BY_SCORE, FILTER, SORT, TotalsOut, item_filter, item_id, sorted_page, totals
from moderate.monitoring.health import LAG, akismet
from moderate.reading.fragments import is_web
from moderate.reading.views import number
from moderate.rules.check import KINDS
from moderate.rules.proposals import Proposal
from moderate.text.links import destinations

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Mapping, Sequence
    from enum import StrEnum

    from flask.typing import ResponseReturnValue

    from moderate.akismet.sql import AccountNote
    from moderate.http.state import State
    from moderate.model import Finding, Item, Moderator
    from moderate.monitoring.sql import Overview


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
FILTERS = (*FILTER_NAMES, "cursor", "sort")

HIDDEN = Markup('<input type="hidden" name="{}" value="{}">')

#: Changed texts of approved items that wait for a moderator.
CHANGED = ItemFilter(status=Status.APPROVED, awaiting=Awaiting.MODERATOR)


@Operation(
    "GET",
    "/moderation/",
    "queue",
    "The queue",
    parameters=(*FILTER, SORT, CURSOR, query("notice", TEXT, "What was just done; signed.")),
    replies=(HTML_PAGE,),
    has_problem_pages=True,
    is_for_moderators=True,
)
@answers_pages()
def queue() -> ResponseReturnValue:
    state, who = signed_in()
    try:
        which = default_filter()
        some = sorted_page(state, which, number("cursor", None, MAX_ID), PAGE)
    except Invalid as error:
        return shown(state, who, as_typed(), Page((), None), error)
    return shown(state, who, which, some)


def shown(state: State, who: Moderator, which: ItemFilter, some: Page, wrong: Invalid | None = None) -> Response:
    """Return the page with some items, or with the errors of its address (*wrong*) in their place."""
    for_moderators()
    whole, context = state.desk.store.overview(), frame(state, which)
    return page(
        "queue",
        status_of(wrong) if wrong else 200,
        wrong=wrong.errors if wrong else (),
        who=who,
        has_session=session_token(state) is not None,
        items=some.items,
        cards=cards_of(state, some.items, context),
        tabs=tabs(whole, which, context["to"].queue),
        next_url=next_url(some.next) if some.next else None,
        orders=orders(),
        news_url=None if wrong else news_url(state, which, some.items),
        csv_url=csv_url(which),
        open_url=open_url(which),
        notice=read_notice(state, who, request.args.get("notice")),
        here_url=f"{url_for('moderate.queue')}?{urlencode(request.args)}",
        banners=list(banners(state, whole)),
        proposal=proposal_words(whole.proposal, context["to"].queue) if whole.proposal and not wrong else None,
        # The month's number of calls. That few are left is a banner.
        usage=next((about_account(note) for note in whole.notes if note.topic == USAGE), None),
        waiting_since=whole.waiting_since,
        script_words=script_text(language()),
        **context,
    )


@cache
def script_text(language: str) -> str:
    """Return what `script_words` returns as JSON."""
    return str(htmlsafe_json_dumps(script_words(language), sort_keys=True))


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
        decided=int(request.args["decided"]) if request.args.get("decided") in {"0", "1"} else None,
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
    if (request.args.get("sort") or request.form.get("filter_sort")) == BY_SCORE:
        kept["sort"] = BY_SCORE
    to = Addresses(
        url_for("moderate.queue"), url_for("moderate.queue_like"), url_for("moderate.queue_decide", item_id=MAX_ID)
    )
    token, now = csrf_token(state, moderator(state)), state.desk.clock.now()
    return {
        "filter": which,
        "kept": kept,
        "csrf_token": token,
        "form_fields": hidden({"csrf_token": token, **{f"filter_{name}": value for name, value in kept.items()}}),
        "buttons": BUTTONS,
        "decisions": [(button.name, button.after, say(button.label)) for button in BY_STATUS.values()],
        "kinds": Kind,
        "now": now,
        "age_of": lambda item: age((now - item.created_at).total_seconds()),
        "host_of": host_of,
        "not_asked": not_asked,
        "search_link": partial(search_link, to.queue, say("Everything from here")),
        "strongest_first": strongest_first,
        "to": to,
        "verified": verified,
    }


def hidden(fields: Mapping[str, str]) -> Markup:
    """Return hidden fields of a form."""
    return Markup("").join(HIDDEN.format(name, value) for name, value in fields.items())


def fields_of(which: ItemFilter) -> dict[str, str]:
    """Return the filter as fields of a query."""
    return {"status": "", **{name: str(value) for name, value in which.given().items()}}


def default_filter() -> ItemFilter:
    """Return the filter of the query string; without a status in it, that of pending items."""
    which = item_filter()
    if which.status is None and "status" not in request.args:
        return replace(which, status=Status.PENDING)
    return which


def tabs(whole: Overview, which: ItemFilter, queue: str) -> list[dict[str, Any]]:
    """Return the tabs at the address *queue* with their counts: the four statuses, changed texts, and all items."""
    counted = totals(whole.totals)
    is_changed = which.status is CHANGED.status and which.awaiting is CHANGED.awaiting

    def tab(name: str, label: Message, count: int, is_current: bool, **place: Any) -> dict[str, Any]:
        return {"name": name, "label": label, "count": count, "url": asking(queue, place), "is_current": is_current}

    found = [
        tab(status, status.label, counted[status], which.status is status and not is_changed, status=status.value)
        for status in Status
    ]
    about_changes = {"status": "approved", "awaiting": "moderator"}
    found.insert(1, tab("changed", Message("Changed"), whole.changed, is_changed, **about_changes))
    return [*found, tab("", Message("All"), sum(counted.values()), which.status is None, status="")]


def not_asked(item: Item) -> list[str]:
    """Return the checks that were not asked about an item, each with the reason."""
    return [f"{check_names([check])} ({translated(reason)})" for check, reason in item.skipped or ()]


def next_url(cursor: int) -> str:
    """Return this page's address with another cursor."""
    return here(cursor=cursor)


def orders() -> list[tuple[Message, str, bool]]:
    """Return the orders of the list: the label, the address from its start on, and whether it is this one."""
    is_by_score = request.args.get("sort") == BY_SCORE
    return [
        (Message("Newest first"), here(), not is_by_score),
        (Message("Most suspicious first"), here(sort=BY_SCORE), is_by_score),
    ]


def here(**others: object) -> str:
    """Return this page's address without its place in the list, or with *others* in its query.

    A cursor holds for one order.
    """
    left_out = {"cursor", "notice"} if "cursor" in others else {"cursor", "notice", "sort"}
    args = {name: value for name, value in request.args.items() if name not in left_out}
    return f"{url_for('moderate.queue')}?{urlencode({**args, **others})}"


def csv_url(which: ItemFilter) -> str:
    """Return the address of the CSV file of all items that the filter matches, on whichever page of the list."""
    place = {name: value for name, value in fields_of(which).items() if value}
    return f"{url_for('moderate.moderation_items_csv')}?{urlencode(place)}"


def open_url(which: ItemFilter) -> str | None:
    """Return the address of those that nobody has confirmed, of spam or of what is public; None for other lists."""
    if which.status not in CONFIRMED or which.awaiting or which.decided is not None:
        return None
    return f"{url_for('moderate.queue')}?{urlencode(fields_of(replace(which, decided=0)))}"


# --- cards ----------------------------------------------------------------------------------------------

#: The templates of cards. Cards from a host's own are not stored: they may show each moderator something else.
CARD_PARTS = ("_item", "_text")

#: Placeholders in stored cards. They are secret, so that nothing else on a card is equal.
AGE, FIELDS = secrets.token_hex(16), secrets.token_hex(16)

#: The order in which findings are listed.
STRONGEST = {
    lean: place for place, lean in enumerate((Lean.DISCARD, Lean.SPAM, Lean.HOLD, Lean.UNSURE, Lean.NOTE, Lean.TRUST))
}


def cards_of(state: State, items: Sequence[Item], context: Mapping[str, Any]) -> list[Markup]:
    """Return the cards of items. Each is rendered once for its item as it is, the language, the tab and the addresses.

    What differs from one page to the next is put in afterwards: how old the item is, and the fields of the forms.
    """
    context = {**context, "destinations": destinations, "is_long": is_long}
    if not state.templates.are_shipped(CARD_PARTS):
        row = state.templates.macro("_item", "row", **context)
        return [row(item) for item in items]
    of_page = (language(), context["filter"].status, context["to"])
    found = [state.cards.get((item.id, *of_page), item) for item in items]
    if None in found:
        row = state.templates.macro("_item", "row", **{**context, "age_of": lambda _: AGE, "form_fields": FIELDS})
    fields, age_of = context["form_fields"], context["age_of"]
    made = []
    for item, known in zip(items, found, strict=True):
        before, between, after = known or stored(state, (item.id, *of_page), item, row(item))
        made.append(Markup(f"{before}{escape(age_of(item))}{between}{fields}{after}"))  # noqa: S704 - our template escapes
    return made


def stored(state: State, key: Hashable, item: Item, card: str) -> tuple[str, str, str]:
    """Store the card of an item, and return its three parts, between which the placeholders stood."""
    before, rest = card.split(AGE)
    between, after = rest.split(FIELDS)
    return state.cards.put(key, item, (before, between, after), 4000 + 2 * len(card))


#: Characters that Werkzeug leaves as they are in a query.
SAFE = "!$'()*,/:;?@"


class Addresses(NamedTuple):
    """The addresses of the forms and links on cards: each route is built once for all of them."""

    queue: str
    likes: str
    #: That of the largest number.
    decision: str

    def decide(self, item_id: int) -> str:
        return self.decision.replace(str(MAX_ID), str(item_id))

    def likes_of(self, item_id: int) -> str:
        """Return the address of the preview of all items that wait and are like one."""
        return self.like(Status.PENDING, "like", str(item_id))

    def like(self, status: Status, name: str, value: str) -> str:
        """Return the address of the preview of all items of a status with this value."""
        return asking(self.likes, {"status": status.value, name: value})


def asking(address: str, query: Mapping[str, object]) -> str:
    """Return an address with a query, behind one that the host has put there; both are written as by ``url_for``."""
    texts = [f"{name}={quote_plus(str(value), SAFE)}" for name, value in query.items()]
    return f"{address}{'&' if '?' in address else '?'}{'&'.join(texts)}"


def search_link(queue: str, title: str, name: str, value: str) -> Markup:
    """Return a *value* of the filter's field *name*, as a link to all items that have it."""
    address = escape(asking(queue, {"status": "", name: value}))
    return Markup(f'<a href="{address}" title="{escape(title)}"><bdi>{escape(value)}</bdi></a>')  # noqa: S704 - escaped


def age(seconds: float) -> str:
    """Return how long ago something was, in the page's language."""
    unit = 60 if seconds < 3600 else 3600 if seconds < 86_400 else 86_400
    return whole_age(language(), int(seconds // unit * unit))


@lru_cache(maxsize=1024)
def whole_age(_tag: str, seconds: int) -> str:
    return say("just now") if seconds < 60 else say("{time} ago", time=duration(seconds))


def host_of(url: str | None) -> str:
    """Return the host of a web address with its port, empty for what is none."""
    return url.split("/")[2].rpartition("@")[2] if url and is_web(url) else ""


def strongest_first(findings: Sequence[Finding]) -> list[Finding]:
    return sorted(findings, key=lambda finding: STRONGEST[finding.lean])


# --- what the page's script asks ----------------------------------------------------------------------


def news_url(state: State, which: ItemFilter, items: tuple[Item, ...]) -> str | None:
    """Return the address at which the page asks for new items; None for later pages of the list."""
    if request.args.get("cursor"):
        return None
    place = fields_of(which)
    if items:
        is_by_score = request.args.get("sort") == BY_SCORE
        newest = next(iter(state.desk.store.queue.versions(which, 1)), 1) if is_by_score else items[0].id
        place["after"] = str(newest)
    return f"{url_for('moderate.queue_news')}?{urlencode(place)}"


@Operation(
    "GET",
    "/moderation/queue/news",
    "queue_news",
    "What came in since",
    parameters=(*FILTER, query("after", whole(MAX_ID), "The newest item that is known; without it all are counted.")),
    replies=(Reply(200, "The numbers.", NewsOut),),
    is_for_moderators=True,
)
def news() -> ResponseReturnValue:
    state, _ = signed_in()
    newest = state.desk.store.queue.versions(default_filter(), MOST_NEW)
    after = number("after", None, MAX_ID) or 0
    whole = state.desk.store.overview()
    counted = Totals(**totals(whole.totals), changed=whole.changed)
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
    asked = (item_id(value, "item") for value in request.args.getlist("item")[:PAGE])
    numbers = [number for number in asked if number is not None]
    found = state.desk.store.queue.these(numbers)
    for_moderators()
    some = [found[number] for number in numbers if number in found]
    return protected("\n".join(cards_of(state, some, frame(state, which))))


def nothing_here(**_: str) -> ResponseReturnValue:
    """Answer 404 for every other address below ``/moderation/``: a page for browsers, a problem for programs."""
    error = NoSuchPage()
    if request.method in {"GET", "HEAD"} and request.accept_mimetypes.best == HTML:
        return refusal(error)
    return problem(error)


# --- banners --------------------------------------------------------------------------------------------


class Banner(NamedTuple):
    """A message at the top of the page. `urgent` marks those that call for action."""

    name: str
    words: str
    urgent: bool = True


def banners(state: State, whole: Overview) -> Iterator[Banner]:
    """Yield what moderators should know before they decide, without asking another server.

    The state of Akismet is the one that a worker last found.
    """
    wave = state.desk.waves.current()
    if wave is not None:
        words = say("A spam wave is under way: everything is held until it is over.")
        yield Banner("wave", f"{words} {translated(wave.reason)}", urgent=False)
    part = akismet(state, whole.notes)
    if not part.is_well:
        yield Banner("akismet", say("Akismet: {note}", note=f"{translated(part.state)}. {translated(part.advice)}"))
    for note in whole.notes:
        if note.topic != USAGE:
            yield Banner("account", about_account(note))
    if state.desk.limits.outage is not None:
        yield Banner("redis", say("Redis does not answer: rate limits hold for each process on its own."))
    lag = whole.lag(state.desk.clock.now())
    if lag > LAG and not state.worker.is_catching_up():
        yield Banner("tasks", say("Checks are behind by {time}. Is a worker running?", time=duration(lag)))
    dead = whole.given_up
    if dead:
        words = say("{n} tasks were given up. The site's operator lists them with: flask moderate tasks dead", n=dead)
        yield Banner("dead", words, urgent=False)


PROPOSALS = {
    "spam": Message("Moderators have marked {n} items with {what} as spam. Add a rule that marks such items as spam?"),
    "hold": Message("Moderators have marked {n} items with {what} as spam. Add a rule that holds such items?"),
    "trust": Message("Moderators have approved {n} pings with {what}. Add a rule that trusts such pings?"),
}


def proposal_words(stored: Mapping[str, Any], queue: str) -> dict[str, Any]:
    """Return a proposed rule in words: each status that matching items have, with their number and the list of them."""
    proposal = Proposal.of(stored)
    rule, which = proposal.rule, proposal.filter
    what = say(KINDS[rule.kind], value=rule.value)
    matched = [
        (say(status.label), number, which and asking(queue, {"status": status.value, which[0]: which[1]}))
        for status in Status
        if (number := proposal.by_status.get(status.value, 0))
    ]
    return {
        "key": proposal.key,
        "words": say(PROPOSALS[rule.effect], n=proposal.decided, what=what),
        "matched": matched,
    }


def about_account(note: AccountNote) -> str:
    return say("Akismet: {note}", note=translated(note.text))
