"""Confirm the e-mail address of a commenter: a button, a mail, a link, and a button on its page.

A link is for one comment, lasts for a day and works once. It proves the address for the browser in which its button is
pressed and for no other: to type another person's address and have them press it gains nothing.
"""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Literal, NamedTuple

from flask import Response, jsonify, request

from moderate.errors import Forbidden, Refused, ServiceDown, UnknownItem
from moderate.http.answers import NoSuchPage, headers_of, public_text, status_of
from moderate.http.language import say
from moderate.http.operation import EDIT_TOKEN, FORM, HTML, HTML_PAGE, JSON, Answer, Operation, Reply
from moderate.http.signing import AgainIn, SignedLink, keep_secret, unsubscribe
from moderate.http.state import current_request, current_state, render
from moderate.i18n import Message
from moderate.moderation.access import check_same_site
from moderate.notices.confirm import PER_MAIL, request_mail
from moderate.protocols.comment import read_edit, wants_json
from moderate.reading.views import refuse_hidden_article
from moderate.submit.views import WithdrawIn, own_item

if TYPE_CHECKING:
    from flask.typing import ResponseReturnValue

    from moderate.http.operation import View
    from moderate.http.state import State
    from moderate.model import Item


INVALID = Reply(410, "The link is not valid, or not any more.", types=(HTML,))
SPENT = Reply(409, "The link has been used.", types=(HTML,))

CUT = Message("This link is not valid any more. It lasts for 24 hours, and only whole: look whether yours was cut.")


class AcceptedOut(Answer):
    """The answer to a request for the mail, which is the same whether or not one is sent."""

    accepted: Literal[True]


CONFIRMATION = SignedLink(
    purpose="confirmation",
    rule="/confirmation/<token>",
    endpoint="confirmation",
    about="As the mail has it: for one comment, once, within 24 hours.",
    limit="edits",
    lifetime=PER_MAIL,
    replies=(HTML_PAGE, SPENT, INVALID),
    problems=("not-found", "rate-limited"),
)

#: It never expires: the links in old mails must work too.
STOP = SignedLink(
    purpose="confirmation-stop",
    rule="/confirmation/stop/<token>",
    endpoint="confirmation_stop",
    about="As the mail has it: for one mailbox.",
    limit="edits",
    replies=(HTML_PAGE, INVALID),
    problems=("not-found", "rate-limited"),
)


class LinkNotValid(Exception):
    """A link that is not valid any more, or whose comment was deleted."""


def where_wanted(view: View) -> View:
    """Return *view* with its refusals as pages for people; 404 where the site confirms no addresses."""

    @wraps(view)
    def guarded(**values: object) -> ResponseReturnValue:
        if current_state().desk.confirming is None:
            raise NoSuchPage
        try:
            return view(**values)
        except LinkNotValid:
            return page(say("This did not work."), say(CUT), status=410)
        except (Refused, ServiceDown) as error:
            if request.method == "POST" and wants_json(request):
                raise
            current_state().report(error)
            refused = page(say("This did not work."), public_text(error), status=status_of(error))
            refused.headers.update(headers_of(error))
            return refused

    return guarded


# --- asking for the mail --------------------------------------------------------------------------


@Operation(
    "POST",
    "/items/<int:item_id>/confirmation",
    "confirmation_ask",
    "Ask for a mail that confirms the e-mail address of your own comment",
    parameters=(EDIT_TOKEN,),
    body={JSON: WithdrawIn, FORM: None},
    is_body_required=False,
    replies=(Reply(202, "Accepted; nobody is told whether a mail goes out.", AcceptedOut, types=(HTML,)),),
    problems=("not-found", "forbidden", "rate-limited"),
    has_problem_pages=True,
)
@where_wanted
def ask(item_id: int) -> ResponseReturnValue:
    state = current_state()
    check_same_site(state, current_request())
    found = item_of_theirs(state, item_id)
    refuse_hidden_article(state, found)
    request_mail(state.desk, found, request.remote_addr or "")
    state.worker.wake()
    if wants_json(request):
        return jsonify(accepted=True), 202
    return page(
        say("Look into your mailbox"),
        say("A mail is on its way to the address that you gave. Open the link in it in this browser, within 24 hours."),
        say("Each address gets one such mail a day, and none if its owner wants none."),
        status=202,
        item=found,
    )


def item_of_theirs(state: State, item_id: int) -> Item:
    """Return the item if this browser has sent it or the request has its edit token, else raise."""
    if item_id in state.edge.own_items(request):
        found = state.desk.store.items.get(item_id)
        if found is None:
            raise UnknownItem
        return found
    token = request.args.get("edit_token") or request.form.get("edit_token")
    if request.mimetype == JSON:
        token = read_edit(request).edit_token
    return own_item(state, item_id, token)


# --- the link in the mail -------------------------------------------------------------------------


class Link(NamedTuple):
    """The comment that a link is for, the identity that it confirms, and the id of its mail."""

    item: Item
    author_id: str
    mail: str


