"""A comment becomes its author's once their address was confirmed, and nothing else of it moves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moderate.model import Decision, Status
from tests.factories import NOON, a_comment, a_verdict

if TYPE_CHECKING:
    from moderate.store.sql_store import SqlStore


def test_a_comment_of_nobodys_becomes_its_authors(store: SqlStore) -> None:
    before = store.record(a_comment(), a_verdict(), [], NOON).item
    after = store.confirm(before.id, "email:1")
    assert after is not None
    assert (before.author_id, after.author_id) == (None, "email:1")
    assert store.item(before.id) == after
    assert after.version == before.version
    assert len(store.history(before.id)) == 1
    decided = store.decide(before.id, Decision.APPROVE, version=before.version, by="mori", note=None, now=NOON)
    assert decided.changed
    assert store.author_record("email:1") == {Status.APPROVED: 1}


def test_a_comment_that_is_somebodys_stays_theirs(store: SqlStore) -> None:
    item = store.record(a_comment(author_id="7"), a_verdict(), [], NOON).item
    after = store.confirm(item.id, "email:1")
    assert after is not None
    assert after.author_id == "7"


def test_what_is_gone_is_nobodys(store: SqlStore) -> None:
    assert store.confirm(99, "email:1") is None
