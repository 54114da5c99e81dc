"""Access for moderators: by a bearer token, or by a login with a CSRF token. Without either access is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import request

from moderate.errors import Forbidden, Unauthorized
from moderate.http.operation import Answer
from moderate.http.state import current_state, once_per_request
from moderate.limits import Costs
from moderate.model import Moderator

if TYPE_CHECKING:
    from flask import Request

    from moderate.http.state import State

#: Seconds: long enough for a page that was left open overnight.
CSRF_LIFETIME = 16 * 3600

#: The cookie of a session that a sign-in link began, and its lifetime in seconds.
SESSION_COOKIE = "moderate_session"
SESSION_SECONDS = 12 * 3600

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class CsrfIn(Answer):
    """Forms of a signed-in moderator carry the token of their page; requests with a bearer token need none."""

    csrf_token: str | None = None


def signed_in() -> tuple[State, Moderator]:
    """Return the app's state, and the moderator who sends this request; see `moderator`."""
    state = current_state()
    return state, moderator(state)


def moderator(state: State) -> Moderator:
    """Return the moderator who sends this request.

    Raises `Unauthorized`, or `Forbidden` for a change that another site may have sent.
    """
    return once_per_request("moderator", lambda: identify(state))


def identify(state: State) -> Moderator:
    authorization = request.headers.get("Authorization", "")
    if authorization.lower().startswith("bearer "):
        return by_token(state, authorization[7:].strip())
    return by_login(state)


def by_token(state: State, token: str) -> Moderator:
    """Return the owner of a bearer token. Raises `Unauthorized`.

    Wrong tokens are rate-limited by IP address. Valid ones are accepted even where the limit is used up:
    otherwise anyone who shares an address with a moderator could lock them out.
    """
    owner = state.desk.store.tokens.owner(token, state.desk.clock.now())
    if owner is None:
        state.desk.limits.spend(Costs("moderation", request.remote_addr or ""))
        raise Unauthorized("This token is unknown or was revoked.")
    return Moderator(owner)


def by_login(state: State) -> Moderator:
    loader = state.hooks.load_moderator
    found = loader() if loader else None
    if found is None:
        found = by_session(state)
    if found is None:
        raise Unauthorized
    if request.method not in SAFE_METHODS:
        check_same_site(request)
        check_csrf(state, found)
        state.address.trust(request)
    return found


def by_session(state: State) -> Moderator | None:
    """Return the moderator whose session the cookie carries; see `moderate.moderation.sign_in`."""
    token = session_token(state)
    owner = state.desk.store.tokens.owner(token, state.desk.clock.now()) if token else None
    return Moderator(owner) if owner else None


def session_token(state: State) -> str | None:
    """Return the token in the session's cookie, None where there is no valid one."""
    cookie = request.cookies.get(SESSION_COOKIE)
    opened = state.signer.open("session", cookie, max_age=SESSION_SECONDS) if cookie else None
    return opened[0] if opened else None


def check_csrf(state: State, who: Moderator) -> None:
    """Check that the request carries a CSRF token that was made for this moderator. Raises `Forbidden`."""
    token = request.headers.get("X-CSRF-Token") or request.form.get("csrf_token")
    opened = state.signer.open("csrf", token, max_age=CSRF_LIFETIME)
    if opened is None or opened[0] != who.name:
        raise Forbidden("The page was open for too long, or this came from elsewhere. Reload it and try again.")


def csrf_token(state: State, who: Moderator) -> str:
    return state.signer.sign("csrf", who.name)


def check_same_site(incoming: Request) -> None:
    """Raise `Forbidden` for a request that the browser marks as sent by another site (Fetch Metadata, Origin)."""
    if current_state().address.is_cross_site(incoming):
        raise Forbidden("This request came from another site.")