@CONFIRMATION.operation("GET", "The page of a mail's link, with its button; looking changes nothing")
@where_wanted
def show_confirmation(token: str) -> ResponseReturnValue:
    state = current_state()
    link = opened(state, token)
    if CONFIRMATION.is_spent(state.desk, link.mail):
        return spent(state, link)
    return page(
        say("Confirm your e-mail address"),
        say("Press the button if you read the mails of this address and have commented with it."),
        say("This browser has sent the comment, so it will count as yours.")
        if is_theirs(state, link)
        else say(
            "The comment came from another browser, so it will not count as yours, but what you send from here will."
        ),
        say("A cookie keeps this in mind here for 180 days."),
        item=link.item,
        button=say("Confirm my e-mail address"),
    )


@CONFIRMATION.operation(
    "POST",
    "Confirm the address for the browser that sends this, which gets a cookie",
    problems=("not-found", "forbidden", "rate-limited"),
)
@where_wanted
def confirm_address(token: str) -> ResponseReturnValue:
    state = current_state()
    if is_elsewhere():
        raise Forbidden("This form was sent from another site.")
    link = opened(state, token)
    if CONFIRMATION.is_spent(state.desk, link.mail):
        return spent(state, link)
    # A comment of one of the host's users stays theirs.
    if is_theirs(state, link) and link.item.author_id is None:
        state.desk.store.items.confirm(link.item.id, link.author_id)
    # Last, so that a failure spends no link. Of two requests at once one is first.
    if not CONFIRMATION.spend(state.desk, link.mail):
        return spent(state, link)
    response = done(link)
    state.edge.remember_confirmed(request, response, link.author_id)
    return response


def opened(state: State, token: str) -> Link:
    """Return what a token is for. Raises `LinkNotValid`."""
    found, confirming = CONFIRMATION.open(state.signer, state.desk, token), state.desk.confirming
    item = state.desk.store.items.get(found[0][0]) if found is not None else None
    if found is None or item is None or confirming is None:
        raise LinkNotValid
    refuse_hidden_article(state, item)
    if not item.email:
        raise LinkNotValid
    return Link(item, confirming.author_id(item.email), found[0][1])


def is_theirs(state: State, link: Link) -> bool:
    return link.item.id in state.edge.own_items(request)


def is_elsewhere() -> bool:
    """Return whether a page of another site has sent this form.

    The page of a link sends no referrer, and so some browsers name the origin of its form "null". Where they send no
    Sec-Fetch-Site either, the form is accepted: another site's page could only confirm an address of its own here.
    """
    is_unnamed = request.headers.get("Origin") == "null" and "Sec-Fetch-Site" not in request.headers
    return not is_unnamed and current_state().address.is_cross_site(request)


def spent(state: State, link: Link) -> Response:
    """Answer to a used link. The browser in which the button was pressed may load the page again: it worked."""
    if state.edge.confirmed_here(request) == link.author_id:
        return done(link)
    return page(say("This did not work."), say("This link has been used already; each works once."), status=409)


def done(link: Link) -> Response:
    return page(
        say("Your e-mail address is confirmed."),
        say("What you send from this browser with this address counts as yours from now on."),
        item=link.item,
    )


# --- the end of the mails -------------------------------------------------------------------------


@STOP.operation("GET", "The page that asks whether a mailbox wants no more of these mails; looking changes nothing")
@where_wanted
def show_stop(token: str) -> ResponseReturnValue:
    state = current_state()
    if state.desk.store.mailboxes.get(mailbox_of(state, token)).unsubscribed_at is not None:
        return stopped(say("You get no mails from this site."))
    return page(
        say("Get no more of these mails?"),
        say("They go out when somebody comments with your address and asks for one."),
        button=say("No more of these mails"),
    )


@STOP.operation(
    "POST",
    "No more of these mails to a mailbox, in one click (RFC 8058); `again=1` takes it back",
    body={FORM: AgainIn},
    is_body_required=False,
)
@where_wanted
def stop(token: str) -> ResponseReturnValue:
    state = current_state()
    if unsubscribe(state.desk, mailbox_of(state, token)):
        return stopped(say("Done: you get no more mails from this site."))
    return page(say("Done: you get these mails again when you ask for one."))


def stopped(heading: str) -> Response:
    return page(heading, button=say("Allow these mails again"), again=True)


def mailbox_of(state: State, token: str) -> str:
    """Return the hash of the mailbox that a link is for. Raises `LinkNotValid`."""
    found = STOP.open(state.signer, state.desk, token)
    if found is None:
        raise LinkNotValid
    return str(found[0])


@Operation(
    "POST",
    "/confirmation/forget",
    "forget_address",
    "Delete the cookie of a confirmed address",
    replies=(HTML_PAGE,),
    problems=("not-found", "forbidden"),
    has_problem_pages=True,
)
@where_wanted
def forget() -> ResponseReturnValue:
    check_same_site(current_state(), current_request())
    response = page(
        say("This browser has forgotten your address."),
        say("What you have sent stays yours. To be known again, have the address confirmed again."),
    )
    current_state().edge.remember_confirmed(request, response, None)
    return response


def page(
    heading: str, *lines: str, status: int = 200, item: Item | None = None, button: str = "", again: bool = False
) -> Response:
    """Return a page with some *lines* of text, a link back to *item*, and one *button*, which acts."""
    shown = render("confirmation", heading=heading, lines=lines, item=item, button=button, again=again)
    return keep_secret(Response(shown, status))
