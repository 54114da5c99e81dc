"""Links whose address carries a signed token: in mails, for confirming an e-mail address, and for signing in.

Opening such a link (GET) changes nothing, because mail scanners and previews open links too; the button on its page
(POST) acts. A link with a lifetime works once. The address is a secret, which `keep_secret` takes care of.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from flask import request

from moderate.http.operation import HTML_PAGE, Answer, Operation, Reply
from moderate.limits import Costs

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

    from moderate.http.signing import Signer
    from moderate.http.state import State

    R = TypeVar("R", bound=Response)

#: How far the clocks of two machines may differ: the use of a link is remembered for so much longer than it is valid.
CLOCK_SKEW = timedelta(minutes=1)

#: No script of another origin, no inline script, no framing: hostile text cannot run anywhere.
CSP = "; ".join(
    (
        "default-src 'none'",
        "style-src 'self'",
        "script-src 'self'",
        "connect-src 'self'",
        "img-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedLink:
    """One kind of link. *purpose* salts the signatures of its tokens; a *lifetime* of None never ends.

    *rule*, such as ``/mail/<token>``, *endpoint*, *replies* and *problems* belong to its views, and *about* describes
    the token in the OpenAPI document; see `Operation`. Tokens that are not valid are charged to the rate limit named
    *limit*, so that guessing is slow; valid ones cost nothing, so that guessing does not keep others at the same
    address out.
    """

    purpose: str
    rule: str
    endpoint: str
    about: str
    limit: str
    lifetime: timedelta | None = None
    replies: tuple[Reply, ...] = (HTML_PAGE,)
    problems: tuple[str, ...] = ("rate-limited",)
    has_problem_pages: bool = False

    def operation(self, method: Literal["GET", "POST"], summary: str, **changes: Any) -> Operation:
        """Return the declaration of a view: GET shows the page with the button, POST is the button."""
        declared: dict[str, Any] = {
            "link": self.about,
            "replies": self.replies,
            "problems": self.problems,
            "has_problem_pages": self.has_problem_pages,
        }
        return Operation(method, self.rule, self.endpoint, summary, **(declared | changes))

    def issue(self, signer: Signer, base: str, value: object) -> str:
        """Return the address of a new link that holds *value* (JSON). *base* is the address of the blueprint."""
        return base + self.rule.replace("<token>", signer.sign(self.purpose, value))

    def open(self, state: State, token: str) -> tuple[Any, float] | None:
        """Return a token's value and its age in seconds, None where it is not valid. Raises `RateLimited`."""
        found = state.signer.open(
            self.purpose, token, max_age=None if self.lifetime is None else self.lifetime.total_seconds()
        )
        if found is None:
            self.charge(state)
        return found

    def charge(self, state: State) -> None:
        """Charge the client for a token that is not valid. Raises `RateLimited`."""
        state.desk.limits.spend(Costs(self.limit, request.remote_addr or ""))

    def is_spent(self, state: State, use: str) -> bool:
        """Return whether a link was used. *use* names what it is good for: the same for all copies of one link."""
        return state.desk.store.nonces.is_used(f"{self.purpose}:{use}", state.desk.clock.now())

    def spend(self, state: State, use: str) -> bool:
        """Record the use of a link that has a lifetime. Return False where it was used before."""
        if self.lifetime is None:
            return True
        now = state.desk.clock.now()
        return state.desk.store.nonces.use_once(f"{self.purpose}:{use}", now + self.lifetime + CLOCK_SKEW, now)


#: The form on the page of an unsubscribe link.
class AgainIn(Answer):
    again: Literal["1"] | None = None


def unsubscribe(state: State, mailbox: str) -> bool:
    """Do what a request to an unsubscribe link asks for (RFC 8058). Return whether the mailbox gets no more mails.

    ``again=1`` in the form undoes it.
    """
    is_out = request.form.get("again") != "1"
    state.desk.store.mailboxes.unsubscribe(mailbox, state.desk.clock.now() if is_out else None)
    return is_out


def keep_secret(response: R) -> R:
    """Set the header fields that keep the address of a page out of caches, search engines, frames and referrers."""
    response.headers["Cache-Control"] = "no-store"
    response.headers["Content-Security-Policy"] = CSP
    response.headers["X-Frame-Options"] = "DENY"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["X-Robots-Tag"] = "noindex"
    return response
