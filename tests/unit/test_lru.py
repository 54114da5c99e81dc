"""The LRU cache stays within its bounds."""

from __future__ import annotations

from moderate.lru import DerivedCache, LRUCache


def test_stored_entries_are_found_and_no_others() -> None:
    cache: LRUCache[str] = LRUCache(256)
    cache.put(("thaw", 1), "one", 3)
    assert cache.get(("thaw", 1)) == "one"
    assert cache.get(("thaw", 2)) is None


def test_the_least_recently_used_entry_is_dropped_beyond_the_maximum_number() -> None:
    cache: LRUCache[str] = LRUCache(2, 1000)
    for name in "ab":
        cache.put(name, name, 1)
    cache.get("a")
    cache.put("c", "c", 1)
    assert [cache.get(name) for name in "abc"] == ["a", None, "c"]
    assert (len(cache), cache.size) == (2, 2)


def test_old_entries_are_dropped_beyond_the_maximum_size() -> None:
    cache: LRUCache[str] = LRUCache(256, max_bytes=100)
    for number in range(10):
        cache.put(number, "text", 25)
    assert (len(cache), cache.size) == (4, 100)
    cache.put("small", "text", 1)
    assert (len(cache), cache.size) == (4, 76)


def test_an_entry_that_would_evict_too_much_is_not_stored() -> None:
    cache: LRUCache[str] = LRUCache(256, max_bytes=100)
    cache.put("small", "text", 20)
    cache.put("large", "text", 26)
    assert cache.get("large") is None
    assert cache.get("small") == "text"


def test_a_replaced_entry_counts_once() -> None:
    cache: LRUCache[str] = LRUCache(256)
    cache.put("a", "first", 5)
    cache.put("a", "then", 4)
    assert (cache.get("a"), len(cache), cache.size) == ("then", 1, 4)


def test_an_expired_entry_no_longer_counts() -> None:
    cache: LRUCache[str] = LRUCache(256)
    cache.put("a", "old", 5)
    cache.put("b", "new", 4)
    assert cache.expire_oldest(lambda value: value == "old")
    assert not cache.expire_oldest(lambda value: value == "old")
    assert (cache.get("a"), len(cache), cache.size) == (None, 1, 4)


def test_a_derived_value_is_returned_for_an_equal_source_alone() -> None:
    cache: DerivedCache[list[int], str] = DerivedCache(9, max_bytes=100)
    assert cache.put("a", [1], "one", 5) == "one"
    assert cache.get("a", [1]) == "one"
    assert cache.get("a", [2]) is None
    assert cache.get("b", [1]) is None
    cache.put("a", [2], "two", 5)
    assert (cache.get("a", [1]), cache.get("a", [2])) == (None, "two")
