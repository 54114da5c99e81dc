"""What the links in mails lead to: a page with one button, which needs no login, and a way out of the mails.

A link is for one item, one version of it, one decision and one moderator, lasts for a week and works
once. Opening it changes nothing, so that mail scanners and previews do no harm; the button does.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from flask import request

from moderate.errors import DecidedMeanwhile, UnknownItem
from moderate.http.operation import FORM, HTML, HTML_PAGE, Answer, Operation, Reply
from moderate.http.state import current_state
from moderate.http.words import for_moderators
from moderate.limits import Costs
from moderate.model import Moderator, Proposal, Status
from moderate.moderation import decide as moderation
from moderate.moderation.buttons import KEEP, Button, button
from moderate.moderation.queue import page

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Response
    from flask.typing import ResponseReturnValue

    from moderate.http.signing import Signer
    from moderate.http.state import State
    from moderate.model import Decision, Item
    from moderate.notices.values import Recipient

LIFETIME = timedelta(days=7)


class AgainIn(Answer):
    again: Literal["1"] | None = None


OF_A_DECISION = (
    HTML_PAGE,
    Reply(404, "The item is gone.", types=(HTML,)),
    Reply(409, "Used, or decided meanwhile.", types=(HTML,)),
    Reply(410, "The link is not valid any more.", types=(HTML,)),
)

#: How each status is told of an item.
STANDS = {
    Status.PENDING: "It still waits in the queue.",
    Status.APPROVED: "It is approved and public.",
    Status.SPAM: "It is in spam.",
    Status.TRASH: "It is in the trash.",
}

KEPT = "The change was dropped; the public text stays as it was."

INVALID = (
    "This link is not valid any more. Links in mails last for seven days, and only whole: look whether yours was cut."
)
GONE = "The item of this link has been deleted."
USED = "This link has been used already; each works once."
CHANGED = (
    "Since this mail was written the text was changed. Decide on the new one in the queue, or from the newer mail."
)


@dataclass(frozen=True, slots=True)
class SiteLinks:
    """See `moderate.ports.NoticeLinks`. `base` returns the absolute address of the blueprint, without a final slash."""

    base: Callable[[], str]
    signer: Signer

    def decide(self, item: Item, decision: Decision, to: Recipient, proposal: Proposal = Proposal.ACCEPT) -> str:
        word = KEEP if proposal is Proposal.DECLINE else decision.value
        token = self.signer.sign("mail-decision", [item.id, item.version, word, to.key])
        return f"{self.base()}/moderation/mail/{token}"

    def unsubscribe(self, to: Recipient) -> str:
        return f"{self.base()}/moderation/unsubscribe/{self.signer.sign('unsubscribe', to.key)}"

    def queue(self) -> str:
        return f"{self.base()}/moderation/"


@dataclass(frozen=True, slots=True)
class Link:
    """What a link in a mail allows."""

    item: int
    version: int
    button: Button
    moderator: Moderator

    @property
    def name(self) -> str:
        """Under which its use is remembered."""
        return f"mail-link:{self.item}:{self.version}:{self.button.word}:{self.moderator.email}"


class LinkRefused(Exception):
    """A link that does nothing, with the words for the page. `item` is what it was about, where that is known."""

    def __init__(self, status: int, message: str, item: Item | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.item = item


@Operation(
    "GET",
    "/moderation/mail/<token>",
    "mail_link",
    "The page of a mail's link: the item and one button; looking changes nothing",
    link="As the mail has it: for one item, version, decision and moderator.",
    replies=OF_A_DECISION,
    problems=("rate-limited",),
)
def look(token: str) -> ResponseReturnValue:
    """``GET /moderation/mail/<token>``: the item and the button. Changes nothing."""
    state = current_state()
    try:
        link, item = usable(state, token)
    except LinkRefused as refusal:
        return refused(refusal)
    return private(page("mail_decision", 200, item=item, word=link.button.word, who=link.moderator))


@Operation(
    "POST",
    "/moderation/mail/<token>",
    "mail_link",
    "The decision that a mail's link is for",
    link="As the mail has it: for one item, version, decision and moderator.",
    replies=OF_A_DECISION,
    problems=("rate-limited",),
)
def act(token: str) -> ResponseReturnValue:
    """``POST /moderation/mail/<token>``: the decision that the link is for."""
    state = current_state()
    try:
        link, item = usable(state, token)
        done = decide(state, link, item)
    except LinkRefused as refusal:
        return refused(refusal)
    stands = KEPT if link.button.word == KEEP else STANDS[done.status]
    return private(page("mail_done", 200, message="Done.", stands=stands, item=done))


def decide(state: State, link: Link, item: Item) -> Item:
    """Decide first and then remember the use: a link is not spent for nothing, and the version guards it meanwhile."""
    try:
        done = moderation.decide(
            state.desk,
            item.id,
            link.button.decision,
            version=link.version,
            by=link.moderator,
            note="from a mail",
            proposal=link.button.proposal,
        )
    except UnknownItem:
        raise LinkRefused(404, GONE) from None
    except DecidedMeanwhile as error:
        raise stale(error.item) from None
    now = state.desk.clock.now()
    state.desk.store.nonces.use_once(link.name, now + LIFETIME, now)
    return done


def usable(state: State, token: str) -> tuple[Link, Item]:
    """The link and its item. Raises `LinkRefused` for whatever is not, or not any more, to be acted upon."""
    link = opened(state, token)
    item = state.desk.store.items.get(link.item)
    if item is None:
        raise LinkRefused(404, GONE)
    if state.desk.store.nonces.is_used(link.name, state.desk.clock.now()):
        raise LinkRefused(409, USED, item)
    if item.version != link.version:
        raise stale(item)
    return link, item


def opened(state: State, token: str) -> Link:
    """What the token says, if it is ours, young enough, and its moderator is still one."""
    found = state.signer.open("mail-decision", token, max_age=LIFETIME.total_seconds())
    if found is not None:
        item, version, word, key = found[0]
        to = recipient(state, key)
        if to is not None:
            for_moderators(to.language)
            return Link(item, version, button(word), Moderator(to.name, to.email))
    # Only what is wrong costs: a link that is right works beside whoever guesses from the same address.
    state.desk.limits.spend(Costs("moderation", request.remote_addr or ""))
    raise LinkRefused(410, INVALID)


def stale(item: Item) -> LinkRefused:
    if item.decided_by is not None and item.awaiting is None:
        return LinkRefused(409, f"{item.decided_by} has decided meanwhile.", item)
    return LinkRefused(409, CHANGED, item)


def refused(refusal: LinkRefused) -> Response:
    item = refusal.item
    stands = STANDS[item.status] if item is not None else ""
    return private(page("mail_done", refusal.status, message=refusal.message, stands=stands, item=item))


# --- no more mails --------------------------------------------------------------------------------


@Operation(
    "GET",
    "/moderation/unsubscribe/<token>",
    "unsubscribe",
    "Asks whether a mailbox wants no more mail; looking changes nothing",
    link="As the mail has it: for one mailbox.",
    replies=(HTML_PAGE, Reply(410, "The link is not valid.", types=(HTML,))),
    problems=("rate-limited",),
)
def leave_page(token: str) -> ResponseReturnValue:
    """``GET /moderation/unsubscribe/<token>``: asks. Changes nothing."""
    state = current_state()
    key = mailbox_of(state, token)
    if key is None:
        return refused(LinkRefused(410, INVALID))
    is_out = state.desk.store.mailboxes.get(key).unsubscribed_at is not None
    return private(page("unsubscribe", 200, is_out=is_out, done=False))


@Operation(
    "POST",
    "/moderation/unsubscribe/<token>",
    "unsubscribe",
    "No more mail to a mailbox, in one click (RFC 8058); `again=1` takes it back",
    link="As the mail has it: for one mailbox.",
    body={FORM: AgainIn},
    is_body_required=False,
    replies=(HTML_PAGE, Reply(410, "The link is not valid.", types=(HTML,))),
    problems=("rate-limited",),
)
def leave(token: str) -> ResponseReturnValue:
    """``POST /moderation/unsubscribe/<token>``: no more mails, in one click (RFC 8058); ``again=1`` undoes it."""
    state = current_state()
    key = mailbox_of(state, token)
    if key is None:
        return refused(LinkRefused(410, INVALID))
    is_out = request.form.get("again") != "1"
    state.desk.store.mailboxes.unsubscribe(key, state.desk.clock.now() if is_out else None)
    return private(page("unsubscribe", 200, is_out=is_out, done=True))


def mailbox_of(state: State, token: str) -> str | None:
    """Whose link it is. It never expires: old mails, too, must let their readers go."""
    found = state.signer.open("unsubscribe", token)
    if found is None:
        state.desk.limits.spend(Costs("moderation", request.remote_addr or ""))
        return None
    key = str(found[0])
    to = recipient(state, key)
    if to is not None:
        for_moderators(to.language)
    return key


def recipient(state: State, key: str) -> Recipient | None:
    """Return the moderator whom a link was written to, None where the settings name them no more."""
    return next((each for each in state.settings.mail_to if each.key == key), None)


def private(response: Response) -> Response:
    """The address is the key, so it is told to nobody."""
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["X-Robots-Tag"] = "noindex"
    return response
