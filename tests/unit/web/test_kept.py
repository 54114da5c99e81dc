"""What a process keeps for readers stays within its bounds."""

from __future__ import annotations

from moderate.reading.lru import Kept


def test_what_was_kept_is_found_again_and_nothing_else() -> None:
    kept: Kept[str] = Kept()
    kept.put(("thaw", 1), "one", 3)
    assert kept.get(("thaw", 1)) == "one"
    assert kept.get(("thaw", 2)) is None


def test_beyond_the_number_what_was_asked_for_longest_ago_goes() -> None:
    kept: Kept[str] = Kept(max_entries=2)
    for name in "ab":
        kept.put(name, name, 1)
    kept.get("a")
    kept.put("c", "c", 1)
    assert [kept.get(name) for name in "abc"] == ["a", None, "c"]
    assert (len(kept), kept.size) == (2, 2)


def test_beyond_the_bytes_as_many_go_as_it_takes() -> None:
    kept: Kept[str] = Kept(max_bytes=100)
    for number in range(10):
        kept.put(number, "text", 25)
    assert (len(kept), kept.size) == (4, 100)
    kept.put("small", "text", 1)
    assert (len(kept), kept.size) == (4, 76)


def test_what_would_push_out_too_much_is_not_kept() -> None:
    kept: Kept[str] = Kept(max_bytes=100)
    kept.put("small", "text", 20)
    kept.put("large", "text", 26)
    assert kept.get("large") is None
    assert kept.get("small") == "text"


def test_what_is_kept_anew_counts_once() -> None:
    kept: Kept[str] = Kept()
    kept.put("a", "first", 5)
    kept.put("a", "then", 4)
    assert (kept.get("a"), len(kept), kept.size) == ("then", 1, 4)
