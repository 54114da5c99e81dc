"""The host's articles, through the hooks that the host has plugged in; see `moderate.ports.Articles`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moderate.answers import is_key
from moderate.clean.text import source_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from moderate.model import Article
    from moderate.ports import Clock, Store

#: Articles of which this process knows that their addresses are stored.
MOST_REMEMBERED = 4096


class HostArticles:
    """Articles by key and by address. Addresses of articles that were shown are remembered for pings."""

    def __init__(
        self,
        load: Callable[[str], Article | None],
        finder: Callable[[], Callable[[str], Article | None] | None],
        store: Store,
        clock: Clock,
    ) -> None:
        self._load = load
        self._finder = finder
        self._store = store
        self._clock = clock
        self._remembered: dict[str, Article] = {}

    def load(self, key: str) -> Article | None:
        """Return the article of *key*. The host is not asked for keys that no article can have."""
        return self._load(key) if is_key(key) else None

    def find(self, url: str) -> Article | None:
        """The article at an address: asked of the host where it can tell, else among those that were shown."""
        find = self._finder()
        if find is not None:
            return find(url)
        key = self._store.article_by_url(source_key(url))
        return self.load(key) if key is not None else None

    def remember(self, article: Article) -> None:
        """Note the addresses of an article that is being shown; writes only when they have changed."""
        if self._finder() is not None or self._remembered.get(article.key) == article:
            return
        keys = {source_key(url): url for url in (article.url, *article.aliases)}
        self._store.remember_article(article, keys, self._clock.now())
        if len(self._remembered) >= MOST_REMEMBERED:
            self._remembered.clear()
        self._remembered[article.key] = article
