"""Cleaning: `clean` bounds every field of a submission, makes safe HTML of its text, and collects all errors.

The function of a single field returns the clean value, or raises `ValueError` with a message for the person who filled
it in. All functions take values only, and are linear in the length of the value.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import replace
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, TypeVar

from moderate.errors import FieldError, Invalid
from moderate.i18n import Message
from moderate.model import MAX_ID, Body, Client, Submission
from moderate.text.characters import cropped, decoded, is_blank, is_printable, is_storable, readable, single_line
from moderate.text.sanitizer import Rendered, render, render_excerpt, render_markup
from moderate.web_address import HIDDEN_CHARACTERS, MAX_ADDRESS, is_host_name, keys_of, parse, source_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from moderate.model import Article, Raw
    from moderate.text.tags import Policy

T = TypeVar("T")

#: Longest values, in characters.
MAX_AUTHOR = 100
MAX_EMAIL = 254
MAX_AUTHOR_URL = 500
MAX_TITLE = 250
MAX_BLOG_NAME = 100
MAX_EXCERPT = 255

_MAX_KEY = 255
_MAX_NOTE = 1000
_UNSTORABLE = Message("This holds characters that cannot be stored. Type it again without them.")

_TAG = re.compile(r"<(?:/?[A-Za-z]|!|\?)[^<>]*+>")
_BLANKS = " \t\r\n\f\u3000"
#: A host with a dot in it, and what may follow; digits distinguish a port from a scheme.
_WITHOUT_SCHEME = re.compile(r"[^\s/?#:@\\]+\.[^\s/?#:@\\]+(?::[0-9]+)?(?:[/?#][^\s]*)?")
_INVISIBLE = re.compile(
    "[\xad\u034f\u115f\u1160\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0]"
)
_LOCAL_PART = re.compile(r"[^\s\x00-\x20\"(),.:;<>@\[\\\]\x7f]+(?:\.[^\s\x00-\x20\"(),.:;<>@\[\\\]\x7f]+)*+")
_NOT_IN_EMAIL = re.compile(f"[{HIDDEN_CHARACTERS}]")
# Some letters become up to 18 under NFKC; a text of them must not take 18 times as long.
_MAX_FOLDED = 4


def clean(raw: Raw, article: Article, policy: Policy, *, require_author: bool = True) -> Submission:
    """Return a storable submission for what a protocol has read.

    Comments are never shortened; the fields of pings are. Where the host vouches for the author, nothing of the author
    is taken from the form. Raises `Invalid` with the errors of all fields.
    """
    # A header field may be anything.
    sent = raw.client
    client = Client(ip=_note(sent.ip)[:64], user_agent=_note(sent.user_agent), referrer=_note(sent.referrer))
    if raw.kind.is_ping:
        return _ping(raw, article, policy, client)
    errors: list[FieldError] = []
    login = raw.identity
    name = cropped(single_line(login.name), MAX_AUTHOR) if login else raw.author
    author = _take(errors, "author", one_line, name, MAX_AUTHOR)
    if author == "" and require_author and not login:
        errors.append(FieldError("author", Message("Tell us your name.")))
    # Addresses that the host has wrong for a login are left out: the author could not correct them here.
    typed, errors_of_typed = (login, []) if login else (raw, errors)
    email_address = _take(errors_of_typed, "email", email, typed.email) if typed.email else None
    url = _take(errors_of_typed, "url", website, typed.url) if typed.url else None
    text = _take(errors, "text", body_text, raw.text, policy.max_length) or ""
    shown = render(text, policy) if text else Rendered("")
    if text and not shown.html:
        errors.append(FieldError("text", Message("Write something first.")))
    if raw.parent is not None and not 1 <= raw.parent <= MAX_ID:
        errors.append(FieldError("parent", Message("There is no such comment to answer.")))
    key = raw.idempotency_key
    # `str.isprintable` is stricter and quicker.
    if key is not None and not (1 <= len(key) <= _MAX_KEY and (key.isprintable() or all(map(is_printable, key)))):
        errors.append(FieldError("idempotency_key", Message("Use 1 to {most} printable characters.", most=_MAX_KEY)))
    if errors:
        raise Invalid(errors)
    return Submission(
        kind=raw.kind,
        article=article,
        client=client,
        body=Body(raw=raw.text, html=shown.html, policy=policy.name, links=shown.links),
        author=author or "",
        email=email_address,
        url=url,
        author_id=login.id if login else raw.confirmed_id,
        parent=raw.parent,
        honeypot=_note(raw.honeypot),
        from_form=raw.from_form,
        form_age=raw.form_age,
        idempotency_key=key,
        text_key=text_key(text),
    )


def _take(errors: list[FieldError], field: str, rule: Callable[..., T], *values: Any) -> T | None:
    """Return what *rule* makes of *values*; None where it raises, which is added to *errors*."""
    try:
        return rule(*values)
    except ValueError as error:
        errors.append(FieldError(field, error.args[0]))
        return None


def _ping(raw: Raw, article: Article, policy: Policy, client: Client) -> Submission:
    """Missing names are made of the source's address, as is usual for TrackBack (Movable Type, Serendipity)."""
    errors: list[FieldError] = []
    source = _take(errors, "source", web_address, raw.source_url or "")
    if source is None:
        raise Invalid(errors or [FieldError("source", Message("The address of the page that links here is missing."))])
    address = parse(source)
    host = address.typed_host.lower() if address else ""
    blog = cropped_line(raw.blog_name or "", MAX_BLOG_NAME) or cropped(single_line(host), MAX_BLOG_NAME)
    said = cropped_line(raw.text, MAX_EXCERPT, "...")
    # The page of another site is HTML, even where comments have another markup.
    page_policy = policy if policy.markup == "html" else replace(policy, markup="html")
    shown = render_markup(raw.markup, page_policy) if raw.markup else render_excerpt(said)
    own = keys_of(article)
    text = raw.text if is_storable(raw.text) else readable(raw.text)
    return Submission(
        kind=raw.kind,
        article=article,
        client=client,
        body=Body(
            raw=cropped(text, policy.max_length),
            html=shown.html,
            policy=page_policy.name,
            links=tuple(link for link in shown.links if source_key(link) not in own),
        ),
        author=blog,
        url=source,
        source_url=source,
        source_key=source_key(source),
        target_url=raw.target_url,
        title=cropped_line(raw.title or "", MAX_TITLE) or cropped(single_line(source), MAX_TITLE),
        blog_name=blog,
        honeypot=_note(raw.honeypot),
        from_form=raw.from_form,
        form_age=raw.form_age,
        text_key=text_key(said),
    )


