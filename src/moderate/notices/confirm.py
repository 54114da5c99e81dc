"""Confirm a commenter's e-mail address: request the mail, send it, and act on its link.

A typed address proves nothing, but a person who presses the button behind the mail's link can read its mails. Their
browser is known by that address from then on, and the comment counts as theirs if the browser has sent it.

A commenter may type another person's address. So a mailbox gets at most one such mail a day, none once its owner has
unsubscribed, and no text of a commenter's. No answer shows whether a mail was sent.
"""

from __future__ import annotations

import logging
import re
from datetime import timedelta
from typing import TYPE_CHECKING

from moderate.errors import Invalid, ServiceDown, Undeliverable
from moderate.limits import Costs
from moderate.model import NewTask
from moderate.notices.values import ConfirmationRequest, is_address

if TYPE_CHECKING:
    from datetime import datetime

    from moderate.model import Item, Task
    from moderate.submit.desk import Desk

log = logging.getLogger("moderate")

#: The kind of the tasks.
KIND = "confirm"

#: How long a mailbox gets no second mail, how long one is tried, and how long its link is valid.
PER_MAIL = timedelta(days=1)

#: How long other tasks leave a mailbox to the worker that is sending a mail to it.
CLAIM = timedelta(minutes=2)

#: The wait before the second attempt, which doubles with each further one, and its maximum.
FIRST_RETRY = timedelta(minutes=2)
LONGEST_RETRY = timedelta(hours=2)


def is_confirmable(desk: Desk, item: Item) -> bool:
    """Return whether the author of a comment can have its address confirmed: it has one, and no author is known."""
    return item.author_id is None and not item.kind.is_ping and address_of(desk, item) is not None


def address_of(desk: Desk, item: Item) -> str | None:
    """Return the address of a comment in the form in which mails are sent, None where there is no such form."""
    return sendable(item.email) if desk.confirming is not None and item.email else None


def sendable(email: str) -> str | None:
    """Return an address in the form that every mail server takes, its host in ASCII (RFC 5890); None for no such form.

    All spellings of a host that lead to it come out with that host. Full-width letters, a long s or a sharp one would
    lead to another host than the one that was typed, so there is no form for them.
    """
    local, _, domain = email.rpartition("@")
    try:
        host = domain.encode("idna")
        is_as_typed = domain.isascii() or host.decode("idna") == domain
    except UnicodeError:
        return None
    found = f"{local}@{host.decode('ascii')}" if is_as_typed else ""
    return found if is_address(found) else None


def ask(desk: Desk, item: Item, client_ip: str) -> None:
    """Request the mail for the author of a comment. Raises `RateLimited`, or `Invalid` where it has no address.

    A task is stored in any case, so that neither the answer nor its time shows whether a mail will be sent.
    """
    desk.limits.spend(Costs("confirmations", client_ip))
    if not item.email:
        raise Invalid.field("email", "This comment came without an e-mail address.")
    now = desk.clock.now()
    desk.store.tasks.add(item.id, [NewTask(kind=KIND, due_at=now)], now)


# --- sending --------------------------------------------------------------------------------------


def write(desk: Desk, task: Task) -> None:
    """Do one task: send the mail, unless its recipient unsubscribed, had one today, or the comment has changed."""
    item, now = desk.store.items.get(task.item), desk.clock.now()
    request = request_for(desk, task, item) if item is not None else None
    if request is None or has_had_enough(desk, request.mailbox, now):
        desk.store.tasks.finish(task)
    elif not desk.store.nonces.use_once(f"confirmation-claim:{request.mailbox}", now + CLAIM, now):
        desk.store.tasks.retry(task, now + CLAIM, "the same mailbox is being written to")
    else:
        send(desk, task, request)


def request_for(desk: Desk, task: Task, item: Item) -> ConfirmationRequest | None:
    to = address_of(desk, item)
    if desk.confirming is None or to is None or not is_confirmable(desk, item):
        return None
    return ConfirmationRequest(
        id=f"confirm-{item.id}-{int(task.created_at.timestamp())}",
        item=item.id,
        to=to,
        mailbox=desk.confirming.mailbox(to),
        article_title=item.article_title,
        article_url=item.article_url,
        at=desk.clock.now(),
    )


def has_had_enough(desk: Desk, mailbox: str, now: datetime) -> bool:
    """Return whether the owner of a mailbox has unsubscribed, or was sent a mail within the last day."""
    is_out = desk.store.mailboxes.get(mailbox).unsubscribed_at is not None
    return is_out or desk.store.nonces.is_used(sent_key(mailbox), now)


def sent_key(mailbox: str) -> str:
    return f"confirmation-mail:{mailbox}"


def send(desk: Desk, task: Task, request: ConfirmationRequest) -> None:
    """Try to send a mail. A refused address ends the task; only a server that stays down is a fault of the site's."""
    if desk.confirming is None:
        return
    try:
        desk.confirming.send(request)
    except ServiceDown as error:
        if not error.kind:
            desk.outages.failed("mail", error)
        # Mail servers repeat the address in their replies, and the notes of tasks must not hold it.
        reason = re.sub(re.escape(request.to), "(the address)", str(error), flags=re.IGNORECASE)
        try_later(desk, task, request, reason)
        return
    except Undeliverable:
        log.info("A mail to confirm an address was refused for good.")
    desk.outages.over("mail")
    desk.store.nonces.use_once(sent_key(request.mailbox), request.at + PER_MAIL, request.at)
    desk.store.tasks.finish(task)


def try_later(desk: Desk, task: Task, request: ConfirmationRequest, reason: str) -> None:
    wait = min(LONGEST_RETRY, FIRST_RETRY * 2 ** min(max(task.attempts - 1, 0), 10))
    if request.at + wait - task.created_at >= PER_MAIL:
        desk.store.tasks.bury(task, reason)
    else:
        desk.store.tasks.retry(task, request.at + wait, reason)


# --- what the link proves -------------------------------------------------------------------------


def identity_of(desk: Desk, item: Item) -> str | None:
    """Return the identity of a comment's address, None where it has no address."""
    return desk.confirming.author_id(item.email) if desk.confirming is not None and item.email else None


def count_as_theirs(desk: Desk, item: Item) -> None:
    """Set the author of a comment to the identity of its address. A comment of one of the host's users stays theirs.

    Call it where the browser that has confirmed the address is the one that has sent the comment.
    """
    author_id = identity_of(desk, item)
    if author_id is not None and item.author_id is None:
        desk.store.items.confirm(item.id, author_id)
