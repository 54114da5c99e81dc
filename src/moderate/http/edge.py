"""The site as its protocols and pages see it: the host's hooks, form tokens, cookies, and the comment form."""

from __future__ import annotations

import hmac
import inspect
import json
import logging
import secrets
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, TypeVar, cast

from flask import Flask, Response, current_app, request, url_for
from markupsafe import escape
from werkzeug.exceptions import Gone, NotFound
from werkzeug.http import dump_cookie
from werkzeug.urls import iri_to_uri

from moderate.errors import Forbidden, HookError, Invalid, RateLimited, ServiceDown
from moderate.hooks import Article, Author, id_of_login, type_name
from moderate.http.answers import Frame, headers_of, problem, public_text, see_other, slot, status_of
from moderate.http.item_json import public_item
from moderate.http.site_address import SENT, item_address
from moderate.i18n import Message
from moderate.limits.spending import client_net, key_of
from moderate.lru import LRUCache
from moderate.model import PINGS, Kind, Moderator, Status, whole_number
from moderate.text.clean import email as clean_email

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flask import Request
    from werkzeug.routing import MapAdapter
    from werkzeug.wrappers import Response as AnyResponse

    from moderate.errors import Refused
    from moderate.http.answers import Templates
    from moderate.http.signing import Signer
    from moderate.http.site_address import SiteAddress
    from moderate.model import Item, Receipt
    from moderate.submit.desk import Desk

A = TypeVar("A", Article, Author, Moderator)

log = logging.getLogger("moderate")

#: The cookie that shows people their own comments while these are pending.
OWN_COOKIE = "moderate_own"
OWN_ITEMS = 30
OWN_SECONDS = 30 * 24 * 3600

#: Seconds for which the address that `SiteEdge.redirect` leads to shows its sender a pending comment without a cookie.
SENT_SECONDS = 10 * 60

#: The cookie of a browser in which an e-mail address was confirmed; it holds a keyed hash of the address.
CONFIRMED_COOKIE = "moderate_confirmed"
CONFIRMED_SECONDS = 180 * 24 * 3600

#: Words for a form whose parent cannot be answered. The form is shown again without the parent.
PARENT_GONE = Message("The comment that you answered is not there any more.")
WITHOUT_PARENT = Message("What you wrote is still here. You can send it as a comment on the article.")

#: The templates of the page of a refused form.
PAGE_PARTS = ("form_page", "_form", "_styles", "_scripts")

#: The fields of the form that its template shows as they were typed.
TYPED = ("author", "email", "url", "text", "parent")

#: What else of the form differs between requests.
FORM_TEXTS = ("action", "preview", "token", "message")

HTML_UTF8 = "text/html; charset=utf-8"

#: Pings in a list for software.
LISTED_PINGS = 200

#: A form may stay open in a tab for days; older tokens count as missing.
FORM_SECONDS = 7 * 24 * 3600


class Hooks:
    """The functions that a host has registered by their names, in `functions`.

    Without one, None is returned; only the article loader is required.

    They may be registered after the app was built. A function for articles may abort with 404 or 410, as
    ``get_or_404`` of Flask-SQLAlchemy does, instead of returning None. Other exceptions pass through.
    """

    def __init__(self) -> None:
        self.functions: dict[str, Callable[..., Any]] = {}
        self.load_article: Callable[[str], Article | None] = partial(self._call, "article_loader", Article)
        self.find_article: Callable[[str], Article | None] = partial(self._call, "article_finder", Article)
        self.load_moderator: Callable[[], Moderator | None] = partial(self._call, "moderator_loader", Moderator)
        self.load_author: Callable[[], Author | None] = partial(self._call, "author_loader", Author)

    def has(self, name: str) -> bool:
        """Return whether the host has registered a function of this name."""
        return name in self.functions

    def _call(self, name: str, expected: type[A], *arguments: str) -> A | None:
        """Call a function and check what it returns. Raises `HookError` for a value of another type."""
        function = self.functions.get(name)
        if function is None and name == "article_loader":
            raise RuntimeError("moderate has no article loader: decorate one with @moderate.article_loader.")
        if function is None:
            return None
        try:
            answer = function(*arguments)
        except (NotFound, Gone):
            if expected is not Article:
                raise
            return None
        # By identity and type: a login proxy answers `isinstance` and `==` for the object behind it.
        if answer is None or answer is False:
            return None
        return answer if type(answer) is expected else converted(name, answer, expected)


