"""HTML of the thread: what is cached for all visitors, what one visitor sees instead, and functions of its templates.

A host may cache what a view returns and show it to others: by Flask-Caching, a decorator, or a ``{% cache %}`` block
in a template, none of which reads ``Cache-Control``. So `moderate_thread` always renders what everybody may see,
and the visitor's own thread, with their waiting comment for example, replaces it in the response after the view has
returned.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from flask import after_this_request, current_app, request
from markupsafe import Markup, escape

from moderate.http.answers import Frame, slot
from moderate.http.language import language, say
from moderate.http.site_address import item_address
from moderate.http.state import current_request, render
from moderate.i18n import Message
from moderate.reading.thread import Pages, ThreadHtml

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from flask import Flask, Response

    from moderate.http.state import State


#: The templates of the thread's lists and of its form. HTML of a host's own templates is not cached: they may show
#: each reader something else.
THREAD_PARTS = ("thread", "_comments", "_comment", "_pings", "_ping", "_macros")
FORM_PARTS = ("_form",)

#: With these fields a browser asks whether its copy is still good, which may be a copy of the page for everybody.
CONDITIONS = ("HTTP_IF_NONE_MATCH", "HTTP_IF_MODIFIED_SINCE")

#: Set in the WSGI environment once the response is complete, but for what a streamed page still renders.
ANSWERED = "moderate.answered"

#: Set in the WSGI environment where the response shows what only its reader may see.
PERSONAL = "moderate.personal"

#: Header fields that shared caches may prefer to ``Cache-Control``: those of Fastly and Varnish, and of nginx.
FOR_CACHES = frozenset({"surrogate-control", "x-accel-expires"})


# --- cached for everybody ---------------------------------------------------------------------------


def rendered_thread(context: Mapping[str, Any], comment_pages: Pages, ping_pages: Pages) -> ThreadHtml:
    """Render the lists of a thread, with a slot for the page's own query."""
    names = ("page_query", "at_query", "reply_query")
    shown = {**context, **{name: slot("query") + context[name].removeprefix(context["page_query"]) for name in names}}
    comments, pings = Frame(rendered("_comments", shown)), Frame(rendered("_pings", shown))
    return ThreadHtml(comments, pings, comment_pages, ping_pages)


def rendered(name: str, context: Mapping[str, Any]) -> Markup:
    return Markup(render(name, **context).strip())  # noqa: S704 - our templates escape


def whole_thread(state: State, context: Mapping[str, Any]) -> Markup:
    """Return a thread with its form. What is around the lists is cached, unless it is about waiting comments."""
    if not state.templates.are_shipped(("thread",)):
        return Markup(render("thread", **context))  # noqa: S704 - the host's own template
    parts: dict[str, str] = {} if context["suffix"] else {"styles": link_of(state, "_styles", context)}
    if context["comments_open"]:
        parts |= {"scripts": link_of(state, "_scripts", context), "form": form_of(state, context)}
    if context["waiting"] or context["is_confirmed"]:
        return Markup(render("thread", parts=parts, **context))  # noqa: S704 - our template escapes
    counts, listed, links = context["counts"], context["listed"], context["links"]
    numbers = counts.comments, counts.trackbacks, *map(bool, listed.values())
    flags = context["comments_open"], context["pings_open"], bool(context["form"]["reply_to"])
    key = (language(), context["suffix"], *numbers, *flags, *links.items())
    frame = state.frames.get(key)
    if frame is None:
        lists = {name: slot(name) if html else "" for name, html in listed.items()}
        slots = {"rdf": slot("rdf"), "listed": lists, "parts": {name: slot(name) for name in parts}}
        frame = Frame(render("thread", **{**context, **slots}))
        state.frames.put(key, frame, frame.size)
    return frame.filled({"rdf": context["rdf"], **listed, **parts})


def form_of(state: State, context: Mapping[str, Any]) -> Markup:
    """Return the form; that of a page's first thread, for a stranger who answers no comment, from the cache."""
    form = context["form"]
    is_personal = form["author"] or form["reply_to"] or form["values"] or form["suffix"]
    if is_personal or not state.templates.are_shipped(FORM_PARTS):
        return Markup(render("_form", **context))  # noqa: S704 - our template escapes
    # The form contains the address of the preview, which a host may make depend on the request.
    key = "form", language(), form["preview"], bool(form["token"])
    frame = state.frames.get(key)
    if frame is None:
        slots = {"action": slot("action"), "token": slot("token") if form["token"] else ""}
        frame = Frame(render("_form", form={**form, **slots}))
        state.frames.put(key, frame, frame.size)
    return frame.filled({"action": escape(form["action"]), "token": escape(form["token"])})


def link_of(state: State, name: str, context: Mapping[str, Any]) -> Markup:
    """Return the link to the style sheet or to the script, which functions of the host may make for each request."""
    here = state.edge.here()
    if not here or current_app.url_default_functions or not state.templates.are_shipped((name,)):
        return Markup(render(name, **context))  # noqa: S704 - our template escapes
    found: Markup | None = state.frames.get((name, here))
    if found is None:
        found = Markup(render(name))  # noqa: S704 - our template escapes
        state.frames.put((name, here), found, len(found))
    return found


# --- for one visitor --------------------------------------------------------------------------------


