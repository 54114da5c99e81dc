"""The LRU cache stays within its bounds."""

from __future__ import annotations

from moderate.lru import LRUCache


def test_what_was_kept_is_found_again_and_nothing_else() -> None:
    cache: LRUCache[str] = LRUCache(256)
    cache.put(("thaw", 1), "one", 3)
    assert cache.get(("thaw", 1)) == "one"
    assert cache.get(("thaw", 2)) is None


def test_beyond_the_number_what_was_asked_for_longest_ago_goes() -> None:
    cache: LRUCache[str] = LRUCache(2, 1000)
    for name in "ab":
        cache.put(name, name, 1)
    cache.get("a")
    cache.put("c", "c", 1)
    assert [cache.get(name) for name in "abc"] == ["a", None, "c"]
    assert (len(cache), cache.size) == (2, 2)


def test_beyond_the_bytes_as_many_go_as_it_takes() -> None:
    cache: LRUCache[str] = LRUCache(256, max_bytes=100)
    for number in range(10):
        cache.put(number, "text", 25)
    assert (len(cache), cache.size) == (4, 100)
    cache.put("small", "text", 1)
    assert (len(cache), cache.size) == (4, 76)


def test_what_would_push_out_too_much_is_not_kept() -> None:
    cache: LRUCache[str] = LRUCache(256, max_bytes=100)
    cache.put("small", "text", 20)
    cache.put("large", "text", 26)
    assert cache.get("large") is None
    assert cache.get("small") == "text"


def test_what_is_kept_anew_counts_once() -> None:
    cache: LRUCache[str] = LRUCache(256)
    cache.put("a", "first", 5)
    cache.put("a", "then", 4)
    assert (cache.get("a"), len(cache), cache.size) == ("then", 1, 4)
