"""Signals are sent once, after the commit, and a failing receiver does no harm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import moderate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.sites import Host

NAMES = ("item_received", "item_approved", "item_held", "item_marked_spam", "item_trashed", "counts_changed")


class Ears:
    """Records every signal of one app, and checks each time what another connection sees."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.heard: list[str] = []
        self.carried: list[dict[str, Any]] = []
        self.receivers = {name: self.receiver(name) for name in NAMES}

    def receiver(self, name: str) -> Any:
        def hear(sender: object, **carried: Any) -> None:
            self.heard.append(name)
            self.carried.append(carried)
            item = carried.get("item")
            if item is not None:
                with self.host.app.app_context():
                    stored = self.host.state.desk.store.items.get(item.id)
                assert (stored.status, stored.version) == (item.status, item.version)

        return hear


@pytest.fixture
def ears(host: Host) -> Iterator[Ears]:
    found = Ears(host)
    for name, receiver in found.receivers.items():
        getattr(moderate, name).connect(receiver, sender=host.app)
    yield found
    for name, receiver in found.receivers.items():
        getattr(moderate, name).disconnect(receiver, sender=host.app)


def test_a_signal_is_sent_when_a_comment_is_stored(host: Host, ears: Ears) -> None:
    host.comment()
    assert ears.heard == ["item_received", "item_held", "counts_changed"]
    assert ears.carried[0]["item"].text == "The river froze twice."
    assert ears.carried[2] == {"article": "thaw"}


@pytest.mark.parametrize(
    ("decision", "name"), [("approve", "item_approved"), ("spam", "item_marked_spam"), ("trash", "item_trashed")]
)
def test_a_signal_about_a_decision_names_its_moderator(host: Host, ears: Ears, decision: str, name: str) -> None:
    host.comment()
    ears.heard.clear()
    ears.carried.clear()
    host.decide(1, decision, **host.token("sato"))
    assert ears.heard == [name, "counts_changed"]
    assert ears.carried[0]["by"] == "sato"


def test_no_signal_is_sent_without_a_change(host: Host, ears: Ears) -> None:
    headers = {"Idempotency-Key": "k-1"}
    form = {"author": "Mika", "text": "The river froze twice."}
    host.client.post("/discuss/comments/thaw", json=form, headers=headers)
    ears.heard.clear()
    host.client.post("/discuss/comments/thaw", json=form, headers=headers)
    host.decide(1, "hold")
    host.decide(1, "approve", 99)
    host.comment("", article="thaw")
    host.comment(article="nowhere")
    assert ears.heard == []


def test_a_signal_is_sent_when_an_author_withdraws_a_comment(host: Host, ears: Ears) -> None:
    item = host.comment().json
    ears.heard.clear()
    host.client.delete(f"/discuss/items/{item['id']}?edit_token={item['edit_token']}")
    assert ears.heard == ["item_trashed", "counts_changed"]
    assert ears.carried[-2]["by"] is None


def test_signals_of_another_app_are_not_received(host: Host, ears: Ears, tmp_path: Any) -> None:
    from tests.sites import Host

    Host(tmp_path / "other").comment()
    assert ears.heard == []


def test_a_failing_receiver_affects_neither_the_request_nor_other_receivers(
    host: Host, ears: Ears, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(sender: object, **carried: Any) -> None:
        raise RuntimeError("The mail server is away")

    for name in NAMES:
        getattr(moderate, name).connect(fails, sender=host.app)
    assert host.comment().status_code == 202
    assert host.decide(1, "approve").status_code == 200
    assert ears.heard == [
        "item_received", "item_held", "counts_changed", "item_approved", "counts_changed",
    ]  # fmt: skip
    assert host.counts() == {"comments": 1, "trackbacks": 0}
    assert "A receiver of moderate-item-approved failed." in caplog.text


def test_a_receiver_may_write_to_the_store(host: Host) -> None:
    """No transaction is open any more, or SQLite would lock the receiver out."""

    def answers(sender: object, item: Any, by: object) -> None:
        if item.parent is None:
            host.moderate.submit("thaw", "Thank you.", author="Editor", parent=item.id)

    moderate.item_approved.connect(answers, sender=host.app)
    host.comment()
    host.decide(1, "approve")
    assert host.total() == 2
