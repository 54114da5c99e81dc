"""As moderators decide, the findings of what waits follow; nothing moves by that, and no decision is overruled."""

from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING, Any

import pytest

from moderate.checks.premoderation import AGAIN, ENOUGH
from moderate.model import NO_ITEM, NewTask
from moderate.tasks import anew
from moderate.tasks.run import run
from moderate.tasks.scheduler import OwnTasks
from moderate.testing import AkismetStandIn
from tests.sites import Host
from tests.tasks import next_due, run_due

if TYPE_CHECKING:
    from pathlib import Path

    from moderate.model import Item, Task
    from moderate.submit.desk import Desk

OFFERED, PRAISED = (
    sorted(set(re.findall(r"\w+", text)))
    for text in (
        "casino bonus replica watches pills discount jackpot spins crypto profit loan roulette betting voucher",
        "ferry harbour winter island captain morning timetable fog pilot quay tide storm lantern anchor",
    )
)


def offer(n: int) -> str:
    return " ".join(["Best", *random.Random(n).sample(OFFERED, 7), f"https://spins{n}.example/"])


def praise(n: int) -> str:
    return " ".join(["The", *random.Random(n).sample(PRAISED, 7)])


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path, MODERATE_LIMITS={})


def work(host: Host) -> None:
    with host.app.app_context():
        while run_due(host.state.desk):
            pass


def work_later(host: Host) -> None:
    work(host)
    host.clock.advance(seconds=anew.EVERY.total_seconds() * 2)
    work(host)


def posted(host: Host, text: str) -> int:
    answer = host.comment(text)
    assert answer.status_code == 202, answer.text
    return int(answer.json["id"])


def seen(host: Host, item_id: int) -> dict[str, Any]:
    found: dict[str, Any] = host.client.get(f"/discuss/moderation/items/{item_id}", headers=host.token()).json
    return found


def found_by(host: Host, item_id: int, check: str) -> list[str]:
    return [finding["reason"] for finding in seen(host, item_id)["findings"] if finding["check"] == check]


def teach(host: Host, first: int = 0, number: int = 12) -> None:
    """Decide on as many offers and praises."""
    for n in range(first, first + number):
        for text, decision in ((offer(n), "spam"), (praise(n), "approve")):
            assert host.decide(posted(host, text), decision).status_code == 200


def taken(host: Host) -> Task:
    """Lease the task, as a worker does."""
    task = OwnTasks(alone=True).take(host.state.desk)
    assert task is not None
    assert task.kind == anew.KIND
    return task


def test_what_waits_is_suspected_once_its_like_was_called_spam(host: Host) -> None:
    waiting, harmless = posted(host, offer(901)), posted(host, praise(902))
    before = seen(host, waiting)
    assert before["score"] == 0
    teach(host)
    work(host)
    # Not with each decision, but a moment later.
    assert seen(host, waiting)["findings"] == []
    work_later(host)
    after = seen(host, waiting)
    assert found_by(host, waiting, "learned")
    assert after["score"] >= 0.4
    assert "learned" not in after["passed"]
    assert found_by(host, harmless, "learned") == []
    # It stands where it stood, and a card that was shown before is still good for a decision.
    same = ("status", "awaiting", "version", "history")
    assert {name: after[name] for name in same} == {name: before[name] for name in same}
    assert host.decide(waiting, "approve", version=before["version"]).status_code == 200


def test_a_suspicion_that_nothing_supports_any_more_goes(host: Host) -> None:
    waiting = posted(host, offer(901))
    teach(host)
    work_later(host)
    assert found_by(host, waiting, "learned")
    score = seen(host, waiting)["score"]
    spam = host.client.get("/discuss/moderation/items?status=spam", headers=host.token()).json["items"]
    for item in spam:
        host.decide(item["id"], "approve", version=item["version"])
    work_later(host)
    assert found_by(host, waiting, "learned") == []
    assert "learned" in seen(host, waiting)["passed"]
    assert seen(host, waiting)["score"] < score


def test_a_repeated_text_says_how_many_of_its_like_are_spam(host: Host) -> None:
    text = "Great offers on winter boots, jackets and gloves this weekend in our warehouse behind the station"
    numbers = [posted(host, f"{text} {n}") for n in range(4)]
    assert all("spam" not in reason for number in numbers for reason in found_by(host, number, "repeat"))
    host.decide(numbers[0], "spam")
    host.clock.advance(minutes=5)
    work_later(host)
    for number in numbers[1:]:
        assert "1 of them spam" in found_by(host, number, "repeat")[0]
        assert seen(host, number)["status"] == "pending"


