"""Confirming a commenter's e-mail address: asking for the mail, sending it, and what follows from its link.

A typed address proves nothing. Who reads the mail that we send there has it: the browser in which the
link's button is pressed is known by that address from then on, and its own comment counts as theirs.

Anybody can type somebody else's address. So a mailbox gets one such mail a day, whoever asks, none after
its owner has said so, and the mail holds no word of a commenter's. Whether it went is told to nobody.
"""

from __future__ import annotations

import hmac
import logging
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from moderate.errors import Invalid, ServiceDown, Undeliverable
from moderate.hooks import CONFIRMED
from moderate.limits import Costs
from moderate.model import NewTask
from moderate.notices.values import is_address

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from moderate.model import Item, Task
    from moderate.submit.desk import Desk

log = logging.getLogger("moderate")

#: The kind of the tasks.
KIND = "confirm"

#: How long it takes until a mailbox may get another of these mails, and how long one is tried.
PER_MAIL = timedelta(days=1)

#: For how long a mailbox is left to the worker that is writing to it.
CLAIM = timedelta(minutes=2)

#: A mail server that is down is asked again after this, then after twice as long, up to the longest.
FIRST_RETRY = timedelta(minutes=2)
LONGEST_RETRY = timedelta(hours=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One mail to a person who may never have asked for it.

    It holds nothing that a commenter wrote but the address that it goes to, *to*, in the form in which mails are sent.
    *id* is the same for each attempt; *mailbox* is a keyed hash of the address.
    """

    id: str
    item: int
    to: str
    mailbox: str
    article_title: str
    article_url: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Confirming:
    """The parts that confirming needs.

    *send* sends a mail; it raises `ServiceDown` where trying again may help, else `Undeliverable`. *secret* returns the
    key of the hashes. It must be the same in all processes and must not change: identities depend on it.
    """

    send: Callable[[Request], None]
    secret: Callable[[], bytes]

    def author_id(self, email: str) -> str:
        """The identity that goes with an address, in the spelling in which items hold it."""
        return CONFIRMED + self._hash("identity", email, 32)

    def mailbox(self, to: str) -> str:
        """Names the mailbox behind an address as mails go to it: many providers put all its spellings into one."""
        local, _, domain = to.casefold().rpartition("@")
        return self._hash("mailbox", f"{local.partition('+')[0].replace('.', '')}@{domain}", 24)

    def _hash(self, purpose: str, text: str, length: int) -> str:
        words = f"{purpose}\0{text}".encode("utf-8", "surrogatepass")
        return hmac.digest(self.secret(), words, "sha256").hex()[:length]


def is_confirmable(desk: Desk, item: Item) -> bool:
    """Whether a mail could go to the address of this comment, and would prove anything new."""
    return item.author_id is None and not item.kind.is_ping and address_of(desk, item) is not None


def address_of(desk: Desk, item: Item) -> str | None:
    """The address of this comment as mails to it are sent; None where none could be."""
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
    """The author wants the mail. Raises `RateLimited`, or `Invalid` where the comment has no address.

    A task is written in any case, so that neither the answer nor its time tells what will come of it.
    """
    desk.limits.spend(Costs("confirmations", client_ip))
    if not item.email:
        raise Invalid.field("email", "This comment came without an e-mail address.")
    now = desk.clock.now()
    desk.store.tasks.add(item.id, [NewTask(kind=KIND, due_at=now)], now)


# --- sending --------------------------------------------------------------------------------------


def write(desk: Desk, task: Task) -> None:
    """Do one task: send the mail, unless nobody is to get it."""
    item, now = desk.store.items.get(task.item), desk.clock.now()
    request = request_for(desk, task, item) if item is not None else None
    if request is None or not is_welcome(desk, request.mailbox, now):
        desk.store.tasks.finish(task)
    elif not desk.store.nonces.use_once(f"confirmation-claim:{request.mailbox}", now + CLAIM, now):
        desk.store.tasks.retry(task, now + CLAIM, "the same mailbox is being written to")
    else:
        send(desk, task, request)


def request_for(desk: Desk, task: Task, item: Item) -> Request | None:
    to = address_of(desk, item)
    if desk.confirming is None or to is None or not is_confirmable(desk, item):
        return None
    return Request(
        id=f"confirm-{item.id}-{int(task.created_at.timestamp())}",
        item=item.id,
        to=to,
        mailbox=desk.confirming.mailbox(to),
        article_title=item.article_title,
        article_url=item.article_url,
        at=desk.clock.now(),
    )


def is_welcome(desk: Desk, mailbox: str, now: datetime) -> bool:
    """Whether its owner has not declined such mails, and has had none today."""
    return desk.store.mailboxes.get(mailbox).unsubscribed_at is None and not desk.store.nonces.is_used(
        mark(mailbox), now
    )


def mark(mailbox: str) -> str:
    return f"confirmation-mail:{mailbox}"


def send(desk: Desk, task: Task, request: Request) -> None:
    """An address that a server refuses is its typist's affair; a server that is down for a day is the site's."""
    if desk.confirming is None:
        return
    try:
        desk.confirming.send(request)
    except ServiceDown as error:
        if not error.kind:
            desk.outages.failed("mail", error)
        try_later(desk, task, request, without_address(str(error), request.to))
        return
    except Undeliverable:
        log.info("A mail to confirm an address was refused for good.")
    desk.outages.over("mail")
    desk.store.nonces.use_once(mark(request.mailbox), request.at + PER_MAIL, request.at)
    desk.store.tasks.finish(task)


def try_later(desk: Desk, task: Task, request: Request, reason: str) -> None:
    wait = min(LONGEST_RETRY, FIRST_RETRY * 2 ** min(max(task.attempts - 1, 0), 10))
    if request.at + wait - task.created_at >= PER_MAIL:
        desk.store.tasks.bury(task, reason)
    else:
        desk.store.tasks.retry(task, request.at + wait, reason)


def without_address(reason: str, address: str) -> str:
    """Mail servers repeat the address in their answers; a task's note is no place for it."""
    return re.sub(re.escape(address), "(the address)", reason, flags=re.IGNORECASE)


# --- what the link proves -------------------------------------------------------------------------


def identity_of(desk: Desk, item: Item) -> str | None:
    """The identity that goes with the address of this comment."""
    return desk.confirming.author_id(item.email) if desk.confirming is not None and item.email else None


def count_as_theirs(desk: Desk, item: Item) -> None:
    """The browser that has confirmed the address of this comment has sent it as well: it is theirs.

    The caller knows both. What a login of the host's has sent stays that login's.
    """
    author_id = identity_of(desk, item)
    if author_id is not None and item.author_id is None:
        desk.store.items.confirm(item.id, author_id)
