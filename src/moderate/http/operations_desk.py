"""The moderators' pages: the queue with its forms, ways to sign in, and what links in mails lead to."""

from __future__ import annotations

from moderate.http.operation import (
    CURSOR,
    FORM,
    HTML,
    PROBLEM,
    Body,
    Json,
    Operation,
    Reply,
    path,
    query,
)
from moderate.http.operations_queue import FILTER, QUEUE
from moderate.http.schemas_moderation import AgainIn, CsrfIn

PAGE = (HTML, PROBLEM)

SHOWN = Reply(200, "The page.", types=(HTML,))


def secret(about: str) -> Json:
    return path("token", {"type": "string", "minLength": 1}, about)


QUEUE_PAGE = (
    Operation(
        method="GET",
        path="/moderation/",
        endpoint="queue",
        about="The queue",
        parameters=(*FILTER, CURSOR, query("notice", {"type": "string"}, "What was just done; signed.")),
        replies=(SHOWN,),
        problems=("invalid",),
        problem_types=PAGE,
        is_for_moderators=True,
    ),
)

SIGN_IN = (
    Operation(
        method="GET",
        path="/moderation/sign-in/{token}",
        endpoint="sign_in",
        about="The page of a sign-in link, with its button",
        parameters=(secret("As `flask moderate token link` has made it."),),
        replies=(SHOWN,),
        problems=("forbidden", "rate-limited"),
        problem_types=PAGE,
    ),
    Operation(
        method="POST",
        path="/moderation/sign-in/{token}",
        endpoint="sign_in",
        about="Use the link up and begin a session",
        parameters=(secret("As `flask moderate token link` has made it."),),
        replies=(Reply(303, "To the queue.", types=(HTML,), headers=("Location",)),),
        problems=("forbidden", "rate-limited"),
        problem_types=PAGE,
    ),
    Operation(
        method="POST",
        path="/moderation/sign-out",
        endpoint="sign_out",
        about="End a session that a link began",
        bodies=(Body(FORM, CsrfIn, is_required=False),),
        replies=(Reply(303, "To the queue.", types=(HTML,), headers=("Location",)),),
        problem_types=PAGE,
        is_for_moderators=True,
    ),
)

DECISION_LINK = secret("As the mail has it: for one item, version, decision and moderator.")
MAILBOX_LINK = secret("As the mail has it: for one mailbox.")

OF_A_DECISION = (
    SHOWN,
    Reply(404, "The item is gone.", types=(HTML,)),
    Reply(409, "Used, or decided meanwhile.", types=(HTML,)),
    Reply(410, "The link is not valid any more.", types=(HTML,)),
)

MAILS = (
    Operation(
        method="GET",
        path="/moderation/mail/{token}",
        endpoint="mail_link",
        about="The page of a mail's link: the item and one button; looking changes nothing",
        parameters=(DECISION_LINK,),
        replies=OF_A_DECISION,
        problems=("rate-limited",),
    ),
    Operation(
        method="POST",
        path="/moderation/mail/{token}",
        endpoint="mail_link",
        about="The decision that a mail's link is for",
        parameters=(DECISION_LINK,),
        replies=OF_A_DECISION,
        problems=("rate-limited",),
    ),
    Operation(
        method="GET",
        path="/moderation/unsubscribe/{token}",
        endpoint="unsubscribe",
        about="Asks whether a mailbox wants no more mail; looking changes nothing",
        parameters=(MAILBOX_LINK,),
        replies=(SHOWN, Reply(410, "The link is not valid.", types=(HTML,))),
        problems=("rate-limited",),
    ),
    Operation(
        method="POST",
        path="/moderation/unsubscribe/{token}",
        endpoint="unsubscribe",
        about="No more mail to a mailbox, in one click (RFC 8058); `again=1` takes it back",
        parameters=(MAILBOX_LINK,),
        bodies=(Body(FORM, AgainIn, is_required=False),),
        replies=(SHOWN, Reply(410, "The link is not valid.", types=(HTML,))),
        problems=("too-large", "rate-limited"),
    ),
)

DESK: tuple[Operation, ...] = (*QUEUE_PAGE, *QUEUE, *SIGN_IN, *MAILS)
