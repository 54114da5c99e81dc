"""Take submissions, for all four protocols (`submit`), and let authors edit and withdraw them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from moderate import signals
from moderate.akismet.check import sample_of
from moderate.checks.base import Facts, judge, judge_anew
from moderate.errors import NO_PARENT, Closed, Invalid, UnknownArticle
from moderate.lifecycle import DELETABLE
from moderate.limits import Costs
from moderate.model import FIRST_LOOK, Awaiting, Kind, NewTask, Receipt
from moderate.notices.delivery import notice_tasks_for_decision, notice_tasks_for_verdict
from moderate.text.clean import clean
from moderate.web_address import host_of, source_key

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from moderate.lifecycle import Overrides
    from moderate.model import Article, Item, Raw, Recorded, Submission, Verdict
    from moderate.submit.desk import Desk


def submit(desk: Desk, raw: Raw) -> Receipt:
    """Take one submission, as a protocol has read it, all the way to the record.

    Raises `Refused` where it is turned away; then nothing was stored. What the checks think of it
    is never an error: spam is stored as spam, and the sender is told the same as anybody.
    """
    crowded = spend(desk, raw)
    refuse_hidden_parent(desk, raw)
    receipt = accept(desk, raw, crowded=crowded)
    if receipt.is_new:
        desk.waves.note(receipt.item)
    return receipt


def accept(desk: Desk, raw: Raw, *, crowded: tuple[str, ...] = ()) -> Receipt:
    """The way in behind the limits; the host's own code, an import say, starts here."""
    facts = facts_for(desk, raw, crowded=crowded)
    submission = clean(raw, facts.article, desk.policy, require_author=desk.settings.require_author)
    verdict = judge(submission, facts, desk.checks, remote=False)
    recorded = desk.store.items.record(submission, verdict, tasks_for(desk, submission, verdict, facts), facts.now)
    look_again(desk, recorded, submission, facts.now)
    tell(desk, recorded)
    return Receipt(recorded.item, facts.article, recorded.is_new)


def spend(desk: Desk, raw: Raw) -> tuple[str, ...]:
    """Charge a submission to its budgets, before anything dear is done; what is refused later costs as much.

    A host may know an article by several keys and addresses, and each would bring a budget of its own. So
    where the article's own key is another than the one that was sent, its budget is charged as well, once the
    host has named it. Returns the shared budgets that are used up, which hold a submission.
    """
    costs = costs_of(raw)
    crowded = desk.limits.spend(costs).crowded
    article = find_article(desk, raw)
    if article.key != raw.article:
        crowded += desk.limits.spend_of_article(costs.action, article.key).crowded
    return tuple(dict.fromkeys(crowded))


def costs_of(raw: Raw) -> Costs:
    """Return the budgets that the submission spends from, as far as it names them itself."""
    source_host = host_of(raw.source_url) if raw.source_url else None
    author = raw.identity.id if raw.identity else raw.confirmed_id
    action = "comments" if raw.kind is Kind.COMMENT else raw.kind.value
    return Costs(action, raw.client.ip, article=raw.article, source_host=source_host, author=author)


def facts_for(desk: Desk, raw: Raw, *, crowded: tuple[str, ...] = ()) -> Facts:
    """The article and all else that checks may know. Raises `UnknownArticle` or `Closed`."""
    article = find_article(desk, raw)
    refuse_itself(article, raw)
    overrides = desk.store.articles.overrides(article.key)
    now = desk.clock.now()
    refuse_closed(desk, article, overrides, raw.kind)
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
    )


def find_article(desk: Desk, raw: Raw) -> Article:
    articles = desk.articles
    article = articles.find(raw.target_url or "") if raw.article is None else articles.load(raw.article)
    if article is None:
        raise UnknownArticle
    return article


def refuse_hidden_parent(desk: Desk, raw: Raw) -> None:
    """Raise `Invalid` for an answer to what is not public, or not there: nobody is told which of the two."""
    if raw.parent is None or raw.kind.is_ping:
        return
    parent = desk.store.items.get(raw.parent)
    if parent is None or not parent.is_public:
        raise Invalid.field("parent", NO_PARENT)


def refuse_itself(article: Article, raw: Raw) -> None:
    """Raise `Invalid` where an article claims to have written about itself."""
    if raw.source_url and source_key(raw.source_url) in {source_key(url) for url in (article.url, *article.aliases)}:
        raise Invalid.field("source", "A page cannot ping itself.")


