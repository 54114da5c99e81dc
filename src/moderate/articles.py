"""The host's articles, through the hooks that the host has plugged in."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from moderate.errors import ServiceDown
from moderate.hooks import is_key
from moderate.lru import LRUCache
from moderate.web_address import keys_of, source_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from moderate.model import Article
    from moderate.ports import Clock
    from moderate.store.store import Store

log = logging.getLogger("moderate")

#: The most articles whose addresses this process remembers as stored, and the most that wait to be stored.
MOST_REMEMBERED = 4096

#: Seconds between two tries to store addresses that wait: at first, and at most.
RETRY = 1.0
LONGEST_RETRY = 30.0


class HostArticles:
    """Articles by key and by address. Addresses of articles that were shown are remembered for pings.

    Exceptions of the host's functions pass through, so that its error handling sees them.

    They are stored while the page is rendered, which never waits for that: addresses that cannot be stored at once,
    because another process is writing or the database is read-only, stay in memory, where `find` looks as well, and a
    thread stores them later.
    """

    def __init__(
        self,
        load: Callable[[str], Article | None],
        find: Callable[[str], Article | None],
        has_finder: Callable[[], bool],
        store: Store,
        clock: Clock,
    ) -> None:
        self._load = load
        self._find = find
        self._has_finder = has_finder
        self._store = store
        self._clock = clock
        self._remembered: LRUCache[Article] = LRUCache(MOST_REMEMBERED)
        self._waiting: dict[str, Article] = {}
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def load(self, key: str) -> Article | None:
        """Return the article of *key*. The host's loader is not called with keys that no article can have."""
        return self._load(key) if is_key(key) else None

    def find(self, url: str) -> Article | None:
        """Return the article at an address: by the host's finder if there is one, else among those that were shown."""
        if self._has_finder():
            return self._find(url)
        wanted = source_key(url)
        waiting = (article.key for article in list(self._waiting.values()) if wanted in keys_of(article))
        key = next(waiting, None) or self._store.articles.by_url(wanted)
        return self.load(key) if key is not None else None

    def remember(self, article: Article) -> None:
        """Store the addresses of an article that is being shown, if they have changed."""
        if self._has_finder() or self._remembered.get(article.key) == article:
            return
        if not self._waiting:
            try:
                self._note(article)
            except ServiceDown:
                log.debug("The addresses of an article for pings could not be stored at once.", exc_info=True)
            else:
                return
        self._postpone(article)

    def close(self) -> None:
        """End the thread that stores waiting addresses."""
        self._closed.set()
        thread = self._thread
        if thread is not None:
            thread.join(timeout=2)

    def _note(self, article: Article) -> None:
        self._store.articles.remember(article, keys_of(article), self._clock.now())
        self._remembered.put(article.key, article)

    def _postpone(self, article: Article) -> None:
        with self._lock:
            if len(self._waiting) < MOST_REMEMBERED:
                self._waiting[article.key] = article
            # In a process that was forked meanwhile there is no such thread.
            is_running = self._thread is not None and self._thread.is_alive()
            if not is_running and not self._closed.is_set():
                self._thread = threading.Thread(target=self._catch_up, name="moderate-articles", daemon=True)
                self._thread.start()

    def _catch_up(self) -> None:
        """Store waiting addresses as soon as possible. Logs only what lasts longer than the first pause."""
        pause = RETRY
        while not self._closed.wait(pause):
            for article in list(self._waiting.values()):
                try:
                    self._note(article)
                except ServiceDown as error:
                    if pause == RETRY:
                        log.warning("Addresses for pings cannot be stored now (%s); they are stored later.", error)
                    pause = min(2 * pause, LONGEST_RETRY)
                    break
                with self._lock:
                    if self._waiting.get(article.key) is article:
                        del self._waiting[article.key]
            with self._lock:
                if not self._waiting:
                    self._thread = None
                    break
        else:
            return
        log.info("The addresses for pings that waited are stored.")
