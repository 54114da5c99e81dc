"""Show one reader what only they may see, such as their own waiting comment, on a page that may be cached.

What a view returns may be kept by the host and shown to others: by Flask-Caching, a decorator, or a ``{% cache %}``
block in a template, none of which looks at ``Cache-Control``. So `moderate_thread` always renders what everybody
may see, and the reader's own thread takes its place in the response, after the view has returned.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import after_this_request, current_app, request

if TYPE_CHECKING:
    from flask import Response

#: With these a browser asks whether its copy is still good, which may be one of the page that everybody sees.
CONDITIONS = ("HTTP_IF_NONE_MATCH", "HTTP_IF_MODIFIED_SINCE")


def show_instead(public: str, own: str) -> None:
    """Replace *public* by *own* in the response to this request.

    Where the page is streamed, or wrapped in something other than HTML, it stays as everybody sees it.
    """
    for name in CONDITIONS:
        request.environ.pop(name, None)

    @after_this_request
    def replace(response: Response) -> Response:
        before = public.encode()
        if response.is_streamed or before not in response.get_data():
            return response
        # A new response, as the host may keep the other one.
        made = current_app.response_class(
            response.get_data().replace(before, own.encode(), 1), response.status, list(response.headers)
        )
        made.call_on_close(response.close)
        for name in ("ETag", "Last-Modified"):
            made.headers.pop(name, None)
        made.cache_control.private = True
        made.cache_control.public = False
        return made
