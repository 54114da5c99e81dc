"""A way in for sites without a login of their own: a link that works once, and a session that ends.

``flask moderate token link NAME`` makes the link. Looking at it changes nothing, for programs look at
links ahead of people; the button on its page signs in. The session is a token of its own in the
database, so that it can be revoked by name or id like any other; the cookie only carries it.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta
from typing import TYPE_CHECKING

from flask import redirect, request, url_for

from moderate.errors import Forbidden, Refused, ServiceDown
from moderate.http.errors import headers_of, public_text, status_of
from moderate.http.operation import FORM, HTML, HTML_PAGE, Operation, Reply
from moderate.http.state import current_state
from moderate.limits import Costs
from moderate.moderation.access import (
    SESSION_COOKIE,
    SESSION_SECONDS,
    CsrfIn,
    check_same_site,
    moderator,
    session_token,
)
from moderate.moderation.queue import page

if TYPE_CHECKING:
    from flask.typing import ResponseReturnValue
    from werkzeug.wrappers import Response as AnyResponse

    from moderate.http.state import State

TO_QUEUE = Reply(303, "To the queue.", types=(HTML,), headers=("Location",))

#: Seconds for which a link is good.
LINK_SECONDS = 600

#: Under which it is kept when the links of a moderator were last revoked.
REVOKED = "revoked:"

#: Tells, beside the hidden field of the form, whether the browser keeps cookies.
PROBE_COOKIE = "moderate_probe"

NO_COOKIES = "This browser keeps no cookies for this site. Allow them and open the link again: it still works."
SPENT = "This link has been used already, or is older than ten minutes."


def new_link(state: State, name: str) -> str:
    """Return the address of a fresh sign-in link; without MODERATE_SITE_URL it is a path below the site's own."""
    token = state.signer.sign("sign-in", [name, secrets.token_urlsafe(12)])
    return f"{state.address.base()}/moderation/sign-in/{token}"


def revoke_links(state: State, name: str) -> None:
    """Links made for that moderator up to now sign nobody in any more."""
    state.desk.store.states.keep(mark(name), {}, state.desk.clock.now())


def mark(name: str) -> str:
    return REVOKED + hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:20]


@Operation(
    "GET",
    "/moderation/sign-in/<token>",
    "sign_in",
    "The page of a sign-in link, with its button",
    link="As `flask moderate token link` has made it.",
    replies=(HTML_PAGE,),
    problems=("forbidden", "rate-limited"),
    has_problem_pages=True,
)
def show(token: str) -> ResponseReturnValue:
    """``GET /moderation/sign-in/<token>``: only a page with a button."""
    state = current_state()
    try:
        name, nonce, _ = opened(state, token)
        if state.desk.store.nonces.is_used(f"sign-in:{nonce}", state.desk.clock.now()):
            raise Forbidden(SPENT)
        return with_button(name, 200)
    except (Refused, ServiceDown) as error:
        return refused(error)


@Operation(
    "POST",
    "/moderation/sign-in/<token>",
    "sign_in",
    "Use the link up and begin a session",
    link="As `flask moderate token link` has made it.",
    replies=(TO_QUEUE,),
    problems=("forbidden", "rate-limited"),
    has_problem_pages=True,
)
def enter(token: str) -> ResponseReturnValue:
    """``POST /moderation/sign-in/<token>``: uses the link up, begins a session, and on to the queue."""
    state = current_state()
    try:
        check_same_site(request)
        if "probe" in request.form and PROBE_COOKIE not in request.cookies:
            return with_button(opened(state, token)[0], 403, NO_COOKIES)
        name = use_up(state, token)
        now = state.desk.clock.now()
        made = state.desk.store.tokens.create(name, now, expires_at=now + timedelta(seconds=SESSION_SECONDS))
    except (Refused, ServiceDown) as error:
        return refused(error)
    response = unseen(redirect(url_for("moderate.queue"), 303))
    keep_cookie(response, SESSION_COOKIE, state.signer.sign("session", made), SESSION_SECONDS)
    return response


def with_button(name: str, status: int, message: str = "") -> AnyResponse:
    """Return the page whose button signs in, with a cookie like the session's to see whether the browser keeps it."""
    response = unseen(page("sign_in_link", status, name=name, message=message))
    keep_cookie(response, PROBE_COOKIE, "1", LINK_SECONDS)
    return response


def keep_cookie(response: AnyResponse, name: str, value: str, seconds: int) -> None:
    """Set a cookie for the moderators' pages."""
    path = url_for("moderate.queue")
    response.set_cookie(
        name, value, max_age=seconds, path=path, httponly=True, samesite="Lax", secure=request.is_secure
    )


@Operation(
    "POST",
    "/moderation/sign-out",
    "sign_out",
    "End a session that a link began",
    body={FORM: CsrfIn},
    is_body_required=False,
    replies=(TO_QUEUE,),
    has_problem_pages=True,
    is_for_moderators=True,
)
def leave() -> ResponseReturnValue:
    """``POST /moderation/sign-out``: ends this session; the host's own login is the host's to end."""
    state = current_state()
    moderator(state)
    token = session_token(state)
    if token is not None:
        state.desk.store.tokens.revoke(token.split("_")[1], state.desk.clock.now())
    queue = url_for("moderate.queue")
    response = unseen(redirect(queue, 303))
    response.delete_cookie(SESSION_COOKIE, path=queue, httponly=True, samesite="Lax", secure=request.is_secure)
    return response


def use_up(state: State, token: str) -> str:
    """The moderator's name, once for each link. Raises `Forbidden` after that."""
    name, nonce, age = opened(state, token)
    now = state.desk.clock.now()
    expires_at = now + timedelta(seconds=LINK_SECONDS - age + 60)
    if not state.desk.store.nonces.use_once(f"sign-in:{nonce}", expires_at, now):
        state.desk.limits.spend(attempt())
        raise Forbidden(SPENT)
    return name


def opened(state: State, token: str) -> tuple[str, str, float]:
    """Name, nonce and age of a link of ours. Only what is wrong costs, so that nobody keeps others out."""
    found = state.signer.open("sign-in", token, max_age=LINK_SECONDS)
    if found is None:
        state.desk.limits.spend(attempt())
        raise Forbidden(SPENT)
    (name, nonce), age = found
    revoked = state.desk.store.states.get(mark(name))
    if revoked is not None and revoked.at.timestamp() > state.desk.clock.now().timestamp() - age:
        raise Forbidden(SPENT)
    return name, nonce, age


def attempt() -> Costs:
    return Costs("moderation", request.remote_addr or "")


def refused(error: Refused | ServiceDown) -> AnyResponse:
    response = page("sign_in_link", status_of(error), name=None, message=public_text(error))
    response.headers.update(headers_of(error))
    return unseen(response)


def unseen(response: AnyResponse) -> AnyResponse:
    """The address of this page is a secret: nobody keeps it, and no other site is told of it."""
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response
