"""Markdown to HTML, for the markup of that name. The result is laid out and sanitized like any other text.

CommonMark with strikethrough and hard line breaks, without headings, rules, pictures and HTML, and with these
differences: emphasis works next to CJK punctuation, numbers of list items stay as they were typed, lines keep their
indentation, and a link without a scheme leads to https. A link that leads nowhere stays as it was typed.

Importing this module raises `ImportError` without the extra package.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from markdown_it import MarkdownIt
from markdown_it.parser_inline import ParserInline
from markdown_it.rules_block.reference import reference
from markdown_it.rules_inline import newline
from markdown_it.rules_inline.state_inline import Scanned, StateInline

from moderate.text.links import address_at, target_of
from moderate.text.markup import indentation

if TYPE_CHECKING:
    from markdown_it.rules_block import StateBlock
    from markdown_it.rules_core import StateCore
    from markdown_it.token import Token
    from markdown_it.utils import EnvType

#: Markdown makes more tags than were typed; a text that makes more than this is shown as typed.
_MAX_TAGS = 2500
#: How far before a character that stops the parser a bare ``www.`` address is looked for.
_LOOK_BACK = 255

_SCHEME = re.compile(r"https?\Z", re.IGNORECASE)
# Headings would disturb the outline of the host's page, pictures would call other servers.
_LEFT_OUT = ["heading", "lheading", "hr", "html_block", "html_inline", "image"]


def html_of(text: str, schemes: frozenset[str]) -> str | None:
    """Return the text as HTML whose links have one of *schemes*; None where it would have too many tags.

    A reference definition that no link uses stays in the text as it was typed.
    """
    parser = _parser(schemes)
    references = _References()
    env: dict[str, Any] = {"references": references}
    made: str = parser.render(text, env)
    if len(references.used) < len(references) or "duplicate_refs" in env:
        made = parser.render(text, {"references": _References(), "wanted": references.used})
    return made if made.count("<") <= _MAX_TAGS else None


class _References(dict[str, Any]):
    """The reference definitions of a text by label, and the labels that links asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.used: set[str] = set()

    def get(self, label: str, default: Any = None) -> Any:
        if label in self:
            self.used.add(label)
        return super().get(label, default)


@lru_cache(maxsize=4)
def _parser(schemes: frozenset[str]) -> MarkdownIt:
    """Return a parser for all threads: it keeps nothing of a text between calls."""
    parser = _Parser(schemes)
    parser.inline.ruler.after("text", "address", _address)
    parser.inline.ruler.at("newline", _line_end)
    parser.block.ruler.at("reference", _reference)
    parser.core.ruler.after("block", "numbers", _keep_numbers)
    return parser


class _Parser(MarkdownIt):
    def __init__(self, schemes: frozenset[str]) -> None:
        super().__init__()
        self.inline = _Inline()
        self.configure("commonmark", {"html": False, "breaks": True})
        self.enable("strikethrough").disable(_LEFT_OUT)
        self._schemes = schemes

    def normalizeLink(self, url: str) -> str:  # noqa: N802
        return super().normalizeLink(target_of(url) or url)

    def validateLink(self, url: str) -> bool:  # noqa: N802
        target = target_of(url)
        return target is not None and target.partition(":")[0].lower() in self._schemes


class _Inline(ParserInline):
    def parse(self, src: str, md: MarkdownIt, env: EnvType, tokens: list[Token]) -> list[Token]:
        state = _State(src, md, env, tokens)
        self.tokenize(state)
        for rule in self.ruler2.getRules(""):
            rule(state)
        return state.tokens


class _State(StateInline):
    def scanDelims(self, start: int, canSplitWord: bool) -> Scanned:  # noqa: N802, N803
        """Find out if a run of delimiters opens or closes emphasis (CommonMark §6.2, by CJK-friendly rules).

        CJK punctuation counts as a letter, and other punctuation may stand between the run and a CJK character.
        """
        end = start
        while end < self.posMax and self.src[end] == self.src[start]:
            end += 1
        before = self.src[start - 1] if start > 0 else " "
        after = self.src[end] if end < self.posMax else " "
        is_left = not after.isspace() and (not _is_hard(after) or _is_edge(before))
        is_right = not before.isspace() and (not _is_hard(before) or _is_edge(after))
        can_open = is_left and (canSplitWord or not is_right or _is_punctuation(before))
        can_close = is_right and (canSplitWord or not is_left or _is_punctuation(after))
        return Scanned(can_open, can_close, end - start)


def _is_edge(char: str) -> bool:
    return char.isspace() or _is_hard(char) or _is_cjk(char)


def _is_hard(char: str) -> bool:
    return _is_punctuation(char) and not _is_cjk(char)


def _is_punctuation(char: str) -> bool:
    return unicodedata.category(char)[0] in "PS"


def _is_cjk(char: str) -> bool:
    """Return whether a character is Chinese, Japanese or Korean, punctuation included; emoji are not."""
    if char < "\u1100":
        return False
    is_wide = unicodedata.east_asian_width(char) in {"W", "F", "H"} or "\u1100" <= char <= "\u11ff"
    # After an ideograph a variation selector is part of it.
    is_selector = "\ufe00" <= char <= "\ufe0e" or "\U000e0100" <= char <= "\U000e01ef"
    return is_selector or (is_wide and (unicodedata.category(char) != "So" or "\u3000" <= char <= "\u33ff"))


def _reference(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """Read a reference definition, if it is one of those that are wanted."""
    references, line = state.env["references"], state.line
    known = len(references)
    if not reference(state, start, end, silent):
        return False
    wanted = state.env.get("wanted")
    if silent or wanted is None:
        return True
    if len(references) > known:
        label = next(reversed(references))
        if label in wanted:
            return True
        del references[label]
    state.line = line
    return False


def _address(state: StateInline, silent: bool) -> bool:
    """Pass over a bare web address, so that its underscores and asterisks are not taken for emphasis."""
    if silent:
        return False
    begun = state.pending[-_LOOK_BACK:]
    scheme = _SCHEME.search(begun) if state.src.startswith("://", state.pos) else None
    at = scheme.start() if scheme else begun.lower().rfind("www.")
    if at < 0:
        return False
    end = address_at(state.src, state.pos - len(begun) + at, state.posMax)
    if end is None or end <= state.pos:
        return False
    state.pending += state.src[state.pos : end]
    state.pos = end
    return True


def _line_end(state: StateInline, silent: bool) -> bool:
    """End a line, and keep the indentation of the next one."""
    start = state.pos
    if not newline(state, silent):
        return False
    if not silent:
        state.pending += indentation(state.src[start + 1 : state.pos])
    return True


def _keep_numbers(state: StateCore) -> None:
    """Give list items the numbers that were typed, unless all are the same and so mean "count for me"."""
    items: list[list[Token]] = []
    for token in state.tokens:
        if token.type in {"ordered_list_open", "bullet_list_open"}:
            items.append([])
        elif token.type == "list_item_open":
            items[-1].append(token)
        elif token.type == "bullet_list_close":
            items.pop()
        elif token.type == "ordered_list_close":
            _number(items.pop())


def _number(items: list[Token]) -> None:
    numbers = [int(item.info) for item in items]
    if len(set(numbers)) < 2:
        return
    for item, number, previous in zip(items[1:], numbers[1:], numbers, strict=False):
        if number != previous + 1:
            item.attrSet("value", str(number))
