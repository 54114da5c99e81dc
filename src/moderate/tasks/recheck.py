"""The third act: deferred work. Lease what is due, do the slow thing with no transaction open, settle.

A worker may die at any line: its lease ends and another one does the task again, which is harmless.
What a person has decided meanwhile is never overwritten. A task that cannot be done is in the end
given to a person, with the reason, and never dropped.
"""

from __future__ import annotations

import hashlib
import logging
import random
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from moderate import signals
from moderate.akismet import account
from moderate.akismet.check import sample_of
from moderate.akismet.feedback import keep_sample, teach
from moderate.akismet.values import SpamSample
from moderate.checks.base import Facts, judge_anew
from moderate.confirmation import confirm as confirming
from moderate.errors import ServiceDown
from moderate.model import Awaiting, Content, Finding, Lean, NewTask, Status, Verdict
from moderate.notices.delivery import ATTEMPTS, notice_tasks_for_verdict, notify
from moderate.sources.link_loss import forgive, is_lost, lose
from moderate.sources.verify import Seen, described, look_at, raw_of
from moderate.tasks.scheduler import Reading, take_own
from moderate.text.clean import clean
from moderate.waves.watch import is_suspicious

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from moderate.model import Article, Item, Submission, Task
    from moderate.sources.verify import Words
    from moderate.submit.desk import Desk

log = logging.getLogger("moderate")

#: The first retry comes within this time, each later one within three times as much, up to the longest.
FIRST_RETRY = timedelta(minutes=20)
LONGEST_RETRY = timedelta(hours=12)

#: How long a verdict may stay open before a person is asked.
PATIENCE = timedelta(days=3)

#: How many workers may die over one task before a person is asked.
DEATHS = 2

#: The same where the worker is a thread of a web process: readers must not lose their server twice.
DEATHS_ON_THE_WEB = 1

#: How often a later look at a source is tried.
LOOK_ATTEMPTS = 5

#: A source is read at most once in this time, whoever asks for it.
COURTESY = timedelta(minutes=10)

#: How long after it came in an approved ping is looked at again.
LOOK_AGAIN = (timedelta(days=1), timedelta(days=7), timedelta(days=30))


def run_due(desk: Desk) -> int:
    """Do the one task whose turn it is. Returns how many were taken: 0 means that nothing is due."""
    task = take_own(desk) or Reading().take(desk)
    if task is None:
        return 0
    run(desk, task)
    return 1


def run(desk: Desk, task: Task, *, deaths: int = DEATHS) -> None:
    """Do one leased task, and keep with it what it raises.

    A task over which *deaths* workers died or hung is not started again but given up, and so is in the end one that
    always fails, one for a service that stays away, and one of a kind that no newer version has come for; the item is
    then a person's.
    """
    handler = HANDLERS.get(task.kind.partition(":")[0])
    if handler is None:
        reason = f"this version does not know the {task.kind} task, which a newer one wrote"
        give_up(desk, task, reason, reason)
        return
    if task.deaths >= deaths:
        log.error(
            "Task %d (%s) for item %d is given up: %d workers died or hung over it.",
            task.id,
            task.kind,
            task.item,
            task.deaths,
            extra=keyed(task),
        )
        reason = f"a worker process crashed, hung or was killed during the {task.kind} task (times: {task.deaths})"
        give_up(desk, task, reason, reason)
        return
    try:
        handler(desk, task)
    except ServiceDown as error:
        account.note(desk, [error])
        # An outage of the database is nobody's attempt.
        if task.attempts >= ATTEMPTS and error.service != "database":
            give_up(desk, task, f"the {task.kind} task failed ({error.service})", str(error))
        else:
            desk.store.tasks.retry(task, desk.clock.now() + backoff(task), str(error))
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        # A hook of the host that calls `sys.exit`, or raises what is no `Exception`, must not end the thread.
        log.exception("Task %d (%s) for item %d failed.", task.id, task.kind, task.item, extra=keyed(task))
        spoil(desk, task, error)


def keyed(task: Task) -> dict[str, int]:
    """Return the fields of a log record about a task."""
    return {"moderate_task": task.id, "moderate_item": task.item}


def spoil(desk: Desk, task: Task, error: BaseException) -> None:
    """Try a task again that failed in an unforeseen way; give it up after some days."""
    now, name = desk.clock.now(), type(error).__name__
    if is_exhausted(task, now):
        give_up(desk, task, f"the {task.kind} task failed ({name})", name)
    else:
        desk.store.tasks.retry(task, now + backoff(task), name)


