"""Confirm a commenter's e-mail address: request the mail and send it.

`moderate.notices.confirmation_views` acts on its link.

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
from moderate.limits.spending import Costs
from moderate.model import NewTask
from moderate.notices.delivery import outages_recorded
from moderate.notices.values import ConfirmationRequest, is_address
from moderate.web_address import ascii_host, letters_of

if TYPE_CHECKING:
    from moderate.model import Item, Task
    from moderate.notices.values import Confirming
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


def confirmable_address(desk: Desk, item: Item) -> str | None:
    """Return the address that the author of a comment can have confirmed, in the form in which mails are sent.

    None where the author is known already, or where the address has no such form.
    """
    if desk.confirming is None or item.author_id is not None or item.kind.is_ping or not item.email:
        return None
    return sendable(item.email)


def sendable(email: str) -> str | None:
    """Return an address in the form that every mail server takes, its host in ASCII (RFC 5890); None for no such form.

    All spellings of a host that lead to it come out with that host. Full-width letters or a long s would lead to
    another host than the one that was typed, so there is no form for them.
    """
    local, _, domain = email.rpartition("@")
    try:
        host = ascii_host(domain)
    except ValueError:
        return None
    found = f"{local}@{host}"
    return found if (domain.isascii() or letters_of(host) == domain) and is_address(found) else None


def request_mail(desk: Desk, item: Item, client_ip: str) -> None:
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
    confirming, item, now = desk.confirming, desk.store.items.get(task.item), desk.clock.now()
    to = confirmable_address(desk, item) if item is not None else None
    if confirming is None or item is None or to is None:
        desk.store.tasks.finish(task)
        return
    request = ConfirmationRequest(
        id=f"confirm-{item.id}-{int(task.created_at.timestamp())}",
        item=item.id,
        to=to,
        mailbox=confirming.mailbox(to),
        article_title=item.article_title,
        article_url=item.article_url,
        at=now,
    )
    is_out = desk.store.mailboxes.get(request.mailbox).unsubscribed_at is not None
    if is_out or desk.store.nonces.is_used(sent_key(request), now):
        desk.store.tasks.finish(task)
    elif not desk.store.nonces.use_once(f"confirmation-claim:{request.mailbox}", now + CLAIM, now):
        desk.store.tasks.retry(task, now + CLAIM, "the same mailbox is being written to")
    else:
        send(desk, confirming, task, request)


def sent_key(request: ConfirmationRequest) -> str:
    return f"confirmation-mail:{request.mailbox}"


def send(desk: Desk, confirming: Confirming, task: Task, request: ConfirmationRequest) -> None:
    """Try to send a mail. A refused address ends the task; only a server that stays down is a fault of the site's."""
    try:
        with outages_recorded(desk, "mail"):
            confirming.send(request)
    except ServiceDown as error:
        # Mail servers repeat the address in their replies, and the notes of tasks must not hold it.
        reason = re.sub(re.escape(request.to), "(the address)", str(error), flags=re.IGNORECASE)
        wait = min(LONGEST_RETRY, FIRST_RETRY * 2 ** min(max(task.attempts - 1, 0), 10))
        if request.at + wait - task.created_at >= PER_MAIL:
            desk.store.tasks.bury(task, reason)
        else:
            desk.store.tasks.retry(task, request.at + wait, reason)
        return
    except Undeliverable:
        log.info("A mail to confirm an address was refused for good.")
    desk.store.nonces.use_once(sent_key(request), request.at + PER_MAIL, request.at)
    desk.store.tasks.finish(task)
