"""Judging anew what waits for a moderator, as moderators decide.

After decisions, and after a new rule, a task asks those checks again whose answers follow from them. It changes the
findings of items, and with them their scores; it never moves an item. It goes through the newest items that wait, some
in each transaction, and never touches one about which a person has decided.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, cast

from moderate.checks.base import Facts, Services, judge
from moderate.checks.history import REPEATED
from moderate.model import (
    NO_ITEM,
    Article,
    Awaiting,
    Body,
    Client,
    Item,
    ItemFilter,
    Lean,
    NewTask,
    Status,
    Submission,
)
from moderate.text.similarity import near_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from moderate.checks.base import Check
    from moderate.model import Finding, Task
    from moderate.submit.desk import Desk

KIND = "anew"

#: The time from a decision to the task, and in which a site does it at most once. Moderators decide on many items in a
#: row, and other processes see a new rule after as long.
EVERY = timedelta(seconds=5)

#: The number of items that are judged at most, and of those that are read and written together.
MOST = 1000
STEP = 50

#: Seconds that a worker judges before other tasks have their turn.
SPELL = 1.0

#: By how much a probability has to move to be written: with each decision all of them move a little.
LEAST_MOVE = 0.01


def ask(desk: Desk) -> None:
    """Have what waits judged anew, unless that is to be done already. Call it after a decision has been learned."""
    now = desk.clock.now()
    desk.store.tasks.add_once(NO_ITEM, NewTask(kind=KIND, due_at=now + EVERY), now)


def judge_waiting(desk: Desk, task: Task) -> None:
    """Judge the newest items that wait for a moderator, for `SPELL` seconds; the task goes on where more are left.

    Where it is asked for meanwhile, it begins again at the newest.
    """
    now, begun = desk.clock.now(), cast("dict[str, int | None]", task.payload)
    turn = int(now.timestamp() // EVERY.total_seconds())
    if "left" not in begun and not desk.store.nonces.use_once(f"{KIND}:{turn}", now + 2 * EVERY, now):
        next_turn = datetime.fromtimestamp((turn + 1) * EVERY.total_seconds(), UTC)
        desk.store.tasks.retry(task, next_turn, "it was done a moment ago", is_attempt=False)
        return
    over = desk.clock.monotonic() + SPELL
    below, left = begun.get("below"), begun.get("left") or MOST
    while left > 0:
        page = desk.store.queue.page(ItemFilter(status=Status.PENDING), cursor=below, limit=min(STEP, left))
        renewed = [(item, after) for item in page.items if (after := judged_anew(desk, item)) is not item]
        if renewed:
            desk.store.items.renew(renewed, desk.clock.now())
        left, below = left - len(page.items), page.next
        if below is None:
            break
        if left > 0 and desk.clock.monotonic() >= over:
            desk.store.tasks.go_on(task, {"below": below, "left": left})
            return
    desk.store.tasks.finish(task)


def judged_anew(desk: Desk, item: Item) -> Item:
    """Return an item with the findings that checks would have of it now; the same one where nothing changes."""
    if item.awaiting is not Awaiting.MODERATOR or item.decided_by is not None:
        return item
    now = desk.clock.now()
    submission, facts = submission_of(item), facts_of(desk, item)
    left_out = {name for name, _ in item.skipped or ()}
    before = {finding.check: finding for finding in item.findings}
    found = dict(before)
    passed = dict.fromkeys(item.passed)
    for check in desk.checks:
        follows = getattr(check, "follows", None)
        if follows is None or check.name in left_out or now - item.created_at > follows:
            continue
        verdict = judge(submission, facts, [check], remote=False)
        for name in verdict.passed:
            found.pop(name, None)
            passed[name] = None
        for finding in verdict.findings:
            # What could not tell, in an outage of the database say, does not replace what could.
            if finding.lean is not Lean.UNSURE and not is_same(before.get(finding.check), finding):
                found[finding.check] = replace(finding, at=now)
                passed.pop(finding.check, None)
    if found == before:
        return item
    return replace(item, findings=in_order(found.values(), desk.checks), passed=tuple(passed))


def is_same(before: Finding | None, after: Finding) -> bool:
    """Return whether a finding says the same as before, but for a probability that has moved by little."""
    if before is None or (before.lean, before.rule, before.version) != (after.lean, after.rule, after.version):
        return False
    if before.reason == after.reason:
        return True
    if before.score is None or after.score is None:
        return False
    return max(before.score, after.score) <= 1 and abs(before.score - after.score) < LEAST_MOVE


def in_order(findings: Iterable[Finding], checks: Sequence[Check]) -> tuple[Finding, ...]:
    """Return findings in the order of the checks; those of none of them come last."""
    places = {check.name: place for place, check in enumerate(checks)}
    return tuple(sorted(findings, key=lambda finding: places.get(finding.check, len(places))))


def submission_of(item: Item) -> Submission:
    """Return the submission that a stored item was, without cleaning it again."""
    return Submission(
        kind=item.kind,
        article=Article(item.article, item.article_title, item.article_url),
        client=Client(item.ip or "", item.user_agent or "", item.referrer or ""),
        body=Body(item.text, item.html, item.policy, item.links),
        author=item.author,
        email=item.email,
        url=item.url,
        author_id=item.author_id,
        parent=item.parent,
        source_url=item.source_url,
        title=item.title,
        blog_name=item.blog_name,
        honeypot=item.honeypot,
        text_key=item.text_key,
    )


def facts_of(desk: Desk, item: Item) -> Facts:
    """Return the facts at the time when the item came in. No other server is asked, and no statistics are kept."""
    near = near_text(item.text)
    since = item.created_at - REPEATED
    return Facts(
        article=Article(item.article, item.article_title, item.article_url),
        # Under this nothing but the checks is asked: what "links" finds does not follow from decisions, and stays.
        premoderation="all",
        now=item.created_at,
        clock=desk.clock,
        earlier=desk.store.earlier,
        settings=desk.settings,
        alike=None if near is None else desk.store.earlier.near_text(item.text_key, near, since),
        services=Services(rules=desk.services.rules, tokens=desk.services.tokens),
        item_id=item.id,
        is_recheck=True,
    )
