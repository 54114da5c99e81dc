"""The public addresses of the site, its articles and items, which do not depend on the Host field of a request."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import quote, urljoin, urlsplit

from flask import has_request_context
from flask import request as current_request

from moderate.errors import ServiceDown

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask, Request

    from moderate.model import Article
    from moderate.ports import Clock
    from moderate.settings import Settings
    from moderate.store.store import Store

log = logging.getLogger("moderate")

#: The name under which the sub-path that was learned from requests is stored.
MOUNT = "mount"

#: Endpoints that monitors request at an internal address, whose sub-path is not that of the site.
MONITORED = frozenset({"moderate.health", "moderate.metrics"})

#: Sub-path that is taken from a request: segments without dots alone, backslashes, queries or control characters.
_SUB_PATH = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[^\x00-\x1f\x7f/?#\\]+)*")
MAX_SUB_PATH = 200

#: The query parameter that has the number of an item: the page of a thread that holds it is shown.
AT = "moderate_at"
#: The query parameter that has a signed number: the item that this visitor has just sent.
SENT = "moderate_sent"

#: Characters of a sub-path that are not escaped.
SAFE = "/%:@!$&'()*+,;=~-._"


@dataclass(eq=False)
class SiteAddress:
    """The address of the site for its readers: MODERATE_SITE_URL, and the sub-path below which the app is mounted.

    Mails are written by workers, outside of requests, where SCRIPT_NAME is unknown. The sub-path is therefore the
    first of these that is not empty: the path of MODERATE_SITE_URL, Flask's APPLICATION_ROOT, the SCRIPT_NAME of
    POST requests. It is stored in the database for workers in other processes. The first POST request sets it, and
    from then on only requests of signed-in moderators change it: some servers take SCRIPT_NAME from a
    header field (gunicorn does from proxies on the same machine), which a proxy may pass on from any client.
    """

    app: Flask
    settings: Settings
    store: Store
    clock: Clock
    _seen: str | None = field(default=None, init=False)
    _has_warned: bool = field(default=False, init=False)

    @cached_property
    def configured(self) -> str:
        """The sub-path in the settings, such as ``/news``; empty where there is none."""
        path = urlsplit(self.settings.site_url or "").path
        root = str(self.app.config.get("APPLICATION_ROOT") or "").strip("/")
        return path or (root and f"/{root}")

    def seen(self) -> str | None:
        """Return the sub-path that was learned from requests, None where none is known. Raises `ServiceDown`."""
        kept = self.store.states.get(MOUNT)
        return None if kept is None else str(kept.value["root"])

    def base(self) -> str:
        """Return the address of the blueprint without a final slash; a path alone where MODERATE_SITE_URL is not set.

        Raises `ServiceDown` where the sub-path has to be read from the database and that is not available.
        """
        root = self.configured or (self.seen() or "" if self.settings.site_url else "")
        origin = self.origin
        if origin and self.own_host:
            origin = f"{urlsplit(origin).scheme}://{self.own_host}"
        # Escaped for an address (RFC 3986 §3.3); escapes in it are kept.
        return f"{origin}{quote(root, safe=SAFE)}{self.settings.url_prefix}"

    @cached_property
    def own_host(self) -> str:
        """The host of the blueprint, with its port, where settings put it at one of its own; else empty."""
        if self.settings.subdomain is not None:
            return f"{self.settings.subdomain}.{self.app.config['SERVER_NAME']}"
        return self.settings.host or ""

    @cached_property
    def origin(self) -> str:
        """Scheme and host of MODERATE_SITE_URL, empty where it is not set."""
        parts = urlsplit(self.settings.site_url or "")
        return f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""

    @property
    def own(self) -> list[str]:
        """The origins of the site itself, as far as they are in the settings."""
        scheme = urlsplit(self.settings.site_url or "http:").scheme
        return [address for address in (self.origin, self.own_host and f"{scheme}://{self.own_host}") if address]

    def absolute(self, path: str, request: Request) -> str:
        """Return the public address of a *path* that ``url_for`` has made within *request*."""
        own = urlsplit(self.settings.site_url or "").path
        if own:
            return f"{self.settings.site_url}{path.removeprefix(request.script_root)}"
        # Not host_url, which fails for values that are no host name.
        return f"{self.origin or f'{request.scheme}://{request.host}'}{path}"

    def of_blueprint(self, address: str, request: Request) -> str:
        """Return the public form of an *address* within the blueprint that ``url_for`` has made within *request*.

        It is a path, or a whole address where the request came in at another host than the blueprint's.
        """
        parts = urlsplit(address)
        whole = self.absolute(parts._replace(scheme="", netloc="").geturl(), request)
        if not self.own_host:
            return whole
        return urlsplit(whole)._replace(netloc=self.own_host).geturl()

    def article_by(self, find: Callable[[str], Article | None], wanted: str) -> Article | None:
        """Return the article that the host's *find* returns for *wanted*, with its addresses at MODERATE_SITE_URL.

        A host may build `Article.url` with ``url_for(..., _external=True)``, which takes its host from the request's
        Host field. Such an address would be stored, and shown in the queue, in mails and in feeds.

        Relative addresses are joined to the site's. Where the article's own address is at the request's host, all
        addresses at that host are moved to the site's. An address at any other host does not come from this request
        and is kept. Where the article's own address is kept, so are its aliases: a former host of the site is then one
        that the host has written down, and a client's Host field must not turn it into addresses of other articles.
        """
        article, site_url = find(wanted), self.settings.site_url
        if article is None or site_url is None:
            return article
        addresses = []
        for url in (article.url, *article.aliases):
            try:
                is_relative = url and not urlsplit(url).netloc
                addresses.append(urljoin(f"{site_url}/", url) if is_relative else url)
            except ValueError:
                addresses.append(url)
        site = urlsplit(site_url)
        here = current_request.host if has_request_context() else site.netloc
        if here != site.netloc and is_at(addresses[0], here) and not is_at(site_url, here):
            for at, url in enumerate(addresses):
                if is_at(url, here):
                    addresses[at] = urlsplit(url)._replace(scheme=site.scheme, netloc=site.netloc).geturl()
        if addresses == [article.url, *article.aliases]:
            return article
        return replace(article, url=addresses[0], aliases=tuple(addresses[1:]))

    def is_cross_site(self, request: Request) -> bool:
        """Return whether a page of another site has sent a request, going by Fetch Metadata and Origin.

        Where the blueprint has a host of its own, the site's article pages have their forms lead to it.
        """
        fetch_site: str = request.environ.get("HTTP_SEC_FETCH_SITE", "none")
        origin: str | None = request.environ.get("HTTP_ORIGIN")
        if origin is not None and self.own_host and origin == self.origin:
            return False
        if fetch_site != "none":
            # The browser has compared the origins itself, and a proxy may have changed the host that we see. The
            # Fetch standard hides the origin where a page sends no referrer, as the pages of secret links do.
            return fetch_site != "same-origin"
        return origin is not None and origin not in {f"http://{request.host}", f"https://{request.host}"}

    def note(self, request: Request) -> None:
        """Compare the sub-path of a request with the settings, and store that of the first POST request."""
        if self.settings.site_url is None or request.endpoint in MONITORED:
            return
        root = request.script_root
        if self.configured not in {"", root} and not self._has_warned:
            self._has_warned = True
            log.warning(
                "A request came in below %r, but links in mails lead to %s. Put the sub-path under which readers see "
                "the site into MODERATE_SITE_URL, and let the server pass it on as SCRIPT_NAME.",
                root or "/",
                self.base(),
            )
        if request.method == "POST" and self._seen is None:
            self._learn(root, is_trusted=False)

    def trust(self, request: Request) -> None:
        """Store the sub-path of a change that a signed-in moderator has sent."""
        if self.settings.site_url is not None:
            self._learn(request.script_root, is_trusted=True)

    def _learn(self, root: str, *, is_trusted: bool) -> None:
        """Store the sub-path if it is new. An outage of the database is ignored here: the request itself reports it."""
        # Behind a host name it must not change the host.
        if root == self._seen or len(root) > MAX_SUB_PATH or not _SUB_PATH.fullmatch(root):
            return
        try:
            known = self.seen()
            if known is None or (is_trusted and known != root):
                self.store.states.keep(MOUNT, {"root": root}, self.clock.now(), waits=False)
                known = root
            self._seen = known
        except ServiceDown:
            log.debug("The sub-path of a request could not be kept.", exc_info=True)


def item_address(url: str, item_id: int, *, sent: str = "") -> str:
    """Return the address at which an item is seen, given the *url* of its article.

    The item's number in the query says which page of the thread to show, the fragment where on it the
    item is. *sent*, a signed value, is added for the visitor who has just sent the item.
    """
    page = url.partition("#")[0]
    query = f"{AT}={item_id}&{SENT}={sent}" if sent else f"{AT}={item_id}"
    return f"{page}{'&' if '?' in page else '?'}{query}#comment-{item_id}"


def is_at(url: str, authority: str) -> bool:
    """Return whether an address has this authority; user names and the default ports are ignored."""
    try:
        return without_port(urlsplit(url).netloc) == without_port(authority)
    except ValueError:
        return False


def without_port(authority: str) -> str:
    return authority.rpartition("@")[2].lower().removesuffix(":80").removesuffix(":443")
