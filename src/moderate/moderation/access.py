"""Who may moderate: a bearer token, or the host's own login with a CSRF token. No default lets anyone in."""

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

#: A page that was left open over a night still works the next morning.
CSRF_LIFETIME = 16 * 3600

#: The cookie of those who signed in by a link of ours, and for how long it is good.
SESSION_COOKIE = "moderate_session"
SESSION_SECONDS = 12 * 3600

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class CsrfIn(Answer):
    """Forms of a signed-in moderator carry the token of their page; requests with a bearer token need none."""

    csrf_token: str | None = None


def moderator(state: State) -> Moderator:
    """Return who sends this request.

    Raises `Unauthorized`, or `Forbidden` for a change that another site may have sent.
    """
    return once_per_request("moderator", lambda: identify(state))


def identify(state: State) -> Moderator:
    authorization = request.headers.get("Authorization", "")
    if authorization.lower().startswith("bearer "):
        return by_token(state, authorization[7:].strip())
    return by_login(state)


def by_token(state: State, token: str) -> Moderator:
    """A token is looked up by its id and compared in constant time.

    Guessing is limited by address; a token that is right is taken all the same, or whoever shares
    an address with a moderator could keep them out.
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
    """Who signed in by a link of ours; see `moderate.moderation.sign_in`."""
    token = session_token(state)
    owner = state.desk.store.tokens.owner(token, state.desk.clock.now()) if token else None
    return Moderator(owner) if owner else None


def session_token(state: State) -> str | None:
    """The token in the session's cookie, None where there is no session of ours or it has ended."""
    cookie = request.cookies.get(SESSION_COOKIE)
    opened = state.signer.open("session", cookie, max_age=SESSION_SECONDS) if cookie else None
    return opened[0] if opened else None


def check_csrf(state: State, who: Moderator) -> None:
    """The token was made for this moderator: only a page of ours, read by them, can have it."""
    token = request.headers.get("X-CSRF-Token") or request.form.get("csrf_token")
    opened = state.signer.open("csrf", token, max_age=CSRF_LIFETIME)
    if opened is None or opened[0] != who.name:
        raise Forbidden("The page was open for too long, or this came from elsewhere. Reload it and try again.")


def csrf_token(state: State, who: Moderator) -> str:
    return state.signer.sign("csrf", who.name)


def check_same_site(incoming: Request) -> None:
    """Refuse what a browser itself says another site has sent (Fetch Metadata, Origin). Raises `Forbidden`."""
    if current_state().address.is_cross_site(incoming):
        raise Forbidden("This request came from another site.")