def test_what_waits_follows_decisions_also_while_the_spam_service_is_down(tmp_path: Path) -> None:
    text = "Great offers on winter boots, jackets and gloves this weekend in our warehouse behind the station"
    with AkismetStandIn() as akismet:
        asked = {"MODERATE_AKISMET_KEY": "key", "MODERATE_AKISMET_URL": akismet.url}
        settings = {"MODERATE_LIMITS": {}, "MODERATE_SITE_URL": "http://localhost", **asked}
        host = Host(tmp_path, **settings)
        numbers = [posted(host, f"{text} {n}") for n in range(3)]
        work(host)
    # The service called it good, and another process cannot tell it now that it is not.
    host = Host(tmp_path, **settings)
    host.decide(numbers[0], "spam", version=seen(host, numbers[0])["version"])
    work_later(host)
    assert host.state.desk.store.samples.get(numbers[0]).verdict == "ham"
    assert all("1 of them spam" in found_by(host, number, "repeat")[0] for number in numbers[1:])


def test_a_repetition_is_no_news_a_day_later(host: Host) -> None:
    old = posted(host, "Great offers on winter boots, jackets and gloves this weekend behind the station")
    host.clock.advance(days=3)
    for n in range(3):
        posted(host, f"Great offers on winter boots, jackets and gloves this weekend behind the station {n}")
    host.decide(posted(host, "Something else."), "approve")
    work_later(host)
    assert found_by(host, old, "repeat") == []


def test_a_new_rule_is_applied_to_what_waits_and_publishes_nothing(host: Host) -> None:
    spam, held, other = (posted(host, f"All about {word} and more.") for word in ("zeppelins", "ferries", "trains"))
    rules = {"zeppelins": "spam", "ferries": "hold", "trains": "trust"}
    for word, effect in rules.items():
        rule = {"kind": "word", "value": word, "effect": effect}
        assert host.client.post("/discuss/moderation/rules", json=rule, headers=host.token()).status_code == 201
    work_later(host)
    assert [seen(host, number)["status"] for number in (spam, held, other)] == ["pending"] * 3
    assert [seen(host, number)["score"] for number in (spam, held, other)] == [0.9, 0.4, 0]
    listed = host.client.get("/discuss/moderation/rules", headers=host.token()).json["rules"]
    assert [rule["hits"] for rule in listed] == [1, 1, 0]
    host.client.delete(f"/discuss/moderation/rules/{listed[0]['id']}", headers=host.token())
    host.decide(other, "trash")
    work_later(host)
    assert seen(host, spam)["findings"] == []


def add_rule(host: Host, kind: str, value: str, effect: str) -> int:
    rule = {"kind": kind, "value": value, "effect": effect}
    answer = host.client.post("/discuss/moderation/rules", json=rule, headers=host.token())
    assert answer.status_code == 201, answer.text
    return int(answer.json["id"])


def test_a_new_rule_of_each_kind_is_applied_to_what_waits(host: Host) -> None:
    fields = {"author": "Cheap Pills", "url": "https://pills.example/", "email": "mika@mail.example"}
    rules = [("word", "cheap pills"), ("host", "pills.example"), ("email", "@mail.example"), ("ip", "127.0.0.0/8")]
    for number, (kind, value) in enumerate(rules, 1):
        assert host.comment(f"Number {number}.", **fields).status_code == 202
        rule = add_rule(host, kind, value, "hold")
        work_later(host)
        assert len(found_by(host, number, "rules")) == 1, kind
        host.client.delete(f"/discuss/moderation/rules/{rule}", headers=host.token())


def test_a_rule_that_was_deleted_and_added_again_is_the_one_that_is_named(host: Host) -> None:
    posted(host, "All about zeppelins.")
    first = add_rule(host, "word", "zeppelins", "hold")
    work_later(host)
    host.client.delete(f"/discuss/moderation/rules/{first}", headers=host.token())
    second = add_rule(host, "word", "zeppelins", "hold")
    work_later(host)
    (rule,) = host.client.get("/discuss/moderation/rules", headers=host.token()).json["rules"]
    assert (rule["id"], rule["hits"]) == (second, 1)


def test_what_was_trusted_is_not_suspected_and_findings_stand_in_the_order_of_the_checks(host: Host) -> None:
    add_rule(host, "word", "airships", "trust")
    links = " ".join(f"https://{name}.example/" for name in "abc")
    trusted = posted(host, f"{offer(901)} airships zeppelins {links}")
    assert [finding["check"] for finding in seen(host, trusted)["findings"]] == ["links", "trust-rules"]
    teach(host)
    add_rule(host, "word", "zeppelins", "hold")
    work_later(host)
    assert [finding["check"] for finding in seen(host, trusted)["findings"]] == ["rules", "links", "trust-rules"]


