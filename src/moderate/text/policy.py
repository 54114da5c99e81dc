"""The policy of cleaning: the tags, attributes and schemes that texts may have, and how they are written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

#: The tags that texts may have, and their attributes: those that WordPress grants commenters, with the block tags that
#: paragraphs and Markdown need.
TAGS: Final = frozenset("a abbr b blockquote br cite code del em i li ol p pre q s strong ul".split())  # noqa: SIM905
ATTRIBUTES: Final = frozenset(
    {
        ("a", "href"),
        ("a", "title"),
        ("abbr", "title"),
        ("li", "value"),
        ("ol", "reversed"),
        ("ol", "start"),
        ("ol", "type"),
    }
)
SCHEMES: Final = frozenset({"http", "https"})
SANITIZERS: Final = ("bleach", "nh3")
MARKUPS: Final = ("html", "text", "markdown")


@dataclass(frozen=True, slots=True)
class Policy:
    """The settings of cleaning. Its `name` is stored with every cleaned text.

    `tags`, `attributes` and `schemes` may be narrowed; nothing can be added. `max_length` is in characters
    of the text as typed. A text with more than `max_brackets` times ``<`` is shown as plain text, so that no parser
    gets a pathological document.
    """

    sanitizer: str = "bleach"
    markup: str = "html"
    max_length: int = 8000
    max_brackets: int = 400
    tags: frozenset[str] = TAGS
    attributes: frozenset[tuple[str, str]] = ATTRIBUTES
    schemes: frozenset[str] = SCHEMES
    rel: str = "nofollow ugc noopener"
    #: Increased whenever the same text would be rendered in another way than before.
    version: str = "2"

    def __post_init__(self) -> None:
        if self.sanitizer not in SANITIZERS:
            raise ValueError(f"sanitizer is one of {', '.join(SANITIZERS)}, not {self.sanitizer!r}")
        if self.markup not in MARKUPS:
            raise ValueError(f"markup is one of {', '.join(MARKUPS)}, not {self.markup!r}")
        if not (self.tags <= TAGS and self.attributes <= ATTRIBUTES and self.schemes <= SCHEMES):
            raise ValueError("tags, attributes and schemes can be narrowed, and nothing can be added to them")
        if self.max_length < 1 or self.max_brackets < 0:
            raise ValueError("max_length is at least 1, and max_brackets at least 0")

    @property
    def name(self) -> str:
        """``version.markup.sanitizer``, for example ``2.html.bleach``."""
        return f"{self.version}.{self.markup}.{self.sanitizer}"
