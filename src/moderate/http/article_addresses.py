"""Addresses of articles as the host gives them, made absolute and independent of the request's Host field.

A host may build `Article.url` with ``url_for(..., _external=True)``, and then it says whatever the
request's Host field said. Such an address would be stored, and stand in the queue, in mails and in feeds.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from flask import has_request_context, request

from moderate.http.once import once_per_request

if TYPE_CHECKING:
    from collections.abc import Callable

    from moderate.model import Article


def settled(find: Callable[[str], Article | None], site_url: str | None) -> Callable[[str], Article | None]:
    """Wrap a loader or finder: each article is looked up once per request and has the site's own addresses."""

    def find_settled(wanted: str) -> Article | None:
        article = find(wanted)
        return article if article is None or site_url is None else on_site(article, site_url)

    return lambda wanted: once_per_request((find, wanted), lambda: find_settled(wanted))


def on_site(article: Article, site_url: str) -> Article:
    """Return the article with its addresses at MODERATE_SITE_URL.

    Relative addresses are joined to it. Where the article's own address is at the request's host, all that are
    there are moved to it. An address at any other host cannot have been made of this request, and stays. So
    do the aliases where the article's own address does: a former host of the site is then one that the host
    has written down, and the Host field of a stranger must not make addresses of other articles of it.
    """
    url, aliases = joined(article.url, site_url), tuple(joined(alias, site_url) for alias in article.aliases)
    placed = moved(url, site_url)
    if placed != url:
        aliases = tuple(moved(alias, site_url) for alias in aliases)
    if (placed, aliases) == (article.url, article.aliases):
        return article
    return replace(article, url=placed, aliases=aliases)


def joined(url: str, site_url: str) -> str:
    try:
        return urljoin(f"{site_url}/", url) if url and not urlsplit(url).netloc else url
    except ValueError:
        return url


def moved(url: str, site_url: str) -> str:
    site = urlsplit(site_url)
    if not has_request_context() or same_place(request.host, site.netloc):
        return url
    try:
        parts = urlsplit(url)
    except ValueError:
        return url
    if not same_place(parts.netloc, request.host):
        return url
    return parts._replace(scheme=site.scheme, netloc=site.netloc).geturl()


def same_place(one: str, other: str) -> bool:
    """Whether two authorities are one, the usual ports being none."""
    return plain(one) == plain(other)


def plain(authority: str) -> str:
    return authority.rpartition("@")[2].lower().removesuffix(":80").removesuffix(":443")
