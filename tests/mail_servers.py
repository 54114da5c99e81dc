"""A real SMTP server on loopback that keeps the mails it gets, or refuses them as configured."""

from __future__ import annotations

import email
import re
from email.message import EmailMessage
from email.policy import default
from typing import TYPE_CHECKING, Any, Self

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from tests.servers import HOST, free_port

if TYPE_CHECKING:
    import ssl


class Mail:
    """One mail as it arrived: to whom, byte for byte, and read."""

    def __init__(self, to: str, raw: bytes) -> None:
        self.to = to
        self.raw = raw
        message = email.message_from_bytes(raw, policy=default)
        assert isinstance(message, EmailMessage)
        self.message = message

    @property
    def subject(self) -> str:
        return str(self.message["Subject"])

    @property
    def id(self) -> str:
        return str(self.message["Message-ID"])

    @property
    def text(self) -> str:
        return self._part("plain")

    @property
    def html(self) -> str:
        return self._part("html")

    @property
    def links(self) -> list[str]:
        """Every address below the moderators' that the mail's text has."""
        return re.findall(r"https?://[^\s<>\"]+", self.text)

    def link(self, label: str) -> str:
        """The path of the first link behind *label*, for a test client."""
        found = re.search(rf"^{label}:\s+http://localhost(\S+)$", self.text, re.MULTILINE)
        assert found is not None, self.text
        return found[1]

    @property
    def unsubscribe(self) -> str:
        return str(self.message["List-Unsubscribe"]).removeprefix("<http://localhost").removesuffix(">")

    def _part(self, kind: str) -> str:
        part = self.message.get_body((kind,))
        assert part is not None
        text: str = part.get_content()
        return text.replace("\r\n", "\n")


class MailServer:
    """Listens while it is started. `refusal` is what it answers to each mail, in place of accepting it.

    `answers` maps MAIL, RCPT or DATA to what is answered to these commands.
    """

    def __init__(self, tls: ssl.SSLContext | None = None, **options: Any) -> None:
        self.mails: list[Mail] = []
        self.offered = 0
        self.refusal = ""
        self.answers: dict[str, str] = {}
        self.refused_address = ""
        self.port = 0
        self._options = {**options, **({"tls_context": tls} if tls else {})}
        self._controller: Controller | None = None

    def start(self) -> Self:
        """On the port that it had before, or on a free one."""
        for _ in range(5):
            port = self.port or free_port()
            self._controller = Controller(self, hostname=HOST, port=port, ready_timeout=20, **self._options)
            try:
                self._controller.start()
            except OSError:
                self._controller.stop()
                continue
            self.port = port
            return self
        raise AssertionError("no port was free")

    def stop(self) -> None:
        if self._controller is not None:
            self._controller.stop()
            self._controller = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    async def handle_MAIL(self, _server: Any, _session: Any, envelope: Any, address: str, options: Any) -> str:
        if refusal := self.answers.get("MAIL"):
            return refusal
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any) -> str:
        if refusal := self.refused_address or self.answers.get("RCPT"):
            return refusal
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        self.offered += 1
        if refusal := self.refusal or self.answers.get("DATA"):
            return refusal
        self.mails += [Mail(address, envelope.content) for address in envelope.rcpt_tos]
        return "250 OK"


def knows(name: str, password: str) -> Any:
    """An authenticator that accepts one name with one password."""

    def check(_server: Any, _session: Any, _envelope: Any, _mechanism: str, given: Any) -> AuthResult:
        return AuthResult(success=(given.login, given.password) == (name.encode(), password.encode()), handled=False)

    return check