def test_what_links_waits_for_stays_on_its_card_and_comes_to_no_other(tmp_path: Path) -> None:
    host = Host(tmp_path, MODERATE_LIMITS={}, MODERATE_PREMODERATION="links")
    linked = posted(host, "The timetable: https://ferry.example/times")
    with host.app.app_context():
        for number in range(ENOUGH):
            # Texts of few letters pass however often they come.
            host.moderate.submit("thaw", f"Day {number}: on time.", author="Mika")
    host.clock.advance(seconds=AGAIN)
    foreign = posted(host, "素晴らしい記事をありがとうございます。")
    overrides = {"premoderation": "all"}
    host.client.put("/discuss/moderation/articles/thaw", json=overrides, headers=host.token())
    strict = posted(host, "And the prices: https://ferry.example/prices")
    cards = (linked, foreign, strict)
    before = [seen(host, number)["findings"] for number in cards]
    assert [len(found_by(host, number, "premoderation")) for number in cards] == [1, 1, 0]
    host.decide(posted(host, "One more."), "approve")
    work_later(host)
    assert [seen(host, number)["findings"] for number in cards] == before


def test_an_item_about_which_a_person_has_decided_is_left_as_it_is(host: Host) -> None:
    held = posted(host, offer(901))
    host.decide(held, "trash")
    host.decide(held, "hold", version=2)
    before = seen(host, held)
    teach(host)
    work_later(host)
    assert {**seen(host, held), "others": []} == before


def test_who_decides_meanwhile_wins(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    waiting = [posted(host, offer(n)) for n in (901, 902)]
    teach(host)
    work(host)
    items = host.state.desk.store.items
    renew = type(items).renew

    def decide_first(self: Any, judged: Any, now: Any) -> None:
        assert {before.id for before, _ in judged} == set(waiting)
        assert host.decide(waiting[0], "approve").status_code == 200
        renew(self, judged, now)

    with monkeypatch.context() as patch:
        patch.setattr(type(items), "renew", decide_first)
        host.clock.advance(seconds=anew.EVERY.total_seconds() * 2)
        with host.app.app_context():
            run(host.state.desk, taken(host))
    assert (seen(host, waiting[0])["status"], seen(host, waiting[0])["findings"]) == ("approved", [])
    assert found_by(host, waiting[1], "learned")


def test_it_is_done_once_however_many_decisions_there_are(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    rounds = []
    judged = anew.judged_anew

    def counted(desk: Desk, item: Item) -> Item:
        rounds.append(item.id)
        return judged(desk, item)

    monkeypatch.setattr(anew, "judged_anew", counted)
    posted(host, "Something that waits.")
    teach(host, number=5)
    work(host)
    assert rounds == []
    work_later(host)
    assert len(rounds) == 1
    # What is asked for while it is done is due at once, and waits for its turn all the same.
    task = NewTask(kind=anew.KIND, due_at=host.clock.now())
    host.state.desk.store.tasks.add(NO_ITEM, [task], host.clock.now())
    work(host)
    assert len(rounds) == 1
    work_later(host)
    assert len(rounds) == 2
    assert next_due(host.state.desk.store.tasks) is None


def test_other_tasks_have_their_turn_and_it_goes_on_where_it_was(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(anew, "STEP", 2)
    monkeypatch.setattr(anew, "SPELL", 0.0)
    monkeypatch.setattr(anew, "MOST", 6)
    waiting = [posted(host, offer(n)) for n in range(901, 909)]
    teach(host)
    work(host)
    host.clock.advance(seconds=anew.EVERY.total_seconds() * 2)
    desk = host.state.desk
    with host.app.app_context():
        run(desk, taken(host))
        suspected = [bool(found_by(host, number, "learned")) for number in waiting]
        assert suspected == [False] * 6 + [True] * 2
        # A decision in between has it begin again.
        anew.ask(desk)
        host.clock.advance(seconds=anew.EVERY.total_seconds())
        run(desk, taken(host))
        run(desk, taken(host))
        assert [bool(found_by(host, number, "learned")) for number in waiting] == [False] * 4 + [True] * 4
    work(host)
    # The newest six.
    assert [bool(found_by(host, number, "learned")) for number in waiting] == [False] * 2 + [True] * 6


def test_an_outage_leaves_the_findings_that_there_were(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    waiting = posted(host, offer(901))
    teach(host)
    work_later(host)
    before = seen(host, waiting)["findings"]
    host.decide(posted(host, "One more."), "approve")
    work(host)
    monkeypatch.setattr(type(host.state.desk.services.tokens), "lookup", lambda *_: 1 / 0)
    work_later(host)
    assert seen(host, waiting)["findings"] == before


def test_nothing_is_written_where_nothing_changes(host: Host) -> None:
    posted(host, offer(901))
    teach(host)
    work_later(host)
    host.decide(posted(host, "Quite another thing."), "approve")
    work(host)
    asked = host.statements()
    work_later(host)
    assert not [statement for statement in asked if statement.startswith("UPDATE moderate_items")]