def refuse_closed(desk: Desk, article: Article, overrides: Overrides, kind: Kind) -> None:
    """Raise `Closed` where the host, a moderator or the article's age says so."""
    if kind is Kind.COMMENT:
        is_open = article.comments_open if overrides.comments_open is None else overrides.comments_open
        days = desk.settings.close_comments_after
    else:
        is_open = article.pings_open if overrides.pings_open is None else overrides.pings_open
        days = desk.settings.close_pings_after
    published = article.published_at
    is_old = bool(days) and published is not None and desk.clock.now() - published > timedelta(days=days)
    if not is_open or is_old:
        raise Closed("Comments on this article are closed." if kind is Kind.COMMENT else "Pings are closed here.")


def tasks_for(desk: Desk, submission: Submission, verdict: Verdict, facts: Facts) -> Sequence[NewTask]:
    """The deferred work that a verdict makes necessary; stored in the item's own transaction.

    What a spam service will be asked is fixed now, while the request's own facts are at hand.
    """
    if verdict.awaiting is not Awaiting.CHECKS:
        return notice_tasks_for_verdict(desk.notifiers, verdict, facts.now)
    payload: dict[str, object] = {"sample": sample_of(submission, facts).to_json()} if facts.services.spam else {}
    kind = FIRST_LOOK if submission.kind.is_ping else "judge"
    return [NewTask(kind=kind, due_at=facts.now, payload=payload | told_by(submission))]


def told_by(submission: Submission) -> dict[str, object]:
    """Return what a ping's sender has told and the item does not hold, for the look at its source.

    That is the address that was given for the article, and what a TrackBack says of itself: the item may
    keep what it said before until then.
    """
    if submission.kind is not Kind.TRACKBACK:
        return {"target": submission.target_url} if submission.target_url else {}
    names = {"author": submission.author, "title": submission.title, "blog_name": submission.blog_name}
    return {"words": {**names, "url": submission.url, "text": submission.body.raw}}


def look_again(desk: Desk, recorded: Recorded, submission: Submission, now: datetime) -> None:
    """A source that pings again says that it has changed, or that its link is gone: worth a look."""
    item = recorded.item
    if item.kind.is_ping and not recorded.is_new and item.awaiting is not Awaiting.CHECKS:
        desk.store.tasks.add(item.id, [NewTask(kind="look", due_at=now, payload=told_by(submission))], now)


def tell(desk: Desk, recorded: Recorded) -> None:
    """Announce what is now true; a repeat that changed nothing is no news."""
    if recorded.is_new or recorded.before is not recorded.item.status:
        signals.announce(desk.app, recorded.item, before=recorded.before, by=None)


# --- the author's own second thoughts -------------------------------------------------------------


def edit(desk: Desk, item: Item, raw: Raw) -> Item:
    """Give an item a new text, which is judged anew.

    Raises `Closed` after the edit window, and once it was taken back.
    """
    desk.limits.spend(Costs("edits", raw.client.ip, article=item.article))
    refuse_late(desk, item)
    if is_taken_back(desk, item):
        raise Closed("You have taken this comment back.")
    facts = facts_for(desk, raw)
    submission = clean(raw, facts.article, desk.policy, require_author=False)
    facts = replace(facts, item_id=item.id, is_edit=True)
    # What held the item when it came in, too fast or in a crowd, is not undone by an edit.
    verdict = judge_anew(item, submission, facts, desk.checks, remote=False)
    tasks = tasks_for(desk, submission, verdict, facts)
    recorded = desk.store.items.revise(item.id, submission, verdict, tasks, facts.now)
    tell(desk, recorded)
    return recorded.item


def withdraw(desk: Desk, item: Item) -> None:
    """Take an item back, to the trash. Raises `Closed` after the edit window.

    What lies in spam or trash already stays where it was put; its author cannot tell.
    """
    refuse_late(desk, item)
    now = desk.clock.now()
    decided = desk.store.items.withdraw(item.id, now, tasks=notice_tasks_for_decision(desk.notifiers, now))
    if decided.before is not decided.item.status:
        signals.announce(desk.app, decided.item, before=decided.before, by=None)


def is_taken_back(desk: Desk, item: Item) -> bool:
    return item.status in DELETABLE and desk.store.items.is_withdrawn(item)


def refuse_late(desk: Desk, item: Item) -> None:
    window = timedelta(minutes=desk.settings.edit_window)
    if item.kind is not Kind.COMMENT or desk.clock.now() - item.created_at > window:
        raise Closed("The time for changing this is over.")
