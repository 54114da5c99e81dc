"""Take submissions, for all four protocols (`submit`), and let authors edit and withdraw them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from moderate import signals
from moderate.akismet.check import sample_of
from moderate.checks.base import Facts, judge, judge_anew
from moderate.checks.history import REPEATED
from moderate.errors import NO_PARENT, Closed, Invalid, UnknownArticle
from moderate.lifecycle import DELETABLE, Overrides
from moderate.limits.spending import Costs
from moderate.model import FIRST_LOOK, Awaiting, Kind, NewTask, Receipt
from moderate.notices.delivery import notice_tasks
from moderate.text.clean import clean
from moderate.text.similarity import near_text
from moderate.web_address import host_of, keys_of, source_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from moderate.model import Article, Item, Raw, Submission, Verdict
    from moderate.submit.desk import Desk


def submit(desk: Desk, raw: Raw) -> Receipt:
    """Charge the submission to its limits, clean, judge and store it.

    Raises `Refused` where it is refused; nothing is stored then. What the checks find is never an error: spam is
    stored as spam, and its sender gets the same answer as others.
    """
    # Before any expensive work; what is refused later costs as much.
    action = "comments" if raw.kind is Kind.COMMENT else raw.kind.value
    source_host = host_of(raw.source_url) if raw.source_url else None
    author = raw.identity.id if raw.identity else raw.confirmed_id
    costs = Costs(action, raw.client.ip, article=raw.article, source_host=source_host, author=author)
    # The names of the shared budgets that are used up, which hold a submission.
    crowded = desk.limits.spend(costs).crowded
    article = find_article(desk, raw)
    if article.key != raw.article:
        # A host may find an article by several keys and addresses, and each would have a budget of its own.
        crowded += desk.limits.spend_of_article(action, article.key).crowded
    if raw.parent is not None and not raw.kind.is_ping:
        parent = desk.store.items.get(raw.parent)
        if parent is None or not parent.is_public:
            # Without saying which.
            raise Invalid.field("parent", NO_PARENT)
    return accept(desk, raw, article, crowded=tuple(dict.fromkeys(crowded)), is_counted=True)


def accept(
    desk: Desk,
    raw: Raw,
    article: Article | None = None,
    *,
    crowded: tuple[str, ...] = (),
    is_counted: bool = False,
) -> Receipt:
    """Clean, judge and store a submission; for the host's own code, such as an import, without the steps of `submit`.

    No limits are charged, the item counts for no wave unless *is_counted*, and a comment may answer one that is not
    public.
    """
    article = find_article(desk, raw) if article is None else article
    if not is_open(desk, article, Overrides(), raw.kind):
        # What the host has closed is refused before it is cleaned, unless a moderator has opened it. What a moderator
        # has closed is refused afterwards, by the query that the checks need anyway.
        facts_for(desk, raw, article)
    submission = clean(raw, article, desk.policy, require_author=desk.settings.require_author)
    facts = facts_for(desk, raw, article, submission, crowded=crowded)
    verdict = judge(submission, facts, desk.checks, remote=False)
    suspicion = desk.waves.suspicion(submission, verdict) if is_counted else None
    tasks = tasks_for(desk, submission, verdict, facts)
    recorded = desk.store.items.record(submission, verdict, tasks, facts.now, suspicion)
    item = recorded.item
    desk.waves.heed(recorded.bursts)
    if item.kind.is_ping and not recorded.is_new and item.awaiting is not Awaiting.CHECKS:
        # The source of a repeated ping may have changed, or have lost its link.
        look = NewTask(kind="look", due_at=facts.now, payload=claims_of(submission))
        desk.store.tasks.add(item.id, [look], facts.now)
    signals.announce(desk.app, item, before=recorded.before, by=None)
    return Receipt(item, facts.article, recorded.is_new)


def facts_for(
    desk: Desk, raw: Raw, article: Article, submission: Submission | None = None, *, crowded: tuple[str, ...] = ()
) -> Facts:
    """Return all that checks may use. Raises `Closed`, or `Invalid` for a page that pings itself.

    With the *submission*, items with nearly the same text are looked up together with what is set for the article.
    """
    if raw.source_url and source_key(raw.source_url) in keys_of(article):
        raise Invalid.field("source", "A page cannot ping itself.")
    now, alike = desk.clock.now(), None
    near = near_text(submission.body.raw) if submission is not None else None
    if submission is None or near is None:
        overrides = desk.store.articles.overrides(article.key)
    else:
        overrides, alike = desk.store.earlier.known(article.key, submission.text_key, near, now - REPEATED)
    if not is_open(desk, article, overrides, raw.kind):
        raise Closed("Pings are closed here." if raw.kind.is_ping else Closed.default)
    return Facts(
        article=article,
        premoderation=overrides.premoderation or desk.settings.premoderation,
        now=now,
        clock=desk.clock,
        earlier=desk.store.earlier,
        settings=desk.settings,
        services=desk.services,
        crowded=crowded,
        wave=desk.waves.current(),
        alike=alike,
    )


def find_article(desk: Desk, raw: Raw) -> Article:
    """Return the article that *raw* names by its key or its address. Raises `UnknownArticle`."""
    articles = desk.articles
    article = articles.find(raw.target_url or "") if raw.article is None else articles.load(raw.article)
    if article is None:
        raise UnknownArticle
    return article


def is_open(desk: Desk, article: Article, overrides: Overrides, kind: Kind) -> bool:
    """Return False if the host or a moderator has closed the article for items of *kind*, or if it is too old."""
    if kind is Kind.COMMENT:
        is_taken = article.comments_open if overrides.comments_open is None else overrides.comments_open
        days = desk.settings.close_comments_after
    else:
        is_taken = article.pings_open if overrides.pings_open is None else overrides.pings_open
        days = desk.settings.close_pings_after
    published = article.published_at
    is_old = days and published is not None and desk.clock.now() - published > timedelta(days=days)
    return is_taken and not is_old


def tasks_for(desk: Desk, submission: Submission, verdict: Verdict, facts: Facts) -> Sequence[NewTask]:
    """Return the tasks that a verdict requires, to be stored in the item's own transaction.

    They hold the request that a spam service will get, because it needs facts of this HTTP request.
    """
    if verdict.awaiting is not Awaiting.CHECKS:
        return notice_tasks(desk, facts.now, verdict)
    payload: dict[str, object] = {"sample": sample_of(submission, facts).to_json()} if facts.services.spam else {}
    kind = FIRST_LOOK if submission.kind.is_ping else "judge"
    return [NewTask(kind=kind, due_at=facts.now, payload=payload | claims_of(submission))]


def claims_of(submission: Submission) -> dict[str, object]:
    """Return what a ping's sender has claimed and the item does not store, for the task that reads its source.

    That is the address that was given for the article, and the words of a TrackBack: an item that is updated keeps
    its former words until then.
    """
    if submission.kind is not Kind.TRACKBACK:
        return {"target": submission.target_url} if submission.target_url else {}
    names = {"author": submission.author, "title": submission.title, "blog_name": submission.blog_name}
    return {"words": {**names, "url": submission.url, "text": submission.body.raw}}


# --- changes by the author -----------------------------------------------------------------------


def edit(desk: Desk, item: Item, raw: Raw) -> Item:
    """Give an item a new text, which is judged anew. Returns the item.

    Raises `Closed` after the edit window, and for an item that was withdrawn.
    """
    desk.limits.spend(Costs("edits", raw.client.ip, article=item.article))
    refuse_late(desk, item)
    if is_taken_back(desk, item):
        raise Closed("You have taken this comment back.")
    facts = facts_for(desk, raw, find_article(desk, raw))
    submission = clean(raw, facts.article, desk.policy, require_author=False)
    facts = replace(facts, item_id=item.id, is_edit=True)
    # An edit does not undo what held the item when it was received, such as a form that was sent too fast.
    verdict = judge_anew(item, submission, facts, desk.checks, remote=False)
    tasks = tasks_for(desk, submission, verdict, facts)
    recorded = desk.store.items.revise(item.id, submission, verdict, tasks, facts.now)
    signals.announce(desk.app, recorded.item, before=recorded.before, by=None)
    return recorded.item


def withdraw(desk: Desk, item: Item) -> None:
    """Withdraw an item, to the trash. Raises `Closed` after the edit window.

    An item in spam or trash stays there; its author sees no difference.
    """
    refuse_late(desk, item)
    now = desk.clock.now()
    decided = desk.store.items.withdraw(item.id, now, tasks=notice_tasks(desk, now))
    signals.announce(desk.app, decided.item, before=decided.before, by=None)


def is_taken_back(desk: Desk, item: Item) -> bool:
    return item.status in DELETABLE and desk.store.items.is_withdrawn(item)


def refuse_late(desk: Desk, item: Item) -> None:
    window = timedelta(minutes=desk.settings.edit_window)
    if item.kind is not Kind.COMMENT or desk.clock.now() - item.created_at > window:
        raise Closed("The time for changing this is over.")
