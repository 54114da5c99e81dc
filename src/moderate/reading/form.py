"""The comment form of article pages as HTML, kept from reader to reader: only its token and its address change."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

from moderate.http.rendering import render
from moderate.http.words import language

if TYPE_CHECKING:
    from collections.abc import Mapping

    from moderate.http.state import State

#: Stand for what each form has of its own. Nobody learns them, so that nothing else on the page can be them.
ACTION, TOKEN = secrets.token_hex(16), secrets.token_hex(16)

#: What the form is made of. A site's own template may show each reader something else.
PARTS = ("_form", "_macros")


def kept_form(state: State, form: Mapping[str, Any]) -> Markup | None:
    """Return the form of the page's first thread for a stranger who answers nobody, None for all other forms."""
    if form["author"] or form["reply_to"] or form["values"] or form["suffix"] or not state.templates.are_shipped(PARTS):
        return None
    # The form names the address of the preview, which a host may let depend on the request.
    key = language(), form["preview"], bool(form["token"])
    found = state.forms.get(key)
    if found is None:
        places = {"action": ACTION, "token": TOKEN if form["token"] else ""}
        made = render("_form", form={**form, **places})
        found = Markup(made)  # noqa: S704 - our template escapes
        state.forms.put(key, found, len(found))
    return found.replace(ACTION, escape(form["action"])).replace(TOKEN, escape(form["token"]))