def converted(hook: str, answer: object, expected: type[A]) -> A:
    """Return the answer of *hook*, an instance of a subclass of *expected*, with the fields of *expected* alone.

    They are checked again by that. Raises `HookError` for everything else, and logs it, because the host's own error
    handlers may not.
    """
    if issubclass(type(answer), expected):
        return expected(**{entry.name: getattr(answer, entry.name) for entry in fields(expected)})
    if inspect.iscoroutine(answer):
        # A coroutine that is never awaited warns when it is collected.
        answer.close()
    error = HookError(hook, expected.__name__, type_name(answer))
    log.error("%s", error)
    raise error


@dataclass(slots=True, eq=False)
class SiteEdge:
    """Implements `moderate.protocols.base.Edge`, and what the pages need beside it."""

    desk: Desk
    signer: Signer
    hooks: Hooks
    address: SiteAddress
    templates: Templates
    max_length: int = field(init=False)
    honeypot: str = field(init=False)
    #: Addresses within the blueprint, by all that they depend on.
    _addresses: LRUCache[str] = field(init=False, default_factory=partial(LRUCache, 1024, 1_000_000))
    #: The pages of refused forms, with slots for the texts of one request.
    _pages: LRUCache[Frame] = field(init=False, default_factory=partial(LRUCache, 64, 1_000_000))
    _is_built_by_flask: bool = field(init=False)

    def __post_init__(self) -> None:
        self.max_length, self.honeypot = self.desk.settings.max_length, self.desk.settings.honeypot
        app = type(self.address.app)
        self._is_built_by_flask = app.create_url_adapter is Flask.create_url_adapter and app.url_for is Flask.url_for

    def author(self, request: Request) -> Author | None:
        found = self.hooks.load_author()
        if found is not None and self.address.is_cross_site(request):
            # Otherwise any page could make its readers comment here under their own names.
            raise Forbidden("This form was sent from another site.")
        return replace(found, id=id_of_login(found.id)) if found is not None else None

    def confirmed_id(self, request: Request, email: str) -> str | None:
        """Return the identity in the browser's cookie if the typed address is the one that was confirmed, else None."""
        if self.desk.confirming is None:
            return None
        known = self.confirmed_here(request)
        if known is None or self.address.is_cross_site(request):
            return None
        try:
            typed = clean_email(email)
        except ValueError:
            return None
        return known if typed and hmac.compare_digest(self.desk.confirming.author_id(typed), known) else None

    def confirmed_here(self, request: Request) -> str | None:
        """Return the identity whose address was confirmed in this browser, None where there is none."""
        if self.desk.confirming is None or CONFIRMED_COOKIE not in request.cookies:
            return None
        opened = self.signer.open("confirmed", request.cookies[CONFIRMED_COOKIE], max_age=CONFIRMED_SECONDS)
        return str(opened[0]) if opened else None

    def remember_confirmed(self, request: Request, response: AnyResponse, author_id: str | None) -> None:
        """Set the cookie of a confirmed address; delete it where *author_id* is None."""
        value = self.signer.sign("confirmed", author_id) if author_id else ""
        lifetime = CONFIRMED_SECONDS if author_id else 0
        set_cookie(request, response, CONFIRMED_COOKIE, value, lifetime)

    def form_token(self, article: str) -> str:
        """Return a new token for one rendering of the form; it holds the time, the article and a random key."""
        return self.signer.sign("form", [article, secrets.token_urlsafe(9)])

    def form_age(self, token: str | None, article: str) -> tuple[float | None, str | None]:
        opened = self.signer.open("form", token, max_age=FORM_SECONDS)
        if opened is None or opened[0][0] != article:
            return None, None
        return opened[1], opened[0][1]

    def sender_key(self, request: Request, *parts: str) -> str:
        """See `Edge.sender_key`. The key is a keyed hash, so that the client's address cannot be read from it."""
        sender = [client_net(request.remote_addr).own, *parts]
        return key_of(self.signer.derive("idempotency"), "sender", json.dumps(sender))

    def article(self, key: str) -> Article | None:
        """Return the host's article with *key*. The host is not asked about keys that no article can have."""
        return self.desk.articles.load(key)

    def pings(self, article: str) -> Sequence[Item]:
        return self.desk.store.threads.page(
            article, cursor=None, limit=LISTED_PINGS, newest_first=True, kinds=PINGS
        ).items

    def item_json(self, item: Item, *, for_author: bool = False) -> dict[str, object]:
        return public_item(item, for_author=for_author)

    def item_url(self, item: Item) -> str:
        return url_for("moderate.item", item_id=item.id)

    def edit_token(self, item: Item) -> str:
        return self.signer.sign("edit", item.id)

    def opens(self, token: str | None, item: Item) -> bool:
        """Return whether *token* is the item's edit token: valid for a month to read, for the edit window to change."""
        opened = self.signer.open("edit", token, max_age=max(OWN_SECONDS, self.desk.settings.edit_window * 60))
        return opened is not None and opened[0] == item.id

    def own_items(self, request: Request) -> list[int]:
        """Return the ids of the items that this browser has sent, oldest first."""
        if OWN_COOKIE not in request.cookies:
            return []
        opened = self.signer.open("own", request.cookies[OWN_COOKIE], max_age=OWN_SECONDS)
        return list(opened[0]) if opened else []

    def sent_item(self, request: Request) -> int | None:
        """Return the id of the item that this visitor has just sent, going by the address that `redirect` made."""
        opened = self.signer.open("sent", request.args.get(SENT), max_age=SENT_SECONDS)
        return int(opened[0][0]) if opened and opened[0][1] == self.sender_key(request, "sent") else None

    def redirect(self, request: Request, receipt: Receipt) -> Response:
        """See `Edge.redirect`. A pending item is named by a signed parameter that is valid for this visitor alone."""
        item = receipt.item
        waits = item.status in {Status.PENDING, Status.SPAM}
        sent = self.signer.sign("sent", [item.id, self.sender_key(request, "sent")]) if waits else ""
        return see_other(item_address(uri_of(receipt.article.url), item.id, sent=sent))

    def is_personal(self, request: Request) -> bool:
        """Return whether the thread may contain something for this visitor alone. Does not read the database."""
        return self.is_marked(request) or self.hooks.load_author() is not None

    def is_marked(self, request: Request) -> bool:
        """Return whether the request carries one of the blueprint's cookies or an address that `redirect` made."""
        return bool({OWN_COOKIE, CONFIRMED_COOKIE} & request.cookies.keys() or SENT in request.args)

    def remember_own(self, request: Request, response: AnyResponse, item: Item) -> None:
        """See `Edge.remember_own`. Cross-site forms carry no cookies, so that the list would be overwritten."""
        if item.is_public or self.address.is_cross_site(request):
            return
        mine = self.own_items(request)
        if item.id in mine:
            mine.remove(item.id)
        value = self.signer.sign("own", [*mine, item.id][-OWN_ITEMS:])
        set_cookie(request, response, OWN_COOKIE, value, OWN_SECONDS)

    def problem(self, error: Refused | ServiceDown) -> Response:
        return problem(error)

    def form_page(self, article: str, typed: dict[str, str], error: Refused | ServiceDown) -> Response:
        found = self.article(article)
        parent = None
        if isinstance(error, Invalid) and any(entry.field == "parent" for entry in error.errors):
            typed = {**typed, "parent": ""}
        elif found is not None:
            # In an outage the number stays in the form, so that it is still a reply when it is sent again.
            with suppress(ServiceDown):
                parent = self.parent(found.key, typed.get("parent", ""))
        form = self.form(article, typed=typed, error=error, reply_to=parent)
        is_plain = not (found is None or form["errors"] or form["reply_to"] or form["author"])
        if is_plain and self.templates.are_shipped(PAGE_PARTS):
            page = self._kept_page(cast("Article", found), form, error)
        else:
            page = self.templates.render("form_page", article=found, form=form, error=error, message=form["message"])
        headers = {"Content-Type": HTML_UTF8, "Cache-Control": "no-store", **headers_of(error)}
        return Response(page, status_of(error), headers)

    def _kept_page(self, article: Article, form: dict[str, Any], error: Refused | ServiceDown) -> str:
        """Return the page of a form that was refused without an error of one field.

        It is rendered once for all that differ in nothing but these texts, with slots in their places.
        """
        texts = {name: form["values"].get(name, "") for name in TYPED}
        texts |= {name: form[name] for name in FORM_TEXTS}
        language, translated = (self.templates.functions[f"moderate_{name}"] for name in ("language", "translated"))
        texts |= {"message": translated(form["message"]), "title": article.title, "page": article.url}
        # The host may make the addresses of static files depend on the request.
        static = [url_for("moderate.static", filename=name) for name in ("moderate.css", "thread.js")]
        key = (language(), *static, bool(texts["parent"]), bool(texts["token"]), bool(form["retry_after"]))
        page = self._pages.get(key)
        if page is None:
            # Without a parent or a token the form has no field for it.
            slots = {
                name: slot(name) if text or name not in {"parent", "token"} else "" for name, text in texts.items()
            }
            about = replace(article, title=slots["title"], url=slots["page"])
            shown = form | {name: slots[name] for name in FORM_TEXTS} | {"values": slots}
            html = self.templates.render("form_page", article=about, form=shown, error=error, message=slots["message"])
            page = Frame(html)
            self._pages.put(key, page, page.size)
        return page.filled({name: escape(text) for name, text in texts.items()})

    def parent(self, article: str, number: str) -> Item | None:
        """Return the public comment on *article* that a form answers by its *number*, None where there is none."""
        item = self.desk.store.items.get(found) if (found := whole_number(number)) else None
        if item is None or not item.is_public or item.kind is not Kind.COMMENT or item.article != article:
            return None
        return item

    def form(
        self,
        article: str,
        *,
        typed: dict[str, str] | None = None,
        error: Refused | ServiceDown | None = None,
        reply_to: Item | None = None,
    ) -> dict[str, Any]:
        """Return the values of the form's template: the fields as they were typed, and the messages beside them."""
        settings, values = self.desk.settings, dict(typed or {})
        if reply_to is not None:
            values["parent"] = str(reply_to.id)
        errors = {entry.field: entry.message for entry in error.errors} if isinstance(error, Invalid) else {}
        if "parent" in errors:
            errors["parent"] = WITHOUT_PARENT
        token = ""
        if settings.form_token != "off":
            # The database may have stored the comment before it failed: the same token makes the repeat the same one.
            token = values.get("form_token", "") if isinstance(error, ServiceDown) else ""
            # Tokens are signed for one database, which is perhaps not available.
            with suppress(ServiceDown):
                token = token or self.form_token(article)
        return {
            "action": self._address("comment", article=article),
            "preview": self._address("preview"),
            "token": token,
            "honeypot": settings.honeypot,
            "max_length": settings.max_length,
            "require_author": settings.require_author,
            "markup": settings.markup,
            "values": values,
            "errors": errors,
            "message": PARENT_GONE if "parent" in errors else public_text(error) if error else "",
            "retry_after": error.retry_after if isinstance(error, RateLimited) else None,
            "reply_to": reply_to,
            "suffix": "",
            "author": self.hooks.load_author(),
        }

    def render(self, name: str, /, **values: object) -> str:
        return self.templates.render(name, **values)

    def status_url(self, receipt: Receipt) -> str:
        token = self.signer.sign("webmention", receipt.item.id)
        return self.absolute_url("webmention_status", token=token)

    def absolute_url(self, endpoint: str, **values: object) -> str:
        """Return an absolute address on MODERATE_SITE_URL where it is set, because clients choose the Host field."""
        return self._address(endpoint, is_absolute=True, **values)

    def _address(self, endpoint: str, *, is_absolute: bool = False, **values: object) -> str:
        """Return the address of an endpoint of the blueprint, for the article page of this request.

        `flask.url_for` would also call the host's ``url_defaults``. Frozen-Flask listens there and freezes every
        address that is made, but the blueprint's own addresses stay live.
        """
        # An address with a token is made once.
        here = () if "token" in values else self.here()
        key = (endpoint, is_absolute, here, *values.values())
        found = self._addresses.get(key) if here else None
        if found is None:
            adapter = cast("MapAdapter", current_app.create_url_adapter(request))
            found = adapter.build(f"moderate.{endpoint}", values)
            if is_absolute:
                found = self.address.of_blueprint(found, request)
            if here:
                self._addresses.put(key, found, len(found) + sum(map(len, here)))
        return found

    def here(self) -> tuple[str, ...]:
        """Return all of a request on which Flask builds addresses; empty where the app builds them in its own way."""
        get = request.environ.get
        names = ("HTTP_HOST", "SCRIPT_NAME", "wsgi.url_scheme", "SERVER_NAME", "SERVER_PORT")
        return tuple([get(name, "") for name in names]) if self._is_built_by_flask else ()


#: Most answers lead to few articles.
uri_of = lru_cache(maxsize=256)(iri_to_uri)


def set_cookie(request: Request, response: AnyResponse, name: str, value: str, seconds: int) -> None:
    """Set a cookie for the pages of this app alone, not for others that are mounted on the same host."""
    about: dict[str, Any] = {"path": request.script_root or "/", "secure": request.is_secure, "samesite": "Lax"}
    # Without Expires, which says the same as Max-Age and takes as long as all the rest.
    cookie = dump_cookie(name, value, max_age=seconds, httponly=True, sync_expires=False, **about)
    response.headers.add("Set-Cookie", cookie)