def shown(public: Markup, own: Markup) -> Markup:
    """Return *public* for the view, and replace it with *own* in the response to this request.

    A streamed page renders after its view has returned, so that it gets *own* at once. Where a page wraps the
    thread in something other than HTML, such as JSON, it stays as everybody sees it.
    """
    if ANSWERED in request.environ:
        return own
    for name in CONDITIONS:
        request.environ.pop(name, None)

    @after_this_request
    def replace(response: Response) -> Response:
        if response.is_streamed:
            return response
        before, body = public.encode(), response.get_data()
        if before not in body:
            return response
        # A new response, as the host may keep the other one.
        made = current_app.response_class(
            body.replace(before, own.encode(), 1), response.status, list(response.headers)
        )
        made.call_on_close(response.close)
        for name in ("ETag", "Last-Modified"):
            made.headers.pop(name, None)
        request.environ[PERSONAL] = True
        keep_private(made)
        return made

    return public


def note_answer(app: Flask, response: Response, **_: object) -> None:
    """Receive Flask's signal ``request_finished``, after all of the host's ``after_request`` functions."""
    environ = current_request().environ
    environ[ANSWERED] = True
    # A streamed page has rendered nothing yet, and may contain a thread.
    may_show = response.is_streamed and response.mimetype == "text/html"
    if PERSONAL in environ or (may_show and app.extensions["moderate"].edge.is_marked(request)):
        keep_private(response)


def keep_private(response: Response) -> None:
    """Let no cache but the reader's own store a response, even if its fields allowed it (RFC 9111 section 5.2.2.7)."""
    response.cache_control.private = True
    response.cache_control.public = False
    response.cache_control.s_maxage = None
    for name in {name.lower() for name, _ in response.headers}:
        # RFC 9213: fields for the caches of one kind or operator end so.
        if name in FOR_CACHES or name.endswith("-cache-control"):
            del response.headers[name]


# --- functions of the templates, in Python because a long thread calls each of them hundreds of times ---------

MONTHS = (
    Message("January"), Message("February"), Message("March"), Message("April"), Message("May"), Message("June"),
    Message("July"), Message("August"), Message("September"), Message("October"), Message("November"),
    Message("December"),
)  # fmt: skip

TIME = Markup('<time datetime="{}">{}</time>')
LINK = Markup('<a href="{}" rel="nofollow ugc noopener"><bdi>{}</bdi></a>')
WORDS = Markup("<bdi>{}</bdi>")
TEXT = Markup('<div class="moderate-text" dir="auto">{}</div>')
#: A disclosure without content of its own: the style sheet cuts off what follows while it is closed.
FOLDED = Markup(
    '<div class="moderate-fold"><details><summary><span class="moderate-more">{}</span>'
    '<span class="moderate-less">{}</span></summary></details>{}</div>'
)

#: A text of a thread that takes more lines than this is folded.
LONG = 45

TAG = re.compile("<[^>]*>")
#: Elements and characters that take a line in cleaned HTML, or the space of one.
BREAK = re.compile(r"<p>|<br>(?!\n)|\n")
#: Letters beyond the Latin, Greek and Cyrillic ones, and those beyond the Basic Multilingual Plane.
#: The class of the former names all others, which are fewer: Python takes milliseconds to compile so many letters.
WIDE, WIDEST = re.compile(r"[^\0-\u10ff\u1200-\u1fff\U00010000-\U0010ffff]"), re.compile(r"[\U00010000-\U0010ffff]")


def moment(when: datetime) -> Markup:
    """Return a ``time`` element: for machines in UTC to the second, for people to the minute."""
    clock, month = f"{when.hour:02}:{when.minute:02}", say(MONTHS[when.month - 1])
    words = say("{day} {month} {year}, {time} UTC", day=when.day, month=month, year=when.year, time=clock)
    return TIME.format(when.strftime("%Y-%m-%dT%H:%M:%SZ"), words)


def is_web(url: str | None) -> bool:
    """Return True for a web address. Only these become links, should anything else get into the database."""
    return bool(url) and str(url).startswith(("https://", "http://"))


def outward(url: str | None, words: object) -> Markup:
    """Return an author's *words*, linked to *url* where that is a web address."""
    return LINK.format(url, words) if is_web(url) else WORDS.format(words)


def lines(html: str) -> int:
    """Estimate how many lines of 70 Latin letters *html* takes, with the space between its paragraphs.

    `WIDE` letters count twice, and `WIDEST` ones, which may be as wide as a word, four times.
    """
    words = TAG.sub("", html)
    letters = len(words)
    if not words.isascii():
        letters += len(WIDE.findall(words)) + 3 * len(WIDEST.findall(words))
    return letters // 70 + len(BREAK.findall(html))


def text(html: Markup) -> Markup:
    """Return the cleaned text of an item. A long one is folded by an element that opens without JavaScript."""
    shown = TEXT.format(html)
    return FOLDED.format(say("Show all of it"), say("Show less"), shown) if lines(html) > LONG else shown


#: The functions by their names in templates, which no host uses.
GLOBALS: dict[str, Any] = {
    "moderate_moment": moment,
    "moderate_is_web": is_web,
    "moderate_outward": outward,
    "moderate_item_address": item_address,
    "moderate_text": text,
}
