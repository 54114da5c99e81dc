"""A writer that is killed between any two statements leaves nothing half done, on every store."""

from __future__ import annotations

import os
import random
import signal
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import event, update

from moderate.database.engine import Database
from moderate.database.schema import tasks
from moderate.model import Counts, Decision, NewTask, Status
from moderate.store.store import Store
from tests.factories import APPROVED, HELD, NOON, TO_CHECK, a_comment, decide_one
from tests.processes import PROCESSES
from tests.tasks import next_due

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

TASK = NewTask(kind="judge", due_at=NOON)


def _receive(store: Store) -> None:
    store.items.record(a_comment("New"), APPROVED, [TASK], NOON)


def _decide(store: Store) -> None:
    decide_one(store, 1, Decision.APPROVE, version=1, by="mo", note=None, now=NOON, tasks=[TASK])


def _settle(store: Store) -> None:
    (task,) = store.tasks.lease_due(NOON, limit=1, seconds=60, kinds=["verify"])
    store.items.settle(task, task.item, 1, APPROVED, NOON, tasks=[NewTask(kind="mail", due_at=NOON)])


def _delete(store: Store) -> None:
    store.items.delete(3, "mo", NOON)


ACTS: dict[str, Callable[[Store], None]] = {
    "receive": _receive,
    "decide": _decide,
    "settle": _settle,
    "delete": _delete,
}


def _act_and_die(url: str, act: str, statement: int) -> None:
    """Do one act, and die right after a number of statements that change something."""
    store = Store(Database(url))
    sent = 0

    def die(_conn: object, _cursor: object, text: str, *_rest: object) -> None:
        nonlocal sent
        sent += not text.lstrip().startswith(("SELECT", "BEGIN", "PRAGMA"))
        if sent == statement:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(store.database.engine, "after_cursor_execute", die)
    ACTS[act](store)
    store.database.dispose()


def prepare(store: Store) -> None:
    store.items.record(a_comment("1"), HELD, [], NOON)
    store.items.record(a_comment("2"), TO_CHECK, [NewTask(kind="verify", due_at=NOON)], NOON)
    spam = store.items.record(a_comment("3"), HELD, [], NOON).item
    decide_one(store, spam.id, Decision.SPAM, version=1, by="mo", note=None, now=NOON)


def snapshot(store: Store) -> tuple[object, ...]:
    items = [store.items.get(number) for number in range(1, 5)]
    lines = [len(store.history.of_item(number)) for number in range(1, 5)]
    return items, lines, store.counters.totals(), next_due(store.tasks, ["judge", "mail"])


@pytest.mark.parametrize("act", ACTS)
def test_a_writer_killed_between_two_statements_has_done_nothing(store: Store, database_url: str, act: str) -> None:
    prepare(store)
    before = snapshot(store)
    # Each act runs to its end once the number is beyond its last statement.
    for statement in range(1, 12):
        # A lease is a transaction of its own, and each round takes the task anew.
        store.tasks.add(2, [NewTask(kind="verify", due_at=NOON)], NOON)
        _free_leases(store)
        writer = PROCESSES.Process(target=_act_and_die, args=(database_url, act, statement))
        writer.start()
        writer.join(60)
        if writer.exitcode == 0:
            break
        assert writer.exitcode == -signal.SIGKILL
        assert snapshot(store) == before
        assert not any(store.counters.recount(repair=False))
    # It was killed at least once; PostgreSQL writes some acts by one statement.
    assert statement > 1
    assert snapshot(store) != before
    assert not any(store.counters.recount(repair=False))


def _free_leases(store: Store) -> None:
    with store.database.write() as conn:
        conn.execute(update(tasks).values(lease_until=None))


def _write_until_killed(url: str, seed: int, told: Connection) -> None:
    store = Store(Database(url))
    dice = random.Random(seed)
    while True:
        item = store.items.record(a_comment(str(dice.random()), dice.choice("abc")), HELD, [TASK], NOON).item
        told.send((item.id, Status.PENDING.value))
        decision = dice.choice(list(Decision))
        decided = decide_one(store, item.id, decision, version=1, by="mo", note=None, now=NOON).item
        told.send((item.id, decided.status.value))


def test_acknowledged_writes_before_a_kill_are_stored_and_counted(store: Store, database_url: str) -> None:
    ours, theirs = PROCESSES.Pipe(duplex=False)
    writers = [PROCESSES.Process(target=_write_until_killed, args=(database_url, seed, theirs)) for seed in range(2)]
    for writer in writers:
        writer.start()
    theirs.close()
    acknowledged: dict[int, str] = {}
    for number in range(60):
        item_id, status = ours.recv()
        acknowledged[item_id] = status
        if number == 30:
            writers[0].kill()
    writers[1].kill()
    for writer in writers:
        writer.join(30)
    while ours.poll():
        try:
            item_id, status = ours.recv()
        except EOFError:
            break
        acknowledged[item_id] = status
    ours.close()
    for item_id, status in acknowledged.items():
        item = store.items.get(item_id)
        assert item is not None
        # The last word may have been cut off between the commit and telling us.
        assert status in {item.status.value, Status.PENDING.value}
    assert not any(store.counters.recount(repair=False))
    assert store.counters.totals() != Counts()
