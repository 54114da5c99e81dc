"""Markdown to HTML, for the markup of that name. What comes out is laid out and sanitized like anything else."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from moderate.clean.links import address_at

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.rules_inline import StateInline

#: Markdown makes more tags than were typed; a text that makes more than this is shown as typed.
_MAX_TAGS = 2500

_SCHEME = re.compile(r"https?\Z", re.IGNORECASE)
# Headings would disturb the outline of the host's page, pictures would call other servers.
_LEFT_OUT = ["heading", "lheading", "hr", "html_block", "html_inline", "image"]


def html_of(text: str) -> str | None:
    """CommonMark with strikethrough, hard line breaks and no HTML. None where it would make too many tags.

    Raises `ImportError` without the extra package.
    """
    made: str = _parser().render(text)
    return made if made.count("<") <= _MAX_TAGS else None


@lru_cache(maxsize=1)
def _parser() -> MarkdownIt:
    """One for all threads: a parser keeps nothing of a text between calls."""
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False, "breaks": True}).enable("strikethrough").disable(_LEFT_OUT)
    parser.inline.ruler.after("text", "address", _address)
    return parser


def _address(state: StateInline, silent: bool) -> bool:
    """Pass over a bare web address, so that its underscores and asterisks are not taken for emphasis."""
    scheme = _SCHEME.search(state.pending) if state.src.startswith("://", state.pos) else None
    if scheme is None:
        return False
    end = address_at(state.src, state.pos - len(scheme[0]))
    if end is None:
        return False
    if not silent:
        state.pending += state.src[state.pos : end]
    state.pos = end
    return True