def give_up(desk: Desk, task: Task, reason: str, error: str) -> None:
    """Keep a task among the dead ones with *error*; an item that waits for it is held for a moderator with *reason*."""
    now, item = desk.clock.now(), desk.store.items.get(task.item)
    if item is not None and item.awaiting is Awaiting.CHECKS:
        finding = Finding("task", Lean.HOLD, reason, at=now)
        verdict = Verdict(
            Status.PENDING, Awaiting.MODERATOR, (*item.findings, finding), item.passed, skipped=item.skipped or ()
        )
        desk.store.items.settle(
            None, item.id, item.version, verdict, now, tasks=notice_tasks_for_verdict(desk.notices, verdict, now)
        )
    desk.store.tasks.bury(task, error)


def backoff(task: Task) -> timedelta:
    """Full jitter: somewhere between nothing and the longest wait of this attempt, so that no herd forms."""
    longest: timedelta = min(LONGEST_RETRY, FIRST_RETRY * 3 ** min(max(task.attempts - 1, 0), 10))
    return longest * random.random()  # noqa: S311


# --- judging --------------------------------------------------------------------------------------


def judge_again(desk: Desk, task: Task) -> None:
    """Ask all checks, the remote ones too, about an item that awaits them or whose source pinged again."""
    item = desk.store.items.get(task.item)
    if item is None or not is_wanted(task, item):
        desk.store.tasks.finish(task)
        return
    article = desk.articles.load(item.article)
    if article is None:
        settle(desk, task, item, held(item, "the article is gone", desk.clock.now()), None)
        return
    if must_wait(desk, item):
        put_off(desk, task, "its source was read a short while ago")
        return
    seen = look(desk, task, item, article)
    if seen is not None and seen.is_busy and not is_exhausted(task, desk.clock.now()):
        put_off(desk, task, "its server was busy with other pings")
        return
    if seen is not None and is_lost(item, seen):
        lose(desk, task, item, seen)
        return
    forgive(desk, item, seen)
    words = words_of(task)
    submission = (
        described(item, article, seen, desk.policy, words) if seen else as_submitted(desk, item, article, words)
    )
    facts = with_sample(facts_of(desk, task, item, article, seen), submission)
    verdict = judge_anew(item, submission, facts, desk.checks, remote=True)
    account.note(desk, facts.heard)
    if facts.sample is not None:
        keep_sample(desk, item, facts.sample, facts.heard)
    settle(desk, task, item, patient(verdict, task, desk.clock.now()), content_of(submission, seen, words))


def is_wanted(task: Task, item: Item) -> bool:
    """A task to judge ends with the wait for checks; one to look again goes on for what is public."""
    if item.awaiting is Awaiting.CHECKS:
        return True
    return task.kind == "look" and item.kind.is_ping and item.status in {Status.APPROVED, Status.PENDING}


def must_wait(desk: Desk, item: Item) -> bool:
    """Whether the source was read less than ten minutes ago, for this ping or another."""
    if desk.services.fetcher is None or not item.kind.is_ping:
        return False
    now = desk.clock.now()
    source = hashlib.sha256((item.source_url or "").encode()).hexdigest()
    return not desk.store.nonces.use_once(f"fetch:{source}", now + COURTESY, now)


def put_off(desk: Desk, task: Task, reason: str) -> None:
    """Nothing was tried, so the task stays as fresh as it was."""
    desk.store.tasks.retry(task, desk.clock.now() + COURTESY, reason, is_attempt=False)


def look(desk: Desk, task: Task, item: Item, article: Article) -> Seen | None:
    if desk.services.fetcher is None or not item.kind.is_ping:
        return None
    site = desk.settings.site_url or article.url
    about = f"+{site}; verifying {item.kind.value} from {item.ip or '?'}"
    return look_at(
        desk.services.fetcher,
        item,
        article,
        target=target_of(task),
        find=desk.articles.find,
        about=about,
        now=desk.clock.now(),
    )


def target_of(task: Task) -> str | None:
    """The address that the sender gave for the article; None where it named the article itself (TrackBack)."""
    target = task.payload.get("target")
    return target if isinstance(target, str) else None


def words_of(task: Task) -> Words:
    """What the sender said last, which the item may not say yet; empty where it said nothing."""
    words = task.payload.get("words")
    return words if isinstance(words, dict) else {}


def as_submitted(desk: Desk, item: Item, article: Article, words: Words) -> Submission:
    """A comment as it came in, cleaned anew; what an earlier policy let through is not lost to a stricter one."""
    submission = clean(raw_of(item, words), article, replace(desk.policy, max_length=1_000_000), require_author=False)
    return replace(submission, author_id=item.author_id)


