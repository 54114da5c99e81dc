"""The pages behind the links in moderators' mails, which need no login: one decision, and the end of the mails.

A link is for one item, one version of it, one decision and one moderator. It lasts for a week and works once.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import wraps
from typing import TYPE_CHECKING, NamedTuple

from moderate.errors import DecidedMeanwhile, UnknownItem
from moderate.http.language import for_moderators
from moderate.http.operation import FORM, HTML, HTML_PAGE, Reply
from moderate.http.signing import AgainIn, SignedLink, keep_secret, unsubscribe
from moderate.http.state import current_state
from moderate.i18n import Message
from moderate.model import Moderator, Status
from moderate.moderation.access import answers_pages, page, refusal
from moderate.moderation.decide import DecisionRequest, decide_one
from moderate.moderation.labels import BUTTONS, KEEP, Button
from moderate.notices.confirmation_views import CONFIRMATION, STOP

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask.typing import ResponseReturnValue

    from moderate.http.operation import View
    from moderate.http.signing import Signer
    from moderate.http.state import State
    from moderate.model import Item
    from moderate.notices.values import ConfirmationRequest, Recipient

DECISION = SignedLink(
    purpose="mail-decision",
    rule="/moderation/mail/<token>",
    endpoint="mail_link",
    about="As the mail has it: for one item, version, decision and moderator.",
    limit="moderation",
    lifetime=timedelta(days=7),
    replies=(
        HTML_PAGE,
        Reply(404, "The item is gone.", types=(HTML,)),
        Reply(409, "Used, or decided meanwhile.", types=(HTML,)),
        Reply(410, "The link is not valid any more.", types=(HTML,)),
    ),
)

#: It never expires: the links in old mails must work too.
UNSUBSCRIBE = SignedLink(
    purpose="unsubscribe",
    rule="/moderation/unsubscribe/<token>",
    endpoint="unsubscribe",
    about="As the mail has it: for one mailbox.",
    limit="moderation",
    replies=(HTML_PAGE, Reply(410, "The link is not valid.", types=(HTML,))),
)

#: A sentence for each status of an item.
STANDS = {
    Status.PENDING: Message("It still waits in the queue."),
    Status.APPROVED: Message("It is approved and public."),
    Status.SPAM: Message("It is in spam."),
    Status.TRASH: Message("It is in the trash."),
}

KEPT = Message("The change was dropped; the public text stays as it was.")

INVALID = Message(
    "This link is not valid any more. Links in mails last for seven days, and only whole: look whether yours was cut."
)
GONE = Message("The item of this link has been deleted.")
USED = Message("This link has been used already; each works once.")
CHANGED = Message(
    "Since this mail was written the text was changed. Decide on the new one in the queue, or from the newer mail."
)


@dataclass(frozen=True, slots=True)
class SiteLinks:
    """The absolute addresses in mails and webhooks; see `moderate.ports.NoticeLinks`.

    `base` returns that of the blueprint, without a final slash.
    """

    base: Callable[[], str]
    signer: Signer

    def decide(self, item: Item, button: str, to: Recipient) -> str:
        return DECISION.issue(self.signer, self.base(), [item.id, item.version, button, to.key])

    def unsubscribe(self, to: Recipient) -> str:
        return UNSUBSCRIBE.issue(self.signer, self.base(), to.key)

    def queue(self) -> str:
        return f"{self.base()}/moderation/"

    def confirm(self, request: ConfirmationRequest) -> str:
        return CONFIRMATION.issue(self.signer, self.base(), [request.item, request.id])

    def stop(self, request: ConfirmationRequest) -> str:
        return STOP.issue(self.signer, self.base(), request.mailbox)


class Link(NamedTuple):
    """The decision that a link allows."""

    item: int
    version: int
    button: Button
    moderator: Moderator

    @property
    def use(self) -> str:
        """The name of its use; see `SignedLink.is_spent`."""
        return f"{self.item}:{self.version}:{self.button.name}:{self.moderator.email}"


class LinkRefused(Exception):
    """A link that cannot be used, with the message of its page. *item* is the one that it was for, if known."""

    def __init__(self, status: int, message: str, item: Item | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.item = item


def as_pages(view: Callable[[str], ResponseReturnValue]) -> View:
    """Answer links that cannot be used, and all else that *view* refuses, with pages that keep the link secret."""

    @wraps(view)
    def guarded(token: str) -> ResponseReturnValue:
        try:
            return view(token)
        except LinkRefused as error:
            stands = STANDS[error.item.status] if error.item is not None else ""
            return keep_secret(page("mail_done", error.status, message=error.message, stands=stands, item=error.item))

    return answers_pages(lambda error: keep_secret(refusal(error)))(guarded)


@DECISION.operation("GET", "The page of a mail's link: the item and one button; looking changes nothing")
@as_pages
def show_decision(token: str) -> ResponseReturnValue:
    link, item = usable(current_state(), token)
    return keep_secret(page("mail_decision", 200, item=item, button=link.button, who=link.moderator))


@DECISION.operation("POST", "The decision that a mail's link is for")
@as_pages
def decide_by_mail(token: str) -> ResponseReturnValue:
    state = current_state()
    link, item = usable(state, token)
    request = DecisionRequest(
        decision=link.button.decision,
        items={item.id: link.version},
        by=link.moderator,
        note="from a mail",
        change=link.button.change,
    )
    try:
        done = decide_one(state.desk, request)
    except UnknownItem:
        raise LinkRefused(404, GONE) from None
    except DecidedMeanwhile as error:
        raise stale(error.item) from None
    # Last, so that a failure spends no link; meanwhile the version prevents a repeat.
    DECISION.spend(state.desk, link.use)
    stands = KEPT if link.button is KEEP else STANDS[done.status]
    return keep_secret(page("mail_done", 200, message=Message("Done."), stands=stands, item=done))


def usable(state: State, token: str) -> tuple[Link, Item]:
    """Return what a token allows, and the item. Raises `LinkRefused` where nothing can be decided by it.

    A link is not valid any more where its reader does not moderate any more.
    """
    found = DECISION.open(state.signer, state.desk, token)
    if found is None:
        raise LinkRefused(410, INVALID)
    number, version, word, key = found[0]
    to = recipient(state, key)
    if to is None:
        DECISION.charge(state.desk)
        raise LinkRefused(410, INVALID)
    for_moderators(to.language)
    link, item = Link(number, version, BUTTONS[word], Moderator(to.name, to.email)), state.desk.store.items.get(number)
    if item is None:
        raise LinkRefused(404, GONE)
    if DECISION.is_spent(state.desk, link.use):
        raise LinkRefused(409, USED, item)
    if item.version != version:
        raise stale(item)
    return link, item


def stale(item: Item) -> LinkRefused:
    if item.decided_by is not None and item.awaiting is None:
        return LinkRefused(409, Message("{by} has decided meanwhile.", by=item.decided_by), item)
    return LinkRefused(409, CHANGED, item)


# --- the end of the mails -------------------------------------------------------------------------


@UNSUBSCRIBE.operation("GET", "The page that asks whether a mailbox wants no more mail; looking changes nothing")
@as_pages
def show_unsubscribe(token: str) -> ResponseReturnValue:
    state = current_state()
    is_out = state.desk.store.mailboxes.get(mailbox_of(state, token)).unsubscribed_at is not None
    return keep_secret(page("unsubscribe", 200, is_out=is_out, done=False))


@UNSUBSCRIBE.operation(
    "POST",
    "No more mail to a mailbox, in one click (RFC 8058); `again=1` takes it back",
    body={FORM: AgainIn},
    is_body_required=False,
)
@as_pages
def unsubscribe_moderator(token: str) -> ResponseReturnValue:
    state = current_state()
    is_out = unsubscribe(state.desk, mailbox_of(state, token))
    return keep_secret(page("unsubscribe", 200, is_out=is_out, done=True))


def mailbox_of(state: State, token: str) -> str:
    """Return the key of the mailbox that a link is for. Raises `LinkRefused` where it is not valid."""
    found = UNSUBSCRIBE.open(state.signer, state.desk, token)
    if found is None:
        raise LinkRefused(410, INVALID)
    key = str(found[0])
    to = recipient(state, key)
    if to is not None:
        for_moderators(to.language)
    return key


def recipient(state: State, key: str) -> Recipient | None:
    """Return the moderator to whom a link was sent, None where the settings no longer name them."""
    return next((each for each in state.settings.mail_to if each.key == key), None)
