"""The language in which a request is answered, and translated texts for pages and templates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flask import request
from markupsafe import Markup, escape

from moderate.http.state import current_state, once_per_request
from moderate.i18n import LANGUAGES, translator

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(slots=True)
class Choice:
    """The language of the page that is made, and the one of a mail whose link was opened; None as long as unknown."""

    page: str | None = None
    own: str | None = None


def language() -> str:
    """Return the language of this page.

    Readers get the site's language, MODERATE_LANGUAGE or else English, because pages are cached for all of them.
    Moderators' pages depend on their browser; see `for_moderators`.
    """
    choice = once_per_request(Choice)
    if choice.page is None:
        # Stored, because it is looked up for each text of a page.
        choice.page = current_state().settings.language or "en"
    return choice.page


def for_moderators(own: str | None = None) -> None:
    """Answer this request in the moderator's language from here on.

    That is *own*, the language of a mail whose link was opened, else the site's, else the browser's.
    """
    # By the first part of each tag: a browser that accepts ja-JP and then en gets Japanese.
    wanted = (tag.partition("-")[0].lower() for tag, quality in request.accept_languages if quality > 0)
    best = next((tag for tag in wanted if tag in LANGUAGES), "en")
    choice = once_per_request(Choice)
    choice.own = own or choice.own
    choice.page = choice.own or current_state().settings.language or best


def say(words: str, **values: object) -> str:
    """Return a text in the page's language, with *values* in its placeholders.

    Where a value is markup, the others are escaped and the result is markup.
    """
    return filled(translator(language()).template(words), values)


def count(number: int, one: str, many: str, **values: object) -> str:
    """Return a text about a number, which fills its placeholder ``{n}``; see `say`."""
    return filled(translator(language()).plural(number, one, many), {"n": f"{number:,}", **values})


def filled(template: str, values: Mapping[str, object]) -> str:
    if any(hasattr(value, "__html__") for value in values.values()):
        return Markup(template).format(**values)  # noqa: S704 - the template is ours; format escapes the values
    return template.format(**values) if values else template


def duration(seconds: float) -> str:
    """Return a duration of *seconds* in words, in the largest unit that fits."""
    if seconds < 60:
        return say("less than a minute")
    if seconds < 3600:
        return count(int(seconds // 60), "{n} minute", "{n} minutes")
    if seconds < 86_400:
        return count(int(seconds // 3600), "{n} hour", "{n} hours")
    return count(int(seconds // 86_400), "{n} day", "{n} days")


def translated(sentence: object) -> str:
    """Translate a message or a sentence that was made elsewhere into the page's language."""
    return translator(language()).translate(sentence)


def check_names(names: Iterable[str]) -> str:
    """Return the names of checks in the page's language, separated by commas."""
    words = translator(language())
    return words.template(", ").join(words.check(name) for name in names)


def thread_words() -> dict[str, str]:
    """Return the texts of ``static/thread.js``."""
    return {
        "preview": say("Preview"),
        "sending": say("Sending…"),
        "tooLong": say("Use at most {limit} characters; this has {length}."),
        "unreachable": say("The preview cannot be reached. What you wrote is still here."),
        "waiting": say("Your comment has arrived. A moderator will look at it before others can read it."),
    }


def bdi(text: object) -> Markup:
    """Return *text* isolated from the writing direction of the sentence around it."""
    return Markup(f"<bdi>{escape(text)}</bdi>")  # noqa: S704 - the text is escaped


#: Globals of the templates, with a prefix that distinguishes them from the host's.
GLOBALS: dict[str, Any] = {
    "moderate_say": say,
    "moderate_count": count,
    "moderate_duration": duration,
    "moderate_translated": translated,
    "moderate_bdi": bdi,
    "moderate_check_names": check_names,
    "moderate_language": language,
    "moderate_script_words": thread_words,
}
