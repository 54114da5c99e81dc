"""The one mail to commenters: its button confirms their address.

Who gets it may never have asked, so all of it is ours but the article's title and address, which are
the host's: no name, no text and no address of whoever typed this one in can be sent through it.
"""

from __future__ import annotations

from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from html import escape
from typing import TYPE_CHECKING

from moderate.errors import Undeliverable
from moderate.notices.mail import POLICY, address, by_machine, encoded
from moderate.notices.mail_text import Letter, clipped, one_line
from moderate.ports.notices import is_address

if TYPE_CHECKING:
    from moderate.notices.mail import Transport
    from moderate.ports.confirming import ConfirmationLinks, Request
    from moderate.words import Words

#: How long the title of an article may be, in characters.
TITLE = 200


class ConfirmationMails:
    """See `moderate.ports.confirming.ConfirmationMailer`."""

    def __init__(
        self, transport: Transport, links: ConfirmationLinks, words: Words, *, sender: str, host: str, site: str
    ) -> None:
        self._transport = transport
        self._links = links
        self._words = words
        self._sender = sender
        self._host = host
        self._site = site

    def spelled(self, email: str) -> str | None:
        """See the port."""
        return sendable(email)

    def send(self, request: Request) -> None:
        """See the port."""
        to = sendable(request.to)
        if to is None:
            raise Undeliverable("no mail server takes this address")
        self._transport.send(self.message(request, to), sender=parseaddr(self._sender)[1], to=to)

    def message(self, request: Request, to: str) -> EmailMessage:
        """The whole mail."""
        stop = self._links.stop(request)
        letter = confirmation_letter(request, self._links.confirm(request), stop, self._site, self._words)
        message = EmailMessage(policy=POLICY)
        message["From"] = address(self._sender)
        message["To"] = Address(addr_spec=to)
        message["Subject"] = encoded(letter.subject)
        message["Date"] = format_datetime(request.at)
        message["Message-ID"] = f"<{request.id}@{self._host}>"
        by_machine(message)
        # RFC 2369, and RFC 8058 for the one click.
        message["List-Unsubscribe"] = f"<{stop}>"
        message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
        message.set_content(letter.text, cte="quoted-printable")
        message.add_alternative(letter.html, subtype="html", cte="quoted-printable")
        return message


def sendable(email: str) -> str | None:
    """The address as every mail server takes it, its host in ASCII (RFC 5890); None where there is no such form."""
    local, _, domain = email.rpartition("@")
    try:
        host = domain.encode("idna")
        is_as_typed = domain.isascii() or host.decode("idna") == domain
    except UnicodeError:
        return None
    # Full-width letters, a long s or a sharp one would lead to another host than the one that was typed.
    found = f"{local}@{host.decode('ascii')}" if is_as_typed else ""
    return found if is_address(found) else None


def confirmation_letter(request: Request, confirm: str, stop: str, site: str, words: Words) -> Letter:
    """What the mail says, as plain text and as the same in HTML."""
    title = clipped(one_line(request.article_title), TITLE) or one_line(request.article_url)
    article = one_line(request.article_url)
    asked = words.say("Somebody has commented on {site} and gave this e-mail address.", site=site)
    was_you = words.say("Was it you? Then confirm that the address is yours:")
    about = words.say("The link leads to a page with one button. It works once, and for 24 hours.")
    where = words.say("Open it in the browser in which you have commented, so that the comment counts as yours.")
    not_you = words.say("Was it not you? Then do nothing, and nothing happens.")
    no_more = words.say("To get no more mails of this kind from this site:")
    text = f"{asked} {was_you}\n\n{confirm}\n\n{about} {where}\n\n{title}\n{article}\n\n{not_you}\n{no_more} {stop}\n"
    rest = f"<p>{escape(about)} {escape(where)}</p>\n" + linked(article, title) + f"<p><small>{escape(not_you)} "
    body = (
        f"<p>{escape(asked)} {escape(was_you)}</p>\n" + linked(confirm, words.say("Confirm my e-mail address")) + rest
    )
    body += (
        f'{escape(no_more)} <a href="{escape(stop)}">{escape(words.say("No more of these mails"))}</a></small></p>\n'
    )
    html = f'<!doctype html>\n<html lang="{words.language}"><body>\n{body}</body></html>\n'
    return Letter(words.say("Confirm your e-mail address on {site}", site=site), text, html)


def linked(place: str, label: str) -> str:
    return f'<p><a href="{escape(place)}"><bdi>{escape(label)}</bdi></a></p>\n'
