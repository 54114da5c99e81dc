"""Run one leased task: the handlers by kind, retries and giving up, and judging an item again.

The slow part runs with no transaction open, and the result is written in one. A worker may die at any line: its
lease ends and another one does the task again, which is harmless. A moderator's decision made meanwhile is never
overwritten. A task that cannot be done is in the end given to a moderator, with the reason, and never dropped.
"""

from __future__ import annotations

import hashlib
import logging
import random
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from moderate import signals
from moderate.akismet.check import sample_of
from moderate.akismet.feedback import RecordingSpamService, keep_sample, note_answers, teach
from moderate.checks.base import Facts, judge_anew
from moderate.errors import ServiceDown
from moderate.i18n import Message
from moderate.model import NO_ITEM, Awaiting, Content, Finding, Lean, NewTask, Status, Verdict
from moderate.moderation import decide
from moderate.notices import confirm
from moderate.notices.delivery import ATTEMPTS, notice_tasks, notify
from moderate.ports import SpamSample
from moderate.sources.verify import (
    Seen,
    clear_missing_link,
    described,
    handle_missing_link,
    is_link_missing,
    raw_of,
    read_source,
)
from moderate.tasks import anew
from moderate.text.clean import clean
from moderate.waves.watch import is_suspicious

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from moderate.model import Article, Item, Submission, Task
    from moderate.sources.verify import Words
    from moderate.submit.desk import Desk

log = logging.getLogger("moderate")

#: The first retry comes within this time, each later one within three times the previous limit, up to the longest.
FIRST_RETRY = timedelta(minutes=20)
LONGEST_RETRY = timedelta(hours=12)

#: The time for which a verdict may stay open before a moderator is asked.
PATIENCE = timedelta(days=3)

#: The number of workers that may die over one task before a moderator is asked.
DEATHS = 2

#: The same where the worker is a thread of a web process: readers must not lose their server twice to one text. Large
#: batches of decisions, during which a process is killed by chance most often, are not counted like this.
DEATHS_ON_THE_WEB = 1

#: The number of attempts at a later look at a source.
LOOK_ATTEMPTS = 5

#: A source is fetched at most once in this time.
FETCH_INTERVAL = timedelta(minutes=10)

#: The times after a ping's arrival at which its source is looked at again.
LOOK_AGAIN = (timedelta(days=1), timedelta(days=7), timedelta(days=30))


def run(desk: Desk, task: Task, *, deaths: int = DEATHS) -> None:
    """Do one leased task. A failure is stored with the task, and raised only where the store itself fails.

    A task over which *deaths* workers died or hung is not started again but given up. So are, in the end, a task that
    always fails, one for a service that stays down, and one of an unknown kind that no newer version has done. The
    item is then a moderator's.
    """
    handler = HANDLERS.get(task.kind.partition(":")[0])
    if handler is None:
        reason = Message("this version does not know the {task} task, which a newer one wrote", task=task.kind)
        give_up(desk, task, reason, str(reason))
        return
    if task.deaths >= (DEATHS if task.item == NO_ITEM else deaths):
        log.error(
            "Task %d (%s) for item %d is given up: %d workers died or hung over it.",
            task.id,
            task.kind,
            task.item,
            task.deaths,
            extra=log_fields(task),
        )
        reason = Message(
            "a worker process crashed, hung or was killed during the {task} task (times: {number})",
            task=task.kind,
            number=task.deaths,
        )
        give_up(desk, task, reason, str(reason))
        return
    try:
        handler(desk, task)
    except ServiceDown as error:
        note_answers(desk, [error])
        # An outage of the database is not counted as an attempt.
        if task.attempts >= ATTEMPTS and error.service != "database":
            give_up(desk, task, failure(task, error.service), str(error))
        else:
            desk.store.tasks.retry(task, desk.clock.now() + backoff(task), str(error))
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        # A hook of the host that calls `sys.exit`, or raises what is no `Exception`, must not end the thread.
        log.exception("Task %d (%s) for item %d failed.", task.id, task.kind, task.item, extra=log_fields(task))
        now, name = desk.clock.now(), type(error).__name__
        if is_exhausted(task, now):
            give_up(desk, task, failure(task, name), name)
        else:
            desk.store.tasks.retry(task, now + backoff(task), name)