def facts_of(desk: Desk, task: Task, item: Item, article: Article, seen: Seen | None) -> Facts:
    asked = task.payload.get("sample")
    overrides = desk.store.articles.overrides(article.key)
    return Facts(
        article=article,
        premoderation=overrides.premoderation or desk.settings.premoderation,
        now=desk.clock.now(),
        clock=desk.clock,
        earlier=desk.store.earlier,
        settings=desk.settings,
        services=desk.services,
        source=seen.look if seen else None,
        sample=SpamSample.from_json(asked) if isinstance(asked, dict) else None,
        item_id=item.id,
        is_recheck=task.attempts > 1,
    )


def with_sample(facts: Facts, submission: Submission) -> Facts:
    """Fix what the spam service is asked, so that what is kept is what was sent."""
    if facts.services.spam is None or facts.sample is not None:
        return facts
    return replace(facts, sample=sample_of(submission, facts))


def content_of(submission: Submission, seen: Seen | None, words: Words) -> Content | None:
    """What the source says now; None for comments, and where the source told nothing."""
    is_told = bool(words) if seen is None else seen.look.links_here
    if not is_told:
        return None
    return Content(
        body=submission.body,
        author=submission.author,
        url=submission.url,
        title=submission.title,
        blog_name=submission.blog_name,
        text_key=submission.text_key,
    )


def patient(verdict: Verdict, task: Task, now: datetime) -> Verdict:
    """What stayed open for too long goes to a person, with all that was found."""
    if verdict.awaiting is Awaiting.CHECKS and is_exhausted(task, now):
        return replace(verdict, awaiting=Awaiting.MODERATOR)
    return verdict


def is_exhausted(task: Task, now: datetime) -> bool:
    """A verdict is waited for some days; a look at what was judged long ago is tried a few times."""
    return task.attempts >= LOOK_ATTEMPTS if task.kind == "look" else now - task.created_at >= PATIENCE


def held(item: Item, reason: str, now: datetime) -> Verdict:
    finding = Finding("article", Lean.HOLD, reason, at=now)
    return Verdict(
        Status.PENDING, Awaiting.MODERATOR, (*item.findings, finding), item.passed, skipped=item.skipped or ()
    )


def settle(desk: Desk, task: Task, item: Item, verdict: Verdict, content: Content | None) -> None:
    """Write the verdict and end the task, or have it done again; then tell."""
    now = desk.clock.now()
    is_open = verdict.awaiting is Awaiting.CHECKS
    settled = desk.store.items.settle(
        task,
        item.id,
        item.version,
        verdict,
        now,
        content=content,
        tasks=(*looks_to_come(task, item, now), *notice_tasks_for_verdict(desk.notices, verdict, now))
        if not is_open
        else (),
        retry_at=next_try(verdict, task, now) if is_open else None,
        error="; ".join(finding.reason for finding in verdict.findings if finding.lean is Lean.UNSURE) or None,
    )
    if settled.item is not None and settled.before is not settled.item.status:
        signals.announce(desk.app, settled.item, before=settled.before, by=None)
    if settled.item is not None and settled.changed and not is_suspicious(item):
        desk.waves.note(settled.item)
    if verdict.discard and desk.settings.akismet_discard and settled.changed:
        desk.store.items.delete(item.id, "checks", now)


def next_try(verdict: Verdict, task: Task, now: datetime) -> datetime:
    """When a check asked to be asked again, else by the back-off."""
    waits = [finding.again_after for finding in verdict.findings if finding.again_after]
    return now + (timedelta(seconds=max(waits)) if waits else backoff(task))


def looks_to_come(task: Task, item: Item, now: datetime) -> tuple[NewTask, ...]:
    """The next look at a ping's source: a day, a week and a month after it came in."""
    if not item.kind.is_ping:
        return ()
    target = target_of(task)
    payload: dict[str, object] = {"target": target} if target else {}
    due = next((item.created_at + after for after in LOOK_AGAIN if item.created_at + after > now), None)
    return (NewTask(kind="look", due_at=due, payload=payload),) if due else ()


#: What each kind of task does; what stands behind a colon in a kind is the handler's own.
HANDLERS: Mapping[str, Callable[[Desk, Task], None]] = {
    "judge": judge_again,
    "look": judge_again,
    "teach": teach,
    "notify": notify,
    confirming.KIND: confirming.write,
}
