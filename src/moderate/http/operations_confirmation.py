"""Confirming a commenter's e-mail address, address by address; all answer 404 where the site does not want it."""

from __future__ import annotations

from typing import Literal

from moderate.http.operation import FORM, HTML, ITEM, JSON, PROBLEM, TOKEN, Body, Operation, Reply
from moderate.http.operations_desk import SHOWN, secret
from moderate.http.schemas import Answer, WithdrawIn
from moderate.http.schemas_moderation import AgainIn

#: Programs get problem documents, people pages.
EITHER = (PROBLEM, HTML)

INVALID = Reply(410, "The link is not valid, or not any more.", types=(HTML,))
SPENT = Reply(409, "The link has been used.", types=(HTML,))


class AcceptedOut(Answer):
    """The same whether or not a mail goes out."""

    accepted: Literal[True]


CONFIRMATION: tuple[Operation, ...] = (
    Operation(
        method="POST",
        path="/items/{item_id}/confirmation",
        endpoint="confirmation_ask",
        about="Ask for a mail that confirms the e-mail address of your own comment",
        parameters=(ITEM, TOKEN),
        bodies=(Body(JSON, WithdrawIn, is_required=False), Body(FORM, is_required=False)),
        replies=(Reply(202, "Accepted; nobody is told whether a mail goes out.", AcceptedOut, types=(HTML,)),),
        problems=("not-found", "invalid", "too-large", "unknown-item", "forbidden", "rate-limited"),
        problem_types=EITHER,
    ),
    Operation(
        method="GET",
        path="/confirmation/{token}",
        endpoint="confirmation",
        about="The page of a mail's link, with its button; looking changes nothing",
        parameters=(secret("As the mail has it: for one comment, once, within 24 hours."),),
        replies=(SHOWN, SPENT, INVALID),
        problems=("not-found", "rate-limited"),
        problem_types=EITHER,
    ),
    Operation(
        method="POST",
        path="/confirmation/{token}",
        endpoint="confirmation",
        about="Confirm the address for the browser that sends this, which gets a cookie",
        parameters=(secret("As the mail has it: for one comment, once, within 24 hours."),),
        replies=(SHOWN, SPENT, INVALID),
        problems=("not-found", "forbidden", "rate-limited"),
        problem_types=EITHER,
    ),
    Operation(
        method="POST",
        path="/confirmation/forget",
        endpoint="forget_address",
        about="Take the cookie back that knows a confirmed address",
        replies=(SHOWN,),
        problems=("not-found", "forbidden"),
        problem_types=EITHER,
    ),
    Operation(
        method="GET",
        path="/confirmation/stop/{token}",
        endpoint="confirmation_stop",
        about="Asks whether a mailbox wants no more of these mails; looking changes nothing",
        parameters=(secret("As the mail has it: for one mailbox."),),
        replies=(SHOWN, INVALID),
        problems=("not-found", "rate-limited"),
        problem_types=EITHER,
    ),
    Operation(
        method="POST",
        path="/confirmation/stop/{token}",
        endpoint="confirmation_stop",
        about="No more of these mails to a mailbox, in one click (RFC 8058); `again=1` takes it back",
        parameters=(secret("As the mail has it: for one mailbox."),),
        bodies=(Body(FORM, AgainIn, is_required=False),),
        replies=(SHOWN, INVALID),
        problems=("not-found", "too-large", "rate-limited"),
        problem_types=EITHER,
    ),
)
