"""Access for moderators: bearer tokens, the host's login, sign-in links and their sessions; the frame of all pages.

A change by login carries a CSRF token. For sites without a login of their own, ``flask moderate token link NAME`` makes
a link that works once and begins a session. The session is a token of its own in the database, so that it can be
revoked by name or id like any other; the cookie only carries it.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta
from functools import wraps
from typing import TYPE_CHECKING, Any

from flask import Response, redirect, request, url_for

from moderate.errors import Forbidden, Refused, ServiceDown, Unauthorized
from moderate.http.answers import headers_of, public_text, status_of
from moderate.http.language import for_moderators
from moderate.http.operation import FORM, HTML, JSON, Answer, Operation, Reply
from moderate.http.signing import CSP, SignedLink, keep_secret
from moderate.http.state import current_request, current_state, once_per_request, render
from moderate.i18n import Message
from moderate.limits.spending import Costs
from moderate.model import Moderator
from moderate.reading.fragments import lines
from moderate.text.links import destinations

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Request
    from flask.typing import ResponseReturnValue
    from werkzeug.wrappers import Response as AnyResponse

    from moderate.http.operation import View
    from moderate.http.state import State

#: Seconds: long enough for a page that was left open overnight.
CSRF_LIFETIME = 16 * 3600

#: The cookie of a session that a sign-in link began, and its lifetime in seconds.
SESSION_COOKIE = "moderate_session"
SESSION_SECONDS = 12 * 3600

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

#: A text on a card that takes more lines than this is folded; see `moderate.reading.fragments.lines`.
LONG = 11


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
    return once_per_request(identify, state)


def identify(state: State) -> Moderator:
    incoming = current_request()
    authorization = incoming.environ.get("HTTP_AUTHORIZATION", "")
    if authorization.lower().startswith("bearer "):
        return by_token(state, authorization[7:].strip())
    return by_login(state, incoming)


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


def by_login(state: State, incoming: Request) -> Moderator:
    """Return the moderator whom the host's login names, or whose session, which a sign-in link began, is valid."""
    found = state.edge.hooks.load_moderator()
    if found is None:
        token = session_token(state)
        owner = state.desk.store.tokens.owner(token, state.desk.clock.now()) if token else None
        if owner is None:
            raise Unauthorized
        found = Moderator(owner)
    if incoming.method not in SAFE_METHODS:
        check_same_site(state, incoming)
        check_csrf(state, incoming, found)
        state.address.trust(incoming)
    return found


def session_token(state: State) -> str | None:
    """Return the token in the session's cookie, None where there is no valid one."""
    cookie = request.cookies.get(SESSION_COOKIE)
    opened = state.signer.open("session", cookie, max_age=SESSION_SECONDS) if cookie else None
    return opened[0] if opened else None


def check_csrf(state: State, incoming: Request, who: Moderator) -> None:
    """Check that the request carries a CSRF token that was made for this moderator. Raises `Forbidden`."""
    token = incoming.environ.get("HTTP_X_CSRF_TOKEN") or incoming.form.get("csrf_token")
    opened = state.signer.open("csrf", token, max_age=CSRF_LIFETIME)
    if opened is None or opened[0] != who.name:
        raise Forbidden("The page was open for too long, or this came from elsewhere. Reload it and try again.")


def csrf_token(state: State, who: Moderator) -> str:
    return state.signer.sign("csrf", who.name)


def check_same_site(state: State, incoming: Request) -> None:
    """Raise `Forbidden` for a request that the browser marks as sent by another site (Fetch Metadata, Origin)."""
    if state.address.is_cross_site(incoming):
        raise Forbidden("This request came from another site.")


# --- pages ----------------------------------------------------------------------------------------


def page(template: str, status: int, **context: Any) -> Response:
    """Render one of the moderators' pages, with headers against caching, framing and foreign scripts."""
    for_moderators()
    return protected(render(template, destinations=destinations, is_long=is_long, **context), status)


def protected(html: str, status: int = 200) -> Response:
    """Return HTML for a moderator with the headers of `page`."""
    response = Response(html, status)
    response.headers["Cache-Control"] = "no-store"
    response.headers["Content-Security-Policy"] = CSP
    response.headers["X-Frame-Options"] = "DENY"
    response.headers["Referrer-Policy"] = "same-origin"
    response.vary.add("Accept-Language")
    return response


def is_long(html: str) -> bool:
    """Return whether a text in HTML takes more than `LONG` lines on a phone."""
    return lines(html) > LONG


def refusal(error: Refused | ServiceDown) -> Response:
    """Return the page that says what was wrong, or how to sign in."""
    if not isinstance(error, Unauthorized):
        return page("refused", status_of(error), error=error, message=public_text(error))
    state, home = current_state(), f"{request.script_root}/"
    return page(
        "sign_in",
        status_of(error),
        message=public_text(error),
        has_login=state.edge.hooks.has("moderator_loader"),
        home=state.address.absolute(home, request) if state.settings.site_url else home,
    )


def answers_pages(refuse: Callable[[Refused | ServiceDown], AnyResponse] = refusal) -> Callable[[View], View]:
    """Answer what a view refuses with the page that *refuse* returns; a client that prefers JSON gets a problem."""

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(**values: object) -> ResponseReturnValue:
            try:
                return view(**values)
            except (Refused, ServiceDown) as error:
                accept = request.accept_mimetypes
                if accept.quality(JSON) > accept.quality(HTML):
                    raise
                current_state().report(error)
                response = refuse(error)
                response.headers.update(headers_of(error))
                return response

        return guarded

    return decorate


# --- sign-in links --------------------------------------------------------------------------------

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


def link_refusal(error: Refused | ServiceDown) -> AnyResponse:
    """Return the page of a link that cannot be used."""
    return keep_secret(page("sign_in_link", status_of(error), name=None, message=public_text(error)))


@SIGN_IN.operation("GET", "The page of a sign-in link, with its button")
@answers_pages(link_refusal)
def show_sign_in(token: str) -> ResponseReturnValue:
    state = current_state()
    name, nonce = opened(state, token)
    if SIGN_IN.is_spent(state.desk, nonce):
        raise Forbidden(SPENT)
    return with_button(name, 200)


@SIGN_IN.operation("POST", "Use the link up and begin a session", replies=(TO_QUEUE,))
@answers_pages(link_refusal)
def sign_in(token: str) -> ResponseReturnValue:
    state = current_state()
    check_same_site(state, current_request())
    name, nonce = opened(state, token)
    if "probe" in request.form and PROBE_COOKIE not in request.cookies:
        return with_button(name, 403, NO_COOKIES)
    if not SIGN_IN.spend(state.desk, nonce):
        SIGN_IN.charge(state.desk)
        raise Forbidden(SPENT)
    now = state.desk.clock.now()
    made = state.desk.store.tokens.create(name, now, expires_at=now + timedelta(seconds=SESSION_SECONDS))
    response = keep_secret(redirect(url_for("moderate.queue"), 303))
    keep_cookie(response, SESSION_COOKIE, state.signer.sign("session", made), SESSION_SECONDS)
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
@answers_pages()
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
