"""What stores remember of the people who are told of items."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from moderate.ports import Mailbox
from tests.factories import NOON

if TYPE_CHECKING:
    from moderate.store.sql_store import SqlStore

TALLY = Mailbox(hour_at=NOON, sent=3, digest_due=NOON + timedelta(hours=1), digest_at=NOON - timedelta(hours=1))


def test_an_unknown_mailbox_is_as_good_as_new(store: SqlStore) -> None:
    assert store.mailbox("nobody") == Mailbox()


def test_what_a_mailbox_got_is_remembered_for_it_alone(store: SqlStore) -> None:
    store.count_notices("a", replace(TALLY, sent=1))
    store.count_notices("a", TALLY)
    assert store.mailbox("a") == TALLY
    assert store.mailbox("b") == Mailbox()


def test_counting_does_not_undo_an_unsubscription_nor_the_other_way_round(store: SqlStore) -> None:
    store.unsubscribe("a", NOON)
    store.count_notices("a", TALLY)
    assert store.mailbox("a") == replace(TALLY, unsubscribed_at=NOON)
    store.unsubscribe("a", None)
    assert store.mailbox("a") == TALLY


def test_asking_whether_a_name_was_used_uses_nothing(store: SqlStore) -> None:
    assert not store.is_used("link", NOON)
    assert store.use_once("link", NOON + timedelta(days=1), NOON)
    assert store.is_used("link", NOON)
    assert not store.is_used("link", NOON + timedelta(days=1))
