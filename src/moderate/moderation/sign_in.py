"""Sign-in for sites without a login of their own: a link that works once, and a session that ends.

``flask moderate token link NAME`` makes the link. The session is a token of its own in the database, so that it can be
revoked by name or id like any other; the cookie only carries it.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta
from typing import TYPE_CHECKING

from flask import redirect, request, url_for

from moderate.errors import Forbidden, Refused, ServiceDown
from moderate.http.answers import headers_of, public_text, status_of
from moderate.http.operation import FORM, HTML, Operation, Reply
from moderate.http.signing import SignedLink, keep_secret
from moderate.http.state import current_state
from moderate.i18n import Message
from moderate.moderation.access import (
    SESSION_COOKIE,
    SESSION_SECONDS,
    CsrfIn,
    check_same_site,
    session_token,
    signed_in,
)
from moderate.moderation.queue import page

if TYPE_CHECKING:
    from flask.typing import ResponseReturnValue
    from werkzeug.wrappers import Response as AnyResponse

    from moderate.http.state import State

TO_QUEUE = Reply(303, "To the queue.", types=(HTML,), headers=("Location",))

#: How long a link is good for, in seconds.
LINK_SECONDS = 600

SIGN_IN = SignedLink(
    purpose="sign-in",
    rule="/moderation/sign-in/<token>",
    endpoint="sign_in",
    about="As `flask moderate token link` has made it.",
    limit="moderation",
    lifetime=timedelta(seconds=LINK_SECONDS),
    problems=("forbidden", "rate-limited"),
    has_problem_pages=True,
)

#: Shows, together with the hidden field of the form, whether the browser keeps cookies.
PROBE_COOKIE = "moderate_probe"

NO_COOKIES = Message("This browser keeps no cookies for this site. Allow them and open the link again: it still works.")
SPENT = Message("This link has been used already, or is older than ten minutes.")


def new_link(state: State, name: str) -> str:
    """Return the address of a new sign-in link; without MODERATE_SITE_URL it is a path below the site's own."""
    return SIGN_IN.issue(state.signer, state.address.base(), [name, secrets.token_urlsafe(12)])


def revoke_links(state: State, name: str) -> None:
    """Make all links invalid that were made for this moderator until now."""
    state.desk.store.states.keep(revoked_key(name), {}, state.desk.clock.now())


def revoked_key(name: str) -> str:
    """Return the key of the state that holds when the links of a moderator were last revoked."""
    return "revoked:" + hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:20]


@SIGN_IN.operation("GET", "The page of a sign-in link, with its button")
def show_sign_in(token: str) -> ResponseReturnValue:
    state = current_state()
    try:
        name, nonce = opened(state, token)
        if SIGN_IN.is_spent(state.desk, nonce):
            raise Forbidden(SPENT)
        return with_button(name, 200)
    except (Refused, ServiceDown) as error:
        return refused(error)


@SIGN_IN.operation("POST", "Use the link up and begin a session", replies=(TO_QUEUE,))
def sign_in(token: str) -> ResponseReturnValue:
    state = current_state()
    try:
        check_same_site(request)
        if "probe" in request.form and PROBE_COOKIE not in request.cookies:
            return with_button(opened(state, token)[0], 403, NO_COOKIES)
        name, nonce = opened(state, token)
        if not SIGN_IN.spend(state.desk, nonce):
            SIGN_IN.charge(state.desk)
            raise Forbidden(SPENT)
        now = state.desk.clock.now()
        made = state.desk.store.tokens.create(name, now, expires_at=now + timedelta(seconds=SESSION_SECONDS))
    except (Refused, ServiceDown) as error:
        return refused(error)
    response = keep_secret(redirect(url_for("moderate.queue"), 303))
    keep_cookie(response, SESSION_COOKIE, state.signer.sign("session", made), SESSION_SECONDS)
    return response


def with_button(name: str, status: int, message: str = "") -> AnyResponse:
    """Return the page whose button signs in, with a cookie like the session's to see whether the browser keeps it."""
    response = keep_secret(page("sign_in_link", status, name=name, message=message))
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
def sign_out() -> ResponseReturnValue:
    """End the session of a sign-in link; the host's own login is left to the host."""
    state, _ = signed_in()
    token = session_token(state)
    if token is not None:
        state.desk.store.tokens.revoke(token.split("_")[1], state.desk.clock.now())
    queue = url_for("moderate.queue")
    response = keep_secret(redirect(queue, 303))
    response.delete_cookie(SESSION_COOKIE, path=queue, httponly=True, samesite="Lax", secure=request.is_secure)
    return response


def opened(state: State, token: str) -> tuple[str, str]:
    """Return the name and the nonce in a token. Raises `Forbidden` where it is not valid, or `RateLimited`."""
    found = SIGN_IN.open(state.signer, state.desk, token)
    if found is None:
        raise Forbidden(SPENT)
    (name, nonce), age = found
    revoked = state.desk.store.states.get(revoked_key(name))
    if revoked is not None and revoked.at.timestamp() > state.desk.clock.now().timestamp() - age:
        raise Forbidden(SPENT)
    return name, nonce


def refused(error: Refused | ServiceDown) -> AnyResponse:
    response = page("sign_in_link", status_of(error), name=None, message=public_text(error))
    response.headers.update(headers_of(error))
    return keep_secret(response)
