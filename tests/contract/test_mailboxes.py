"""The state that stores keep for the recipients of notices."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from moderate.notices.values import Mailbox
from tests.factories import NOON

if TYPE_CHECKING:
    from moderate.store.store import Store

TALLY = Mailbox(hour_at=NOON, sent=3, digest_due=NOON + timedelta(hours=1), digest_at=NOON - timedelta(hours=1))


def test_an_unknown_mailbox_has_the_default_state(store: Store) -> None:
    assert store.mailboxes.get("nobody") == Mailbox()


def test_mails_are_counted_for_each_mailbox_separately(store: Store) -> None:
    store.mailboxes.count_notices("a", replace(TALLY, sent=1))
    store.mailboxes.count_notices("a", TALLY)
    assert store.mailboxes.get("a") == TALLY
    assert store.mailboxes.get("b") == Mailbox()


def test_counting_and_unsubscribing_do_not_affect_each_other(store: Store) -> None:
    store.mailboxes.unsubscribe("a", NOON)
    store.mailboxes.count_notices("a", TALLY)
    assert store.mailboxes.get("a") == replace(TALLY, unsubscribed_at=NOON)
    store.mailboxes.unsubscribe("a", None)
    assert store.mailboxes.get("a") == TALLY


def test_checking_whether_a_name_was_used_does_not_use_it(store: Store) -> None:
    assert not store.nonces.is_used("link", NOON)
    assert store.nonces.use_once("link", NOON + timedelta(days=1), NOON)
    assert store.nonces.is_used("link", NOON)
    assert not store.nonces.is_used("link", NOON + timedelta(days=1))