# Cached, because browsers of one kind send the same value with each form.
@lru_cache(maxsize=256)
def _note(value: str) -> str:
    return cropped(single_line(value[: 2 * _MAX_NOTE]), _MAX_NOTE) if value else ""


# --- single fields ----------------------------------------------------------------------------------


def one_line(value: str, limit: int) -> str:
    """Return a value on one line, without edges and hidden characters; empty where nothing of it is visible.

    Raises `ValueError` for characters that no database can store, and for more than *limit* characters.
    """
    if not is_storable(value):
        raise ValueError(_UNSTORABLE)
    # Hidden characters may bring a value below the limit; one far beyond it is refused unread.
    line = single_line(value) if len(value) <= 10 * limit else value
    if len(line) > limit:
        raise ValueError(Message("Use at most {limit} characters.", limit=limit))
    return "" if is_blank(line) else line


def cropped_line(value: str, limit: int, ending: str = "") -> str:
    """Return `one_line` for what machines send: without markup and unstorable characters, cut instead of refused."""
    # Blogs send tags as well as character references, which are decoded once.
    sent = value[: 20 * limit]
    line = single_line(decoded(_TAG.sub(" ", sent) if "<" in sent else sent))
    return "" if is_blank(line) else cropped(line, limit, ending)


def email(value: str) -> str | None:
    """Return an e-mail address with its host in lower case; None where the field is empty."""
    if not is_storable(value):
        raise ValueError(_UNSTORABLE)
    address = unicodedata.normalize("NFC", value.strip()) if len(value) <= 2 * MAX_EMAIL else value
    # Japanese input methods leave the sign in full width.
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
    """Return True for an e-mail address: a dot-atom, ``@`` and a host name with a dot (RFC 5321 lengths)."""
    local, at, domain = value.rpartition("@")
    if not at or len(value) > 254 or len(local.encode("utf-8", "replace")) > 64 or _NOT_IN_EMAIL.search(value):
        return False
    return _LOCAL_PART.fullmatch(local) is not None and "." in domain.strip(".") and is_host_name(domain)


def website(value: str) -> str | None:
    """Return the web address of an author; one without a scheme, such as ``www.example.org``, gets https.

    Raises `ValueError` like `web_address`.
    """
    address = value.strip(_BLANKS)
    if len(address) <= MAX_AUTHOR_URL and _WITHOUT_SCHEME.fullmatch(address):
        return web_address(f"https://{address}")
    return web_address(address, MAX_AUTHOR_URL)


def web_address(value: str, limit: int = MAX_ADDRESS) -> str | None:
    """Return an absolute http or https address as typed; None where the field is empty.

    Raises `ValueError` for other schemes in any spelling, credentials, hidden characters, and hosts or ports that
    browsers do not accept (see `moderate.web_address.parse`).
    """
    if not is_storable(value):
        raise ValueError(_UNSTORABLE)
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
    """Return the text of a comment, readable and in NFC.

    Raises `ValueError` for a text without a visible character, for more than *limit* characters (it is never cut,
    because a cut can open a tag), and for characters that no database can store.
    """
    # Forms send two characters for a line break, and count one.
    if limit is not None and (length := len(value.replace("\r\n", "\n"))) > limit:
        raise ValueError(Message("Use at most {limit} characters; this has {length}.", limit=limit, length=length))
    if not is_storable(value):
        raise ValueError(_UNSTORABLE)
    text = readable(value)
    if is_blank(text):
        raise ValueError(Message("Write something first."))
    return text


def text_key(text: str) -> str:
    """Return a digest (32 hexadecimal digits) of the text in one spelling; empty where nothing of it is visible.

    Case, compatibility forms, blanks and invisible characters make no difference; punctuation does.
    """
    folded = readable(text)
    if folded.isascii():
        folded = folded.lower()
    else:
        visible = _INVISIBLE.sub("", folded)
        folded = unicodedata.normalize("NFKC", visible)[: _MAX_FOLDED * len(visible)].casefold()
        folded = unicodedata.normalize("NFKC", folded)
    words = " ".join(folded.split())
    return blake2b(words.encode(), digest_size=16).hexdigest() if words else ""
