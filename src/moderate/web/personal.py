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


def note_answer(_app: Flask, **_: object) -> None:
    """Receive Flask's signal ``request_finished``."""
    request.environ[ANSWERED] = True


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
        made.cache_control.private = True
        made.cache_control.public = False
        return made

    return public