def log_fields(task: Task) -> dict[str, int]:
    """Return the fields of a log record about a task."""
    return {"moderate_task": task.id, "moderate_item": task.item}


def failure(task: Task, error: str) -> Message:
    return Message("the {task} task failed ({error})", task=task.kind, error=error)


def give_up(desk: Desk, task: Task, reason: str, error: str) -> None:
    """Bury a task with *error*, and hold an item that waits for it for a moderator with *reason*."""
    now, item = desk.clock.now(), desk.store.items.get(task.item)
    if item is not None and item.awaiting is Awaiting.CHECKS:
        verdict = held(item, Finding("task", Lean.HOLD, reason, at=now))
        desk.store.items.settle(None, item.id, item.version, verdict, now, tasks=notice_tasks(desk, now, verdict))
    if task.item == NO_ITEM:
        decide.fail(desk, task, reason)
    desk.store.tasks.bury(task, error)


def backoff(task: Task) -> timedelta:
    """Return a random wait up to the limit of this attempt (full jitter), so that tasks do not retry all at once."""
    longest: timedelta = min(LONGEST_RETRY, FIRST_RETRY * 3 ** min(max(task.attempts - 1, 0), 10))
    return longest * random.random()  # noqa: S311


# --- judging --------------------------------------------------------------------------------------


def judge_again(desk: Desk, task: Task) -> None:
    """Ask all checks, remote ones included, about an item that awaits them or whose source pinged again."""
    item = desk.store.items.get(task.item)
    if item is None or not is_wanted(task, item):
        desk.store.tasks.finish(task)
        return
    article = desk.articles.load(item.article)
    if article is None:
        finding = Finding("article", Lean.HOLD, "the article is gone", at=desk.clock.now())
        settle(desk, task, item, held(item, finding), None)
        return
    if must_wait(desk, item):
        put_off(desk, task, "its source was read a short while ago")
        return
    seen = look(desk, task, item, article)
    if seen is not None and seen.is_busy and not is_exhausted(task, desk.clock.now()):
        put_off(desk, task, "its server was busy with other pings")
        return
    if seen is not None and is_link_missing(item, seen):
        handle_missing_link(desk, task, item, seen)
        return
    clear_missing_link(desk, item, seen)
    words = words_of(task)
    submission = (
        described(item, article, seen, desk.policy, words) if seen else as_submitted(desk, item, article, words)
    )
    service = RecordingSpamService(desk.services.spam) if desk.services.spam is not None else None
    facts = replace(facts_of(desk, task, item, article, seen), services=replace(desk.services, spam=service))
    if service is not None and facts.sample is None:
        # Made here, so that the sample that the service is asked about is the one that is stored.
        facts = replace(facts, sample=sample_of(submission, facts))
    verdict = judge_anew(item, submission, facts, desk.checks, remote=True)
    if service is not None:
        note_answers(desk, service.answers)
        if facts.sample is not None:
            keep_sample(desk, item, facts.sample, service.answers)
    if verdict.awaiting is Awaiting.CHECKS and is_exhausted(task, desk.clock.now()):
        verdict = replace(verdict, awaiting=Awaiting.MODERATOR)
    settle(desk, task, item, verdict, content_of(submission, seen, words))


def is_wanted(task: Task, item: Item) -> bool:
    """Return True if the item awaits checks, or if the task is a later look at a ping that is or may become public."""
    if item.awaiting is Awaiting.CHECKS:
        return True
    return task.kind == "look" and item.kind.is_ping and item.status in {Status.APPROVED, Status.PENDING}


def must_wait(desk: Desk, item: Item) -> bool:
    """Return True if the source was fetched less than `FETCH_INTERVAL` ago, for this ping or another."""
    if desk.services.fetcher is None or not item.kind.is_ping:
        return False
    now = desk.clock.now()
    source = hashlib.sha256((item.source_url or "").encode()).hexdigest()
    return not desk.store.nonces.use_once(f"fetch:{source}", now + FETCH_INTERVAL, now)


