"""HTML of the thread page that is cached for all visitors, and the part that one visitor sees instead.

A host may cache what a view returns and show it to others: by Flask-Caching, a decorator, or a ``{% cache %}`` block
in a template, none of which reads ``Cache-Control``. So `moderate_thread` always renders what everybody may see,
and the visitor's own thread, with their waiting comment for example, replaces it in the response after the view has
returned.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from flask import after_this_request, current_app, request
from markupsafe import Markup, escape

from moderate.http.language import language
from moderate.http.state import render
from moderate.reading.thread import QUERY, Pages, ThreadHtml

if TYPE_CHECKING:
    from collections.abc import Mapping

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
