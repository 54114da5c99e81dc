"""The failures of a mail server in words: one text for each way of failing, without secrets and addresses."""

from __future__ import annotations

import re
import smtplib
from contextlib import contextmanager
from typing import TYPE_CHECKING

from moderate.errors import ServiceDown, Undeliverable
from moderate.notices.mail_text import one_line
from moderate.outbound.failures import trouble

if TYPE_CHECKING:
    from collections.abc import Iterator

RELAY = "it sends no mails elsewhere without a sign-in; set MODERATE_MAIL_USERNAME"

#: Meanings of a refusal by the first part of "CODE REPLY" that fits: reply codes and enhanced codes (RFC 3463).
MEANINGS = (
    (r"\d+ [45]\.2\.2\b|quota|mailbox (is )?full", "the mailbox is full"),
    (r"\d+ [45]\.(3\.4|2\.3)\b|too (large|big)|size limit", "the mail is larger than it takes"),
    (r"552\b", "the mailbox is full or the mail larger than it takes"),
    (r"452\b", "it has no room at the moment"),
    (r"4.*gr[ae]y-?list", "it asks for another try later (greylisting)"),
    (r"530\b", "it wants a sign-in first; set MODERATE_MAIL_USERNAME"),
    (r"5.*(relay\w* (access )?(denied|not)|(unable|not \w+) to relay)", RELAY),
    (r"5\d\d 5\.1\.[0136]\b", "there is no such mailbox"),
    (r"[45]\d\d [45]\.7\.", "its policy forbids it"),
    (r"421\b", "it is busy or closing"),
    (r"4\d\d\b", "it asks for another try later"),
)

#: Server replies often repeat the addresses of a mail, which logs must not hold.
_MAILBOX = re.compile(r"[^\s<>\"'(),;:@]+@[^\s<>\"'(),;:@]+")


@contextmanager
def failures_named() -> Iterator[None]:
    """Raise `ServiceDown` or `Undeliverable` in place of errors of `smtplib` and of the system.

    The new errors have no cause: those of `smtplib` hold addresses and what was sent.
    """
    try:
        yield
    except smtplib.SMTPRecipientsRefused as error:
        code, reply = next(iter(error.recipients.values()))
        raise refused(code, reply, "the address") from None
    except smtplib.SMTPSenderRefused as error:
        raise sender_refused(error.smtp_code, error.smtp_error) from None
    except smtplib.SMTPDataError as error:
        raise refused(error.smtp_code, error.smtp_error, "the mail") from None
    except smtplib.SMTPResponseException as error:
        what = "the connection" if isinstance(error, smtplib.SMTPConnectError | smtplib.SMTPHeloError) else "STARTTLS"
        raise ServiceDown("mail", words_for(error.smtp_code, error.smtp_error, what)) from None
    except smtplib.SMTPServerDisconnected as error:
        words = trouble(error, "it broke the connection off")
        raise ServiceDown("mail", f"the mail server cannot be reached: {words}") from None
    except smtplib.SMTPNotSupportedError as error:
        raise ServiceDown("mail", unsupported(error)) from None
    except (smtplib.SMTPException, OSError, ValueError) as error:
        raise ServiceDown("mail", f"the mail server cannot be reached: {trouble(error)}") from None


def refused(code: int, reply: bytes | str, what: str) -> ServiceDown | Undeliverable:
    """Return the error for a refusal: 5xx is for good, 4xx for now (RFC 5321 §4.2.1).

    What a setting would mend is for now as well. The kind ``refused`` says that the server itself works.
    """
    words = words_for(code, reply, what)
    is_for_good = 500 <= code < 600 and "MODERATE_" not in words
    return Undeliverable(words) if is_for_good else ServiceDown("mail", words, kind="refused")


def sender_refused(code: int, reply: bytes | str) -> ServiceDown | Undeliverable:
    """Return the error for a refused MAIL command, whose SIZE parameter also announces the mail (RFC 1870)."""
    is_about_mail = code < 500 or code == 552 or re.match(MEANINGS[1][0], f"{code} {reply_of(reply)}")
    return refused(code, reply, "the mail" if is_about_mail else "the sender, MODERATE_MAIL_FROM")


def words_for(code: int, reply: bytes | str, what: str) -> str:
    """Return that *what* was refused, with the meaning of the answer where it has a common one, and the answer."""
    if not 200 <= code < 600:
        return "what is at MODERATE_MAIL_SERVER does not speak SMTP; check the port and MODERATE_MAIL_SECURITY"
    said = f"{code} {reply_of(reply)}".strip()
    meaning = next((words for pattern, words in MEANINGS if re.search(rf"^(?:{pattern})", said, re.IGNORECASE)), None)
    return f"the mail server refused {what}" + (f" ({meaning}): {said}" if meaning else f": {said}")


def reply_of(reply: bytes | str) -> str:
    """Return the text of an answer as one line of at most 200 characters, without mail addresses."""
    text = reply.decode("utf-8", "replace") if isinstance(reply, bytes) else reply
    return _MAILBOX.sub("…", one_line(text))[:200]


def unsupported(error: smtplib.SMTPNotSupportedError) -> str:
    if "STARTTLS" in str(error):
        return (
            "the mail server does not offer STARTTLS; "
            "set MODERATE_MAIL_SECURITY to 'tls' and the port to match, or to 'none' for a server on this machine"
        )
    return "the mail server lacks something that this mail needs (SMTPUTF8)"
