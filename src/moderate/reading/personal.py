"""Show one reader what only they may see, such as their own waiting comment, on a page that may be cached.

What a view returns may be kept by the host and shown to others: by Flask-Caching, a decorator, or a ``{% cache %}``
block in a template, none of which looks at ``Cache-Control``. So `moderate_thread` always renders what everybody
may see, and the reader's own thread takes its place in the response, after the view has returned.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import after_this_request, current_app, request

if TYPE_CHECKING:
    from flask import Flask, Response
    from markupsafe import Markup

#: With these a browser asks whether its copy is still good, which may be one of the page that everybody sees.
CONDITIONS = ("HTTP_IF_NONE_MATCH", "HTTP_IF_MODIFIED_SINCE")

#: Set in the WSGI environment once the response is complete, but for what a streamed page still renders.
ANSWERED = "moderate.answered"

#: Set in the WSGI environment where the response shows what only its reader may see.
PERSONAL = "moderate.personal"

#: Header fields that caches on the way may put above ``Cache-Control``: those of Fastly and Varnish, and of nginx.
FOR_CACHES = frozenset({"surrogate-control", "x-accel-expires"})


def note_answer(app: Flask, response: Response, **_: object) -> None:
    """Receive Flask's signal ``request_finished``, after all of the host's ``after_request`` functions."""
    request.environ[ANSWERED] = True
    # A streamed page has rendered nothing yet, and may hold a thread.
    may_show = response.is_streamed and response.mimetype == "text/html"
    if PERSONAL in request.environ or (may_show and app.extensions["moderate"].edge.is_marked(request)):
        keep_private(response)


def keep_private(response: Response) -> None:
    """Let no cache but the reader's own keep a response, whatever its fields said (RFC 9111 section 5.2.2.7)."""
    response.cache_control.private = True
    response.cache_control.public = False
    response.cache_control.s_maxage = None
    for name in {name.lower() for name, _ in response.headers}:
        # RFC 9213: fields for the caches of one kind or operator end so.
        if name in FOR_CACHES or name.endswith("-cache-control"):
            del response.headers[name]


def shown(public: Markup, own: Markup) -> Markup:
    """Return *public* for the view, and let *own* take its place in the response to this request.

    A streamed page renders after its view has returned, so that it shows *own* at once. Where a page wraps the
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