def put_off(desk: Desk, task: Task, reason: str) -> None:
    """Postpone a task without counting an attempt."""
    desk.store.tasks.retry(task, desk.clock.now() + FETCH_INTERVAL, reason, is_attempt=False)


def look(desk: Desk, task: Task, item: Item, article: Article) -> Seen | None:
    """Fetch the page that a ping names; None for comments, and where pings are not verified."""
    if desk.services.fetcher is None or not item.kind.is_ping:
        return None
    site = desk.settings.site_url or article.url
    about = f"+{site}; verifying {item.kind.value} from {item.ip or '?'}"
    return read_source(
        desk.services.fetcher(),
        item,
        article,
        target=target_of(task),
        find=desk.articles.find,
        about=about,
    )


def target_of(task: Task) -> str | None:
    """Return the address that the sender gave for the article; None where it named the article itself (TrackBack)."""
    target = task.payload.get("target")
    return target if isinstance(target, str) else None


def words_of(task: Task) -> Words:
    """Return the fields that the sender sent last, which the item may not have yet; empty where it sent none."""
    words = task.payload.get("words")
    return words if isinstance(words, dict) else {}


def as_submitted(desk: Desk, item: Item, article: Article, words: Words) -> Submission:
    """Return the submission as it came in, cleaned anew, of any length: an earlier policy may have allowed more."""
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


def content_of(submission: Submission, seen: Seen | None, words: Words) -> Content | None:
    """Return the content that the source has now; None for comments, and where the source gave none."""
    if not (words if seen is None else seen.look.links_here):
        return None
    return Content(
        body=submission.body,
        author=submission.author,
        url=submission.url,
        title=submission.title,
        blog_name=submission.blog_name,
        text_key=submission.text_key,
    )


def is_exhausted(task: Task, now: datetime) -> bool:
    """Return True if a task to judge has taken `PATIENCE`, or a later look `LOOK_ATTEMPTS`."""
    return task.attempts >= LOOK_ATTEMPTS if task.kind == "look" else now - task.created_at >= PATIENCE


def held(item: Item, finding: Finding) -> Verdict:
    """Return a verdict that holds an item for a moderator because of *finding*, with all earlier findings."""
    return Verdict(
        Status.PENDING, Awaiting.MODERATOR, (*item.findings, finding), item.passed, skipped=item.skipped or ()
    )


def settle(desk: Desk, task: Task, item: Item, verdict: Verdict, content: Content | None) -> None:
    """Store the verdict, end the task or schedule its retry, and announce a change of status."""
    now = desk.clock.now()
    is_open = verdict.awaiting is Awaiting.CHECKS
    settled = desk.store.items.settle(
        task,
        item.id,
        item.version,
        verdict,
        now,
        content=content,
        tasks=(*looks_to_come(task, item, now), *notice_tasks(desk, now, verdict)) if not is_open else (),
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
    """Return the time at which a check wants to be asked again, else that of the back-off."""
    waits = [finding.again_after for finding in verdict.findings if finding.again_after]
    return now + (timedelta(seconds=max(waits)) if waits else backoff(task))


def looks_to_come(task: Task, item: Item, now: datetime) -> tuple[NewTask, ...]:
    """Return the task of the next look at a ping's source; see `LOOK_AGAIN`."""
    if not item.kind.is_ping:
        return ()
    target = target_of(task)
    payload: dict[str, object] = {"target": target} if target else {}
    due = next((item.created_at + after for after in LOOK_AGAIN if item.created_at + after > now), None)
    return (NewTask(kind="look", due_at=due, payload=payload),) if due else ()


def take_in(desk: Desk, task: Task) -> None:
    """Report a decision, and have what waits judged anew. Nothing is lost if the worker dies between the two."""
    try:
        teach(desk, task)
    finally:
        # Where the spam service is down, the filter has learned all the same.
        anew.ask(desk)
    desk.store.tasks.finish(task)


#: The handler of each kind of task, without the part of the kind behind a colon.
HANDLERS: Mapping[str, Callable[[Desk, Task], None]] = {
    "judge": judge_again,
    "look": judge_again,
    "teach": take_in,
    anew.KIND: anew.judge_waiting,
    "notify": notify,
    confirm.KIND: confirm.write,
    decide.KIND: decide.work_on,
}
