"""HTML of the thread: what is cached for all visitors, what one visitor sees instead, and functions of its templates.

A host may cache what a view returns and show it to others: by Flask-Caching, a decorator, or a ``{% cache %}`` block
in a template, none of which reads ``Cache-Control``. So `moderate_thread` always renders what everybody may see,
and the visitor's own thread, with their waiting comment for example, replaces it in the response after the view has
returned.
"""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING, Any

from flask import after_this_request, current_app, request
from markupsafe import Markup, escape

from moderate.http.language import language, say
from moderate.http.site_address import item_address
from moderate.http.state import render
from moderate.i18n import Message
from moderate.reading.thread import QUERY, Pages, ThreadHtml

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from flask import Flask, Response

    from moderate.http.state import State


#: The templates of the thread's lists and of its form. HTML of a host's own templates is not cached: they may show
#: each reader something else.
THREAD_PARTS = ("thread", "_comments", "_comment", "_pings", "_ping", "_macros")
FORM_PARTS = ("_form", "_macros")

#: Placeholders of the action and the token in cached forms. They are secret, so that nothing else on the page is equal.
ACTION, TOKEN = secrets.token_hex(16), secrets.token_hex(16)

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
    """Render the lists of a thread, with `QUERY` in the place of the page's own query."""
    names = ("page_query", "at_query", "reply_query")
    shown = {**context, **{name: context[name].replace(context["page_query"], QUERY, 1) for name in names}}
    return ThreadHtml(rendered("_comments", shown), rendered("_pings", shown), comment_pages, ping_pages)


def rendered(name: str, context: Mapping[str, Any]) -> Markup:
    return Markup(render(name, **context).strip())  # noqa: S704 - our templates escape


def cached_form(state: State, form: Mapping[str, Any]) -> Markup | None:
    """Return the form of the page's first thread for a stranger who answers no comment, None for all other forms."""
    is_personal = form["author"] or form["reply_to"] or form["values"] or form["suffix"]
    if is_personal or not state.templates.are_shipped(FORM_PARTS):
        return None
    # The form contains the address of the preview, which a host may make depend on the request.
    key = language(), form["preview"], bool(form["token"])
    found = state.forms.get(key)
    if found is None:
        placeholders = {"action": ACTION, "token": TOKEN if form["token"] else ""}
        made = render("_form", form={**form, **placeholders})
        found = Markup(made)  # noqa: S704 - our template escapes
        state.forms.put(key, found, len(found))
    return found.replace(ACTION, escape(form["action"])).replace(TOKEN, escape(form["token"]))


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
    request.environ[ANSWERED] = True
    # A streamed page has rendered nothing yet, and may contain a thread.
    may_show = response.is_streamed and response.mimetype == "text/html"
    if PERSONAL in request.environ or (may_show and app.extensions["moderate"].edge.is_marked(request)):
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
WIDE, WIDEST = re.compile(r"[\u1100-\u11ff\u2000-\uffff]"), re.compile(r"[\U00010000-\U0010ffff]")


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
