"""What a protocol is: one way in, told in its own tongue.

A protocol reads a request into a `Raw` and writes the answer; what happens between the two is the
same for all (`moderate.submit.desk.submit`). It keeps no state, and asks the site only through `Edge`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from moderate.model import Client

if TYPE_CHECKING:
    from flask import Request
    from flask.typing import ResponseReturnValue
    from werkzeug.wrappers import Response

    from moderate.errors import Refused, ServiceDown
    from moderate.model import Article, Author, Item, Raw, Receipt


class Edge(Protocol):
    """What a protocol may ask of the site that it serves."""

    @property
    def max_length(self) -> int:
        """The longest text that is accepted, in characters."""

    @property
    def honeypot(self) -> str:
        """The name of the field that people do not see; empty where there is none."""

    def author(self, request: Request) -> Author | None:
        """Whom the host vouches for. Raises `Forbidden` where another site's page sent the request."""

    def confirmed_id(self, request: Request, email: str) -> str | None:
        """The identity that goes with the typed address, where the browser has confirmed that one; None elsewhere."""

    def form_age(self, token: str | None, article: str) -> tuple[float | None, str | None]:
        """Return the age in seconds of a form token and what tells it from others; Nones where it is not valid."""

    def sender_key(self, request: Request, *parts: str) -> str:
        """Return an idempotency key made of *parts* that no other client's request can have."""

    def article(self, key: str) -> Article | None: ...

    def item_json(self, item: Item, *, for_author: bool = False) -> dict[str, object]: ...

    def item_url(self, item: Item) -> str: ...

    def edit_token(self, item: Item) -> str: ...

    def landing(self, request: Request, receipt: Receipt) -> str:
        """Return the address on which the sender sees the item, or that it waits, also without cookies."""

    def remember_own(self, request: Request, response: Response, item: Item) -> None:
        """Let the sender's browser see the item while it is pending; not where another site's page has sent it."""

    def problem(self, error: Refused | ServiceDown) -> Response:
        """The error as application/problem+json (RFC 9457)."""

    def form_page(self, article: str, typed: dict[str, str], error: Refused | ServiceDown) -> Response:
        """The comment form with what was typed and the words beside the fields."""

    def render(self, name: str, /, **values: object) -> str:
        """Render the template ``moderate/NAME.html``."""

    def status_url(self, receipt: Receipt) -> str:
        """Where the sender of a webmention may look up what became of it."""

    def absolute_url(self, endpoint: str, **values: object) -> str: ...


class InboundProtocol(Protocol):
    """One way in. `rule` is the path below the prefix; `limit` names its row of MODERATE_LIMITS."""

    @property
    def name(self) -> str: ...

    @property
    def rule(self) -> str: ...

    @property
    def limit(self) -> str: ...

    def max_body(self, edge: Edge) -> int:
        """How many bytes of body are read at most."""

    def read(self, request: Request, article: str | None, edge: Edge) -> Raw:
        """Read the request. Raises `Refused` for what cannot be read."""

    def answer(self, request: Request, receipt: Receipt, edge: Edge) -> ResponseReturnValue: ...

    def refuse(
        self, request: Request, article: str | None, error: Refused | ServiceDown, edge: Edge
    ) -> ResponseReturnValue: ...


def client_of(request: Request) -> Client:
    """Where the request came from. Proxies are the host's `ProxyFix`; headers of strangers are not asked."""
    return Client(
        ip=request.remote_addr or "",
        user_agent=request.headers.get("User-Agent", "")[:500],
        referrer=request.headers.get("Referer", "")[:2000],
    )
