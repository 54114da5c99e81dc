"""Keeps a stranger's Host field out of the addresses of articles.

A host may build `Article.url` with ``url_for(..., _external=True)``, and then it says whatever the
request's Host field said. Such an address would be stored, and stand in the queue, in mails and in feeds.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from flask import has_request_context, request

if TYPE_CHECKING:
    from collections.abc import Callable

    from moderate.model import Article


def settled(find: Callable[[str], Article | None], site_url: str | None) -> Callable[[str], Article | None]:
    """A loader or finder whose articles have no address that the request made up; with MODERATE_SITE_URL alone."""
    if site_url is None:
        return find

    def find_settled(wanted: str) -> Article | None:
        article = find(wanted)
        return article if article is None else on_site(article, site_url)

    return find_settled


def on_site(article: Article, site_url: str) -> Article:
    """The article with the addresses that lie at the request's own host moved to the site's.

    An address at any other host cannot have been made of this request: it is the host's own word.
    """
    if not has_request_context() or same_place(request.host, urlsplit(site_url).netloc):
        return article
    url, aliases = moved(article.url, site_url), tuple(moved(alias, site_url) for alias in article.aliases)
    return article if (url, aliases) == (article.url, article.aliases) else replace(article, url=url, aliases=aliases)


def moved(url: str, site_url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        return url
    if not same_place(parts.netloc, request.host):
        return url
    site = urlsplit(site_url)
    return parts._replace(scheme=site.scheme, netloc=site.netloc).geturl()


def same_place(one: str, other: str) -> bool:
    """Whether two authorities are one, the usual ports being none."""
    return plain(one) == plain(other)


def plain(authority: str) -> str:
    return authority.rpartition("@")[2].lower().removesuffix(":80").removesuffix(":443")
