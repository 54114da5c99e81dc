"""Decisions on more items than a request waits for: a task with a progress, on which workers decide in chunks."""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from moderate import Moderator, signals
from moderate.database.schema import history, items
from moderate.errors import Halted
from moderate.model import Decision
from moderate.moderation import decide
from moderate.moderation.bulk_views import BatchOut
from moderate.tasks.housekeeping import tidy
from moderate.tasks.run import run
from moderate.tasks.scheduler import OwnTasks
from tests.factories import fill_thread
from tests.servers import wait_until
from tests.sites import Host
from tests.tasks import run_due

if TYPE_CHECKING:
    from pathlib import Path

API = "/discuss/moderation"
EVERYTHING = {"decision": "spam", "filter": {"status": "pending"}}


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five items are many here, and two a chunk."""
    monkeypatch.setattr(decide, "AT_ONCE", 5)
    monkeypatch.setattr(decide, "CHUNK", 2)


def fill(host: Host, number: int) -> None:
    """Have that many items, which all wait for a moderator."""
    with host.app.app_context():
        fill_thread(host.state.desk.store, number, status="pending", awaiting="moderator")


def post(host: Host, where: str, by: str = "mori", **body: Any) -> Any:
    return host.client.post(f"{API}/{where}", json=body, headers=host.token(by))


def begin(host: Host, number: int, by: str = "mori", **changes: Any) -> Any:
    answer = post(host, "decisions", by, **{**EVERYTHING, "expect": number, **changes})
    assert answer.status_code == 202, answer.text
    return answer


def progress(host: Host, batch: str) -> dict[str, Any]:
    found: dict[str, Any] = host.client.get(f"{API}/batches/{batch}", headers=host.token()).json
    BatchOut.model_validate(found)
    return found


def work(host: Host) -> None:
    with host.app.app_context():
        while run_due(host.state.desk):
            pass


def statuses(host: Host) -> dict[int, str]:
    with host.app.app_context(), host.state.desk.store.database.read() as conn:
        return {row.id: row.status for row in conn.execute(select(items.c.id, items.c.status))}


def lines_of(host: Host, batch: str) -> list[int]:
    with host.app.app_context(), host.state.desk.store.database.read() as conn:
        return list(conn.execute(select(history.c.item_id).where(history.c.batch == batch)).scalars())


def is_counted_well(host: Host) -> bool:
    with host.app.app_context():
        return not any(host.state.desk.store.counters.recount(repair=False))


def test_many_items_are_a_task_with_a_batch_at_once_and_a_status(host: Host) -> None:
    fill(host, 7)
    heard: list[tuple[int, str]] = []
    with signals.item_marked_spam.connected_to(lambda _app, item, by: heard.append((item.id, by)), sender=host.app):
        answer = begin(host, 7, note="a robot")
        batch = answer.json["batch"]
        assert answer.headers["Location"] == f"{API}/batches/{batch}" == answer.json["links"]["status"]
        asked = {"batch": batch, "act": "spam", "by": "mori", "state": "running", "total": 7, "reason": None}
        assert asked.items() <= progress(host, batch).items()
        assert (progress(host, batch)["decided"], set(statuses(host).values())) == (0, {"pending"})
        work(host)
    now = progress(host, batch)
    assert (now["state"], now["decided"], now["conflicts"]) == ("done", 7, 0)
    assert set(statuses(host).values()) == {"spam"}
    assert heard == [(number, "mori") for number in range(1, 8)]
    log = host.client.get(now["links"]["history"], headers=host.token()).json["history"]
    assert {(line["by"], line["note"], line["batch"]) for line in log} == {("mori", "a robot", batch)}
    assert sorted(line["item"] for line in log) == list(range(1, 8))
    assert is_counted_well(host)


def test_as_many_as_a_request_waits_for_are_decided_at_once(host: Host) -> None:
    fill(host, 5)
    answer = post(host, "decisions", **EVERYTHING, expect=5)
    assert (answer.status_code, len(answer.json["decided"])) == (200, 5)
    assert host.client.get(f"{API}/batches/{answer.json['batch']}", headers=host.token()).status_code == 404


def test_five_hundred_are_decided_at_once_and_one_more_is_a_task(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    fill(host, 501)
    assert begin(host, 501).json["total"] == 501
    host.decide(1, "trash", 1)
    assert post(host, "decisions", **EVERYTHING, expect=500).status_code == 200


def test_other_numbers_than_expected_begin_nothing(host: Host) -> None:
    fill(host, 7)
    assert post(host, "decisions", **EVERYTHING, expect=6).status_code == 409
    work(host)
    assert set(statuses(host).values()) == {"pending"}


def test_what_came_or_was_decided_since_the_request_is_left(host: Host) -> None:
    fill(host, 7)
    batch = begin(host, 7).json["batch"]
    newer = host.comment("Came later").json["id"]
    host.decide(3, "approve", 1, **host.token("sato"))
    work(host)
    now = progress(host, batch)
    assert (now["state"], now["decided"], now["conflicts"]) == ("done", 6, 1)
    assert (statuses(host)[3], statuses(host)[newer]) == ("approved", "pending")


def test_a_batch_comes_before_its_own_feedback_and_after_tasks_that_were_due_earlier(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decide, "SPELL", 0.0)
    fill(host, 7)
    host.decide(1, "approve", 1)
    host.clock.advance(seconds=1)
    batch = begin(host, 6).json["batch"]
    done: list[str] = []
    with host.app.app_context():
        while task := OwnTasks(alone=True).take(host.state.desk):
            done.append(task.kind.partition(":")[0])
            run(host.state.desk, task)
            host.clock.advance(seconds=1)
        # Between them what waits is judged anew, as it happens to fall due.
        done = [kind for kind in done if kind != "anew"]
        assert done == ["teach", "batch", "batch", "batch", *["teach"] * 6]
    assert progress(host, batch)["decided"] == 6


def test_an_undo_stops_the_rest_and_puts_back_what_was_decided(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decide, "SPELL", 0.0)
    fill(host, 9)
    batch = begin(host, 9).json["batch"]
    with host.app.app_context():
        while progress(host, batch)["decided"] < 4:
            run_due(host.state.desk)
    host.decide(2, "approve", 2, **host.token("sato"))
    undone = post(host, "undo", "sato", batch=batch)
    assert (undone.status_code, [done["id"] for done in undone.json["undone"]]) == (200, [1, 3, 4])
    assert [left["id"] for left in undone.json["conflicts"]] == [2]
    work(host)
    assert (progress(host, batch)["state"], progress(host, batch)["decided"]) == ("stopped", 4)
    assert statuses(host) == {number: "approved" if number == 2 else "pending" for number in range(1, 10)}
    assert is_counted_well(host)


def test_a_batch_has_a_status_for_a_month_after_its_end_and_can_be_undone_after_it(host: Host) -> None:
    fill(host, 6)
    batch = begin(host, 6, decision="approve").json["batch"]
    work(host)
    host.clock.advance(days=29)
    waiting = begin(host, 6, filter={"status": "approved"}, decision="hold").json["batch"]
    with host.app.app_context():
        tidy(host.state.desk)
    assert progress(host, batch)["state"] == "done"
    host.clock.advance(days=60)
    with host.app.app_context():
        tidy(host.state.desk)
    assert host.client.get(f"{API}/batches/{batch}", headers=host.token()).status_code == 404
    assert progress(host, waiting)["state"] == "running"
    assert post(host, "undo", batch=batch).status_code == 202


def test_an_undo_before_the_first_item_leaves_all_as_they_are(host: Host) -> None:
    fill(host, 7)
    batch = begin(host, 7).json["batch"]
    assert post(host, "undo", batch=batch).json["undone"] == []
    work(host)
    assert (progress(host, batch)["state"], set(statuses(host).values())) == ("stopped", {"pending"})


def test_the_undo_of_many_is_a_task_too_and_can_be_undone(host: Host) -> None:
    fill(host, 7)
    batch = begin(host, 7).json["batch"]
    work(host)
    host.decide(5, "approve", 2, **host.token("sato"))
    answer = post(host, "undo", batch=batch)
    assert (answer.status_code, answer.json["act"], answer.json["total"]) == (202, "undo", 7)
    assert answer.headers["Location"] == f"{API}/batches/{answer.json['batch']}"
    work(host)
    now = progress(host, answer.json["batch"])
    assert (now["state"], now["decided"], now["conflicts"]) == ("done", 6, 1)
    assert statuses(host) == {number: "approved" if number == 5 else "pending" for number in range(1, 8)}
    assert post(host, "undo", batch=answer.json["batch"]).status_code == 202
    work(host)
    assert [number for number, status in statuses(host).items() if status == "spam"] == [1, 2, 3, 4, 6, 7]
    assert is_counted_well(host)


def test_a_worker_that_died_in_between_leaves_the_rest_to_the_next_one(host: Host) -> None:
    fill(host, 9)
    batch = begin(host, 9).json["batch"]

    def die(_app: object, item: Any, by: str) -> None:
        del by
        if item.id == 4:
            raise KeyboardInterrupt

    with signals.item_marked_spam.connected_to(die, sender=host.app), pytest.raises(KeyboardInterrupt):
        work(host)
    assert (progress(host, batch)["state"], progress(host, batch)["decided"]) == ("running", 4)
    work(host)
    assert progress(host, batch)["decided"] == 4, "its lease has not ended"
    host.clock.advance(seconds=121)
    work(host)
    now = progress(host, batch)
    assert (now["state"], now["decided"], now["conflicts"]) == ("done", 9, 0)
    assert sorted(lines_of(host, batch)) == list(range(1, 10))


def test_a_batch_that_is_given_up_says_so_and_goes_on_when_replayed(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(host, 7)
    batch = begin(host, 7).json["batch"]
    with monkeypatch.context() as broken:
        broken.setattr(host.state.desk.store.decisions, "decide", lambda *_, **__: 1 / 0)
        work(host)
        host.clock.advance(days=4)
        work(host)
    now = progress(host, batch)
    assert (now["state"], now["decided"]) == ("failed", 0)
    assert "ZeroDivisionError" in now["reason"]
    assert host.app.test_cli_runner().invoke(args=["moderate", "tasks", "replay", "--all"]).exit_code == 0
    work(host)
    assert (progress(host, batch)["state"], progress(host, batch)["decided"]) == ("done", 7)


@pytest.mark.parametrize("wanted", ["none", "x" * 70, "%00", "a%00b"])
def test_a_batch_that_is_not_there_has_no_status(host: Host, wanted: str) -> None:
    answer = host.client.get(f"{API}/batches/{wanted}", headers=host.token())
    assert (answer.status_code, answer.json["code"]) == (404, "unknown-decision")


def test_only_moderators_see_a_status(host: Host) -> None:
    fill(host, 7)
    assert host.client.get(begin(host, 7).headers["Location"]).status_code == 401


def test_threads_of_a_web_process_decide_where_there_is_no_other_worker(tmp_path: Path) -> None:
    host = Host(tmp_path, MODERATE_WORKER="thread", MODERATE_LIMITS={})
    fill(host, 7)
    batch = begin(host, 7).json["batch"]
    wait_until(lambda: progress(host, batch)["state"] == "done", within=60)
    assert set(statuses(host).values()) == {"spam"}


@pytest.mark.parametrize("database", ["pg_url", "mariadb_url", None])
def test_several_moderators_and_workers_at_once_decide_each_item_and_count_well(
    tmp_path: Path, database: str | None, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decide, "SPELL", 0.0)
    url = None if database is None else request.getfixturevalue(database)
    host = Host(tmp_path, MODERATE_LIMITS={}, MODERATE_DATABASE_URL=url)
    if url is not None:
        with host.app.app_context():
            host.state.tables.upgrade()
    fill(host, 24)
    first = begin(host, 24).json["batch"]
    with host.app.app_context():
        while not progress(host, first)["decided"]:
            run_due(host.state.desk)
    second = begin(host, 24 - progress(host, first)["decided"], "sato", decision="approve").json["batch"]
    undone: list[Any] = []

    def take_back() -> None:
        undone.append(post(host, "undo", "kato", batch=first))

    threads = [threading.Thread(target=work, args=[host]) for _ in range(3)] + [threading.Thread(target=take_back)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    work(host)
    assert undone[0].status_code in {200, 202}
    for batch in (first, second):
        now, lines = progress(host, batch), lines_of(host, batch)
        assert len(set(lines)) == len(lines) <= now["decided"]
        assert now["state"] == "stopped" or now["decided"] + now["conflicts"] == now["total"]
    assert progress(host, second)["state"] == "done"
    assert "spam" not in statuses(host).values()
    assert is_counted_well(host)


def test_a_chunk_that_another_worker_has_decided_is_not_counted_again(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decide, "SPELL", 0.0)
    fill(host, 7)
    batch = begin(host, 7).json["batch"]
    with host.app.app_context():
        while not progress(host, batch)["decided"]:
            run_due(host.state.desk)
        again = {"by": "mori", "note": None, "batch": batch, "now": host.clock.now(), "position": 0}
        with pytest.raises(Halted):
            host.state.desk.store.decisions.decide({1: 2, 2: 2}, Decision.TRASH, **again)
    assert (statuses(host)[1], progress(host, batch)["decided"]) == ("spam", 2)


def test_a_batch_that_confirms_what_checks_have_marked_is_written_down_once_and_can_be_undone(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decide, "SPELL", 0.0)
    with host.app.app_context():
        fill_thread(host.state.desk.store, 7, status="spam")
    counts, marked = host.counts(), {"status": "spam", "decided": 0}
    batch = begin(host, 7, filter=marked).json["batch"]
    assert host.decide(6, "spam", 1, **host.token("sato")).json["decided_by"] == "sato"
    work(host)
    assert (progress(host, batch)["decided"], sorted(lines_of(host, batch))) == (7, [1, 2, 3, 4, 5, 7])
    assert deciders(host) == {**dict.fromkeys(range(1, 8), ("mori", 1)), 6: ("sato", 1)}
    undo = post(host, "undo", batch=batch).json["batch"]
    work(host)
    assert (progress(host, undo)["decided"], deciders(host)[6]) == (6, ("sato", 1))
    assert set(deciders(host).values()) == {(None, 1), ("sato", 1)}
    assert (set(statuses(host).values()), host.counts()) == ({"spam"}, counts)


def deciders(host: Host) -> dict[int, tuple[str | None, int]]:
    with host.app.app_context(), host.state.desk.store.database.read() as conn:
        rows = conn.execute(select(items.c.id, items.c.decided_by, items.c.version))
        return {row.id: (row.decided_by, row.version) for row in rows}


# --- the page -----------------------------------------------------------------------------------------


def csrf(host: Host) -> str:
    found = re.search(r'name="csrf_token" value="([^"]+)"', host.client.get(f"{API}/?status=").text)
    assert found
    return found[1]


def press(host: Host, form: str, **fields: str) -> str:
    """Send a form of the queue, and return the address of the page that follows."""
    answer = host.client.post(f"{API}/queue/{form}", data={"csrf_token": csrf(host), "filter_status": "", **fields})
    assert answer.status_code == 303, answer.text
    return str(answer.headers["Location"])


def is_cautioned(host: Host, page: str) -> bool:
    return 'class="notice caution"' in host.client.get(page).text


def told(host: Host, page: str) -> str:
    found = re.search(r'<p role="status"[^>]*>([^<]*)</p>', host.client.get(page).text)
    return found[1] if found else ""


def test_the_page_shows_how_far_it_is_with_a_bar_a_link_and_an_undo(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decide, "SPELL", 0.0)
    host.moderator = Moderator("mori")
    fill(host, 7)
    page = press(host, "all", decision="spam", expect="7")
    assert told(host, page) == "0 of 7 items so far: spam."
    with host.app.app_context():
        run_due(host.state.desk)
        while "2 of 7" not in told(host, page):
            run_due(host.state.desk)
    html = host.client.get(page).text
    assert re.search(r'<progress max="7" value="2" aria-label="Items decided">', html)
    assert f'<a href="{page.replace("&", "&amp;")}">Show how it stands now</a>' in html
    batch = re.findall(r'name="batch" value="([^"]+)"', html)
    page_after = press(host, "undo", batch=batch[0])
    assert told(host, page_after) == "2 items: put back."
    assert not is_cautioned(host, page_after)
    work(host)
    assert told(host, page) == "Stopped. 2 of 7 items: spam."
    assert is_cautioned(host, page)
    assert set(statuses(host).values()) == {"pending"}


def test_the_page_says_in_the_end_what_was_done_and_what_was_left(host: Host) -> None:
    host.moderator = Moderator("mori")
    fill(host, 7)
    page = press(host, "all", decision="trash", expect="7")
    host.decide(3, "approve", 1, **host.token("sato"))
    work(host)
    assert told(host, page) == "6 items: trash. 1 item was left as it is."
    assert is_cautioned(host, page)
    html = host.client.get(page).text
    assert "<progress" not in html
    batch = re.findall(r'name="batch" value="([^"]+)"', html)
    undo = press(host, "undo", batch=batch[0])
    assert told(host, undo) == "0 of 6 items so far: put back."
    assert not is_cautioned(host, undo)
    assert 'name="batch"' not in host.client.get(undo).text
    work(host)
    assert told(host, undo) == "6 items: put back."
    assert not is_cautioned(host, undo)
