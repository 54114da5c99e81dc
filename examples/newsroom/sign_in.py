"""The paper's own sign-in: a link that works once. moderate does not know of it; it asks `current_name`."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from flask import Blueprint, Flask, abort, redirect, render_template, session, url_for

if TYPE_CHECKING:
    from flask.typing import ResponseReturnValue

blueprint = Blueprint("sign_in", __name__)


def new_link(app: Flask, name: str) -> str:
    """Return the path of a new sign-in link. It is forgotten when it has been used, and when the site stops."""
    token = secrets.token_urlsafe(24)
    links(app)[token] = name
    return f"/sign-in/{token}"


def links(app: Flask) -> dict[str, str]:
    found: dict[str, str] = app.extensions.setdefault("newsroom.links", {})
    return found


def current_name() -> str | None:
    name = session.get("moderator")
    return name if isinstance(name, str) else None


@blueprint.get("/sign-in/<token>")
def show(token: str) -> ResponseReturnValue:
    """Show only a page with a button: mail scanners that open links do not sign in."""
    name = links(this_app()).get(token)
    return render_template("sign_in.html", name=name, token=token), 200 if name else 404


@blueprint.post("/sign-in/<token>")
def enter(token: str) -> ResponseReturnValue:
    name = links(this_app()).pop(token, None) or abort(404)
    session.clear()
    session["moderator"] = name
    return redirect(url_for("moderate.queue"), 303)


@blueprint.post("/sign-out")
def leave() -> ResponseReturnValue:
    session.clear()
    return redirect(url_for("front"), 303)


def this_app() -> Flask:
    from flask import current_app

    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    return app
