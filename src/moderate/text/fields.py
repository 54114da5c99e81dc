"""The single fields of a submission: what is taken, in which form, and what to say about the rest.

Each function returns the clean value or raises `ValueError` with words for the person who filled it
in; `moderate.text.clean` collects them. All are linear in the length of the value.
"""

from __future__ import annotations

import re
import unicodedata
from hashlib import blake2b

from moderate.i18n import Message
from moderate.text.characters import cropped, decoded, is_blank, is_storable, readable, single_line
from moderate.web_address import MAX_ADDRESS, is_host_name, parse

__all__ = [
    "author_name",
    "blog_name",
    "body_text",
    "cropped_line",
    "email",
    "excerpt",
    "one_line",
    "plain_text",
    "text_key",
    "title",
    "web_address",
]

#: Longest values, in characters.
MAX_AUTHOR = 100
MAX_EMAIL = 254
MAX_AUTHOR_URL = 500
MAX_TITLE = 250
MAX_BLOG_NAME = 100
MAX_EXCERPT = 255

_TAG = re.compile(r"<(?:/?[A-Za-z]|!|\?)[^<>]*+>")
_BLANKS = " \t\r\n\f\u3000"
#: A host with a dot in it, and what may follow; a port is told from a scheme by its digits.
_WITHOUT_SCHEME = re.compile(r"[^\s/?#:@\\]+\.[^\s/?#:@\\]+(?::[0-9]+)?(?:[/?#][^\s]*)?")
_INVISIBLE = re.compile(
    "[\xad\u034f\u115f\u1160\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0]"
)
_LOCAL_PART = re.compile(r"[^\s\x00-\x20\"(),.:;<>@\[\\\]\x7f]+(?:\.[^\s\x00-\x20\"(),.:;<>@\[\\\]\x7f]+)*+")
# Controls, blanks without width, directions, noncharacters.
_NOT_IN_EMAIL = re.compile(
    "[\x00-\x20\x7f-\xa0\xad\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\uffff\U000e0000-\U000e007f]"
)
# Some letters become up to 18 under NFKC; a text of them must not become 18 times as dear.
_MAX_FOLDED = 4


def one_line(value: str, limit: int) -> str:
    """A value on one line, without edges and hidden characters; empty where nothing can be seen of it.

    Raises `ValueError` for what no database can hold, and for more than `limit` characters.
    """
    _refuse_unstorable(value)
    # A value far beyond the limit is not worth looking at; what shrinks under it is.
    line = single_line(value) if len(value) <= 10 * limit else value
    if len(line) > limit:
        raise ValueError(Message("Use at most {limit} characters.", limit=limit))
    return "" if is_blank(line) else line


def author_name(value: str) -> str:
    """An author's name, up to `MAX_AUTHOR` characters; empty where none was given."""
    return one_line(value, MAX_AUTHOR)


def cropped_line(value: str, limit: int, ending: str = "") -> str:
    """`one_line` for what machines send: markup removed, unstorable characters dropped, cut instead of refused."""
    line = single_line(plain_text(value[: 20 * limit]))
    return "" if is_blank(line) else cropped(line, limit, ending)


def title(value: str) -> str:
    """The title of a page that pings us, as plain text."""
    return cropped_line(value, MAX_TITLE)


def blog_name(value: str) -> str:
    """The name of a site that pings us, as plain text."""
    return cropped_line(value, MAX_BLOG_NAME)


def excerpt(value: str) -> str:
    """What a page that pings us says, as plain text; a longer one is cut to 252 characters and ``...``."""
    return cropped_line(value, MAX_EXCERPT, "...")


def plain_text(value: str) -> str:
    """The text without its tags, with character references decoded once: blogs send both."""
    return decoded(_TAG.sub(" ", value) if "<" in value else value)


def email(value: str) -> str | None:
    """An e-mail address with its host in lower case; None where the field was left empty."""
    _refuse_unstorable(value)
    address = unicodedata.normalize("NFC", value.strip()) if len(value) <= 2 * MAX_EMAIL else value
    # Japanese input methods leave it in full width.
    address = address.replace("\uff20", "@")
    if not address:
        return None
    if len(address) > MAX_EMAIL:
        raise ValueError(Message("Use at most {limit} characters.", limit=MAX_EMAIL))
    if not is_email(address):
        raise ValueError(Message("This does not look like an e-mail address."))
    local, _, domain = address.rpartition("@")
    return f"{local}@{domain.lower()}"


def is_email(value: str) -> bool:
    """Return whether it can be an e-mail address: a dot-atom, ``@`` and a host name with a dot (RFC 5321 lengths)."""
    local, at, domain = value.rpartition("@")
    if not at or len(value) > 254 or len(local.encode("utf-8", "replace")) > 64 or _NOT_IN_EMAIL.search(value):
        return False
    return _LOCAL_PART.fullmatch(local) is not None and "." in domain.strip(".") and is_host_name(domain)


def website(value: str) -> str | None:
    """The web address of an author; https is put before one without a scheme, such as ``www.example.org``.

    Raises `ValueError` like `web_address`.
    """
    _refuse_unstorable(value)
    address = value.strip(_BLANKS)
    if len(address) <= MAX_AUTHOR_URL and _WITHOUT_SCHEME.fullmatch(address):
        return web_address(f"https://{address}")
    return web_address(address, MAX_AUTHOR_URL)


def web_address(value: str, limit: int = MAX_ADDRESS) -> str | None:
    """An absolute http or https address as typed; None where the field was left empty.

    Refused are other schemes in any disguise, credentials, hidden characters, and hosts or ports
    that browsers would not take (see `moderate.web_address.parse`).
    """
    _refuse_unstorable(value)
    address = value.strip(_BLANKS)
    if not address:
        return None
    if len(address) > limit:
        raise ValueError(Message("Use at most {limit} characters.", limit=limit))
    if parse(address) is None:
        if "@" in address.partition("//")[2].partition("/")[0]:
            raise ValueError(Message("Leave the user name and the password out of the address."))
        raise ValueError(Message("Use a full web address that starts with http:// or https://."))
    return address


def body_text(value: str, limit: int | None = None) -> str:
    """The text of a comment, readable and in NFC.

    Raises `ValueError` for a text without anything to see, for more than `limit` characters (it is
    never cut: a cut can open a tag), and for what no database can hold.
    """
    if limit is not None and (length := len(one_newline(value))) > limit:
        raise ValueError(Message("Use at most {limit} characters; this has {length}.", limit=limit, length=length))
    _refuse_unstorable(value)
    text = readable(value)
    if is_blank(text):
        raise ValueError(Message("Write something first."))
    return text


def one_newline(value: str) -> str:
    """The text with each line break as one character: forms send two, and count one."""
    return value.replace("\r\n", "\n")


def text_key(text: str) -> str:
    """A digest (32 hexadecimal digits) of the text in one spelling; empty for a text without anything to see.

    Case, compatibility forms, blanks and invisible characters make no difference; punctuation does.
    """
    visible = _INVISIBLE.sub("", readable(text))
    folded = unicodedata.normalize("NFKC", visible)[: _MAX_FOLDED * len(visible)].casefold()
    words = " ".join(unicodedata.normalize("NFKC", folded).split())
    return blake2b(words.encode(), digest_size=16).hexdigest() if words else ""


def _refuse_unstorable(value: str) -> None:
    if not is_storable(value):
        raise ValueError(Message("This holds characters that cannot be stored. Type it again without them."))
