"""From what came in to what may be stored: every field bounded, the text made into safe HTML.

`clean` is the one way through. It looks at the values alone and asks nobody anything.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from moderate.errors import FieldError, Invalid
from moderate.i18n import Message
from moderate.model import MAX_ID, Body, Client, Submission
from moderate.text import fields
from moderate.text.characters import cropped, is_printable, is_storable, readable, single_line
from moderate.text.html import Rendered, render, render_excerpt, render_markup
from moderate.web_address import parse, source_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from moderate.model import Article, Author, Raw
    from moderate.text.policy import Policy

__all__ = ["clean"]

T = TypeVar("T")

_MAX_KEY = 255
_MAX_NOTE = 1000


class _Fields:
    """Runs the rules of single fields and collects what they object to."""

    def __init__(self) -> None:
        self.errors: list[FieldError] = []

    def take(self, name: str, rule: Callable[[], T], default: T) -> T:
        try:
            return rule()
        except ValueError as error:
            self.errors.append(FieldError(name, error.args[0]))
            return default

    def refuse(self, name: str, message: str) -> None:
        self.errors.append(FieldError(name, message))

    def settle(self) -> None:
        if self.errors:
            raise Invalid(self.errors)


def clean(raw: Raw, article: Article, policy: Policy, *, require_author: bool = True) -> Submission:
    """Make a storable submission of what a protocol read.

    Raises `Invalid` that names every field at fault at once. Comments are never cut; what pings say
    about themselves is. Where the host vouches for the author, nothing of the author is taken from the form.
    """
    return _ping(raw, article, policy) if raw.kind.is_ping else _comment(raw, article, policy, require_author)


def _comment(raw: Raw, article: Article, policy: Policy, require_author: bool) -> Submission:
    checked = _Fields()
    name = _vouched_name(raw.identity) if raw.identity else raw.author
    # Who is signed in has no field for a name, and is somebody without one.
    author = checked.take("author", lambda: _author(name, require_author and raw.identity is None), "")
    email, url = _vouched_addresses(raw.identity) if raw.identity else _addresses(raw.email, raw.url, checked)
    text = checked.take("text", lambda: fields.body_text(raw.text, policy.max_length), "")
    shown = render(text, policy) if text else Rendered("")
    if text and not shown.html:
        checked.refuse("text", Message("Write something first."))
    parent = checked.take("parent", lambda: _parent(raw.parent), None)
    key = checked.take("idempotency_key", lambda: _key(raw.idempotency_key), None)
    checked.settle()
    return Submission(
        kind=raw.kind,
        article=article,
        client=_client(raw.client),
        body=Body(raw=raw.text, html=shown.html, policy=policy.name, links=shown.links),
        author=author,
        email=email,
        url=url,
        author_id=raw.identity.id if raw.identity else raw.confirmed_id,
        parent=parent,
        honeypot=_note(raw.honeypot),
        from_form=raw.from_form,
        form_age=raw.form_age,
        idempotency_key=key,
        text_key=fields.text_key(text),
    )


def _ping(raw: Raw, article: Article, policy: Policy) -> Submission:
    """Another site's word. Missing names come from its address (TrackBack practice; MT and Serendipity do the same)."""
    checked = _Fields()
    source = checked.take("source", lambda: _source(raw.source_url), "")
    checked.settle()
    blog = fields.blog_name(raw.blog_name or "") or cropped(single_line(_typed_host(source)), fields.MAX_BLOG_NAME)
    excerpt = fields.excerpt(raw.text)
    # Another site's page is HTML, whatever commenters write here.
    page_policy = replace(policy, markup="html")
    shown = render_markup(raw.markup, page_policy) if raw.markup else render_excerpt(excerpt)
    own = {source_key(url) for url in (article.url, *article.aliases)}
    return Submission(
        kind=raw.kind,
        article=article,
        client=_client(raw.client),
        body=Body(
            raw=cropped(_storable(raw.text), policy.max_length),
            html=shown.html,
            policy=page_policy.name,
            links=tuple(link for link in shown.links if source_key(link) not in own),
        ),
        author=blog,
        url=source,
        source_url=source,
        source_key=source_key(source),
        target_url=raw.target_url,
        title=fields.title(raw.title or "") or cropped(single_line(source), fields.MAX_TITLE),
        blog_name=blog,
        honeypot=_note(raw.honeypot),
        from_form=raw.from_form,
        form_age=raw.form_age,
        text_key=fields.text_key(excerpt),
    )


def _author(name: str, is_required: bool) -> str:
    author = fields.author_name(name)
    if is_required and not author:
        raise ValueError(Message("Tell us your name."))
    return author


def _addresses(email: str, url: str, checked: _Fields) -> tuple[str | None, str | None]:
    return (
        checked.take("email", lambda: fields.email(email), None),
        checked.take("url", lambda: fields.website(url), None),
    )


def _vouched_name(identity: Author) -> str:
    return cropped(single_line(identity.name), fields.MAX_AUTHOR)


def _vouched_addresses(identity: Author) -> tuple[str | None, str | None]:
    """A login's own addresses. What the host has wrong there is left out; the author could not correct it here."""
    return _addresses(identity.email or "", identity.url or "", _Fields())


def _source(source: str | None) -> str:
    address = fields.web_address(source or "")
    if address is None:
        raise ValueError(Message("The address of the page that links here is missing."))
    return address


def _typed_host(source: str) -> str:
    address = parse(source)
    return address.typed_host.lower() if address else ""


def _parent(parent: int | None) -> int | None:
    if parent is not None and not 1 <= parent <= MAX_ID:
        raise ValueError(Message("There is no such comment to answer."))
    return parent


def _key(key: str | None) -> str | None:
    if key is not None and not (1 <= len(key) <= _MAX_KEY and is_storable(key) and all(map(is_printable, key))):
        raise ValueError(Message("Use 1 to {most} printable characters.", most=_MAX_KEY))
    return key


def _client(client: Client) -> Client:
    """Header fields are whatever a client sends; only their size and storability is settled."""
    return Client(ip=_note(client.ip)[:64], user_agent=_note(client.user_agent), referrer=_note(client.referrer))


def _note(value: str) -> str:
    return cropped(single_line(value[: 2 * _MAX_NOTE]), _MAX_NOTE)


def _storable(value: str) -> str:
    return value if is_storable(value) else readable(value)
