"""The one mail to commenters: its button confirms their address.

The recipient may never have asked for it. So everything in it is the package's own but the article's title and
address, which are the host's: no name, text or address of the person who typed the recipient's can be sent through it.
"""

from __future__ import annotations

from dataclasses import dataclass
from email.headerregistry import Address
from typing import TYPE_CHECKING

from moderate.notices.mail import Mail, Mailer, clipped, one_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from moderate.confirmation.confirm import Request
    from moderate.i18n import Translator

#: How long the title of an article may be, in characters.
TITLE = 200


@dataclass(frozen=True, slots=True)
class ConfirmationMails:
    """Sends these mails for a *site*, its address for people.

    *confirm* and *stop* return the addresses of the links in a mail; see `moderate.confirmation.views`.
    """

    mailer: Mailer
    words: Translator
    site: str
    confirm: Callable[[Request], str]
    stop: Callable[[Request], str]

    def send(self, request: Request) -> None:
        """Send one mail. Raises `ServiceDown` where trying again may help, else `Undeliverable`."""
        article = one_line(request.article_url)
        mail = Mail(
            to=Address(addr_spec=request.to),
            id=request.id,
            subject=self.words.say("Confirm your e-mail address on {site}", site=self.site),
            at=request.at,
            template="confirm",
            values={
                "site": self.site,
                "confirm": self.confirm(request),
                "title": clipped(one_line(request.article_title), TITLE) or article,
                "article": article,
            },
            unsubscribe=self.stop(request),
        )
        self.mailer.send(mail, self.words)
