"""From what a commenter typed to canonical, balanced HTML: a strict lexer and a layout.

Nothing here is trusted: a sanitizer runs over what comes out, as the last step. The lexer takes for a
tag only what is surely one of the few that are allowed; everything else stays visible as text, so that
somebody who writes about ``<div>`` is read as written.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from typing import TYPE_CHECKING, NamedTuple

from moderate.clean.addresses import is_web_address
from moderate.clean.characters import decoded, is_blank, single_line
from moderate.clean.links import linked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from moderate.clean.policy import Policy

_BLOCKS = frozenset({"p", "pre", "blockquote", "ul", "ol", "li"})
_LISTS = frozenset({"ul", "ol"})
#: Lists and quotes deeper than this are flattened: parsers are quadratic in depth, and pages have a width.
_MAX_DEPTH = 12
#: How often a style may be taken up again in the next paragraph, so that a text cannot grow without bound.
_MAX_REOPENED = 100
_MAX_TITLE = 200

_ATTRIBUTE = re.compile(
    r"""([^ \t\n\r\f"'<>/=]++)(?:[ \t\n\r\f]*+=[ \t\n\r\f]*+("[^"]*+"|'[^']*+'|[^ \t\n\r\f"'<>`]++))?+"""
)


class Tag(NamedTuple):
    """One tag as typed: `source` is its text, `attributes` only what may stay, decoded."""

    name: str
    source: str
    is_end: bool
    attributes: tuple[tuple[str, str], ...] = ()

    @property
    def opening(self) -> str:
        if not self.attributes:
            return f"<{self.name}>"
        attributes = "".join(f' {name}="{escape(value)}"' for name, value in self.attributes)
        return f"<{self.name}{attributes}>"


@lru_cache(maxsize=16)
def _tags(names: frozenset[str]) -> re.Pattern[str]:
    """All quantifiers are possessive: a candidate is read once, whatever follows."""
    return re.compile(
        rf"<(/?)({'|'.join(sorted(names))})(?=[ \t\n\r\f/>])((?:[ \t\n\r\f/]*+{_ATTRIBUTE.pattern})*+)[ \t\n\r\f/]*+>",
        re.IGNORECASE,
    )


def lexed(text: str, policy: Policy) -> Iterator[str | Tag]:
    """The text as stretches of plain text and allowed tags, in order."""
    done = 0
    for match in _tags(policy.tags).finditer(text):
        if match.start() > done:
            yield text[done : match.start()]
        name, is_end = match[2].lower(), bool(match[1])
        yield Tag(name, match[0], is_end, () if is_end else tuple(_attributes(name, match[3], policy)))
        done = match.end()
    if done < len(text):
        yield text[done:]


def _attributes(tag: str, source: str, policy: Policy) -> Iterator[tuple[str, str]]:
    seen: set[str] = set()
    for match in _ATTRIBUTE.finditer(source):
        name = match[1].lower()
        if name in seen or (tag, name) not in policy.attributes:
            continue
        seen.add(name)
        value = decoded((match[2] or "").strip("\"'"))
        if name == "href":
            value = value.strip()
            if not is_web_address(value) or value.partition(":")[0].lower() not in policy.schemes:
                continue
        else:
            value = single_line(value)[:_MAX_TITLE]
        yield name, value


@dataclass(slots=True)
class _Open:
    """An element that is open. `is_shown` tells that its tag was written, `is_filled` that it holds text."""

    name: str
    opening: str
    is_shown: bool = False
    is_filled: bool = False

    @property
    def is_block(self) -> bool:
        return self.name in _BLOCKS


class Layout:
    """Writes text and tags as well-formed HTML with automatic paragraphs, line breaks and links.

    Tags are written late, when something visible stands in them, so that nothing empty is left.
    The stack is bounded: a style within the same style and what is nested too deep are only counted.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._out: list[str] = []
        self._root = _Open("", "")
        self._stack: list[_Open] = []
        # How much of the stack reaches up to the innermost block, and what is open besides blocks.
        self._inner = 0
        self._within: set[str] = set()
        self._uncounted: Counter[str] = Counter()
        self._reopened = 0
        # What was read since the last visible character, and counts only when another one follows.
        self._newlines = 0
        self._breaks = 0
        self._space = ""

    def feed(self, token: str | Tag) -> None:
        if isinstance(token, str):
            self._text(token)
        elif self._is_sample(token):
            self._text(token.source)
        elif token.is_end:
            self._end(token.name)
        elif token.name == "br":
            self._breaks += 1
        elif token.name in _BLOCKS:
            self._start_block(token)
        else:
            self._start_inline(token)

    def close(self) -> str:
        """Close what is still open and return the whole."""
        self._close_from(0)
        return "".join(self._out)

    # --- text --------------------------------------------------------------------------------------

    def _text(self, source: str) -> None:
        text = decoded(source)
        if "pre" in self._within:
            self._preformatted(text)
            return
        lines = text.split("\n")
        self._piece(lines[0])
        for line in lines[1:]:
            self._newlines += 1
            self._space = ""
            self._piece(line)

    def _piece(self, line: str) -> None:
        """A stretch of text within one line."""
        core = line.strip(" \t")
        if is_blank(core):
            self._space += line if not (self._newlines or self._breaks) else ""
            return
        self._space += line[: len(line) - len(line.lstrip(" \t"))]
        self._place()
        is_plain = "a" in self._within or "code" in self._within
        self._out.append(escape(core, quote=False) if is_plain else linked(core, self._policy.rel))
        self._space = line[len(line.rstrip(" \t")) :]

    def _preformatted(self, text: str) -> None:
        """Lines and spaces as they are, without the empty lines at both ends (a parser drops the first)."""
        text = text if self._block.is_filled else text.lstrip("\n")
        if is_blank(text):
            self._space += text
            return
        core = text.rstrip()
        indent = "" if self._block.is_filled else self._space.lstrip("\n")
        self._place()
        self._out.append(escape(indent + core, quote=False))
        self._space = text[len(core) :]

    def _place(self) -> None:
        """Make ready for something visible: the right block, the breaks before it, the tags around it."""
        if self._newlines >= 2 and not self._breaks and self._block.name == "p":
            self._leave_paragraph()
        self._enter_paragraph()
        block = self._block
        if block.is_filled:
            self._out.append("<br>\n" * min(2, max(self._breaks, self._newlines)) or self._space)
        for element in self._stack:
            if not element.is_shown:
                self._out.append("\n" + element.opening if element.is_block and self._out else element.opening)
                element.is_shown = True
        block.is_filled = True
        self._forget_spacing()

    def _forget_spacing(self) -> None:
        self._newlines = self._breaks = 0
        self._space = ""

    # --- where we are ------------------------------------------------------------------------------

    @property
    def _block(self) -> _Open:
        return self._stack[self._inner - 1] if self._inner else self._root

    def _is_sample(self, tag: Tag) -> bool:
        """Within code only the ends of code are tags; an author who shows tags there means them as text."""
        if "code" in self._within:
            return not (tag.is_end and tag.name in {"code", "pre"} & self._within)
        return "pre" in self._within and tag.name != "code" and not (tag.is_end and tag.name == "pre")

    # --- elements ----------------------------------------------------------------------------------

    def _start_inline(self, tag: Tag) -> None:
        if tag.name == "a":
            self._end("a")
            if not any(name == "href" for name, _ in tag.attributes):
                return
            tag = tag._replace(attributes=(*tag.attributes, ("rel", self._policy.rel)))
        if tag.name in self._within:
            self._uncounted[tag.name] += 1
        else:
            self._open([_Open(tag.name, tag.opening)])

    def _start_block(self, tag: Tag) -> None:
        if self._block.name == "p":
            self._leave_paragraph()
        inlines = self._carried(self._close_from(self._inner))
        if tag.name == "li":
            self._enter_list()
        elif self._block.name in _LISTS:
            self._push_block("li")
        self._push_block(tag.name)
        self._open(inlines)

    def _enter_list(self) -> None:
        """An item ends the item before it, and brings its list along where there is none."""
        if self._block.name == "li":
            self._open(self._carried(self._close_from(self._inner - 1)[1:]))
        if self._block.name not in _LISTS:
            self._push_block("ul")

    def _push_block(self, name: str) -> None:
        self._forget_spacing()
        if sum(element.is_block for element in self._stack) < _MAX_DEPTH:
            self._open([_Open(name, f"<{name}>")])
            self._inner = len(self._stack)
        else:
            self._uncounted[name] += 1
            self._newlines = 2

    def _enter_paragraph(self) -> None:
        """Text stands in a paragraph, a list item or a preformatted block; open the one that is missing."""
        name = {"": "p", "blockquote": "p", "ul": "li", "ol": "li"}.get(self._block.name)
        if name is not None:
            self._stack.insert(self._inner, _Open(name, f"<{name}>"))
            self._inner += 1

    def _leave_paragraph(self) -> None:
        """Close the paragraph; its styles go on after it."""
        self._open(self._carried(self._close_from(self._inner - 1)[1:]))

    def _end(self, name: str) -> None:
        if self._uncounted[name]:
            self._uncounted[name] -= 1
            self._newlines += 2 * (name in _BLOCKS)
            return
        # The end of a style does not reach out of its block, nor that of an item out of its list.
        floor = 0 if name in _BLOCKS else self._inner
        walls = _LISTS if name == "li" else frozenset[str]()
        for at in range(len(self._stack) - 1, floor - 1, -1):
            if self._stack[at].name == name:
                self._open(self._carried(self._close_from(at)[1:]))
                return
            if self._stack[at].name in walls:
                break
        self._newlines += 2 * (name == "p")

    def _open(self, elements: list[_Open]) -> None:
        self._stack += elements
        self._within.update(element.name for element in elements)

    def _close_from(self, at: int) -> list[_Open]:
        """Close everything from that place of the stack on, and return what it was."""
        cut = self._stack[at:]
        del self._stack[at:]
        self._out += [f"</{element.name}>" for element in reversed(cut) if element.is_shown]
        self._within.difference_update(element.name for element in cut)
        if at < self._inner:
            self._inner = next((end for end in range(at, 0, -1) if self._stack[end - 1].is_block), 0)
            self._forget_spacing()
        return cut

    def _carried(self, cut: list[_Open]) -> list[_Open]:
        """Of elements that were closed, those that open again: unwritten ones, and simple styles within a budget."""
        kept: list[_Open] = []
        for element in cut:
            if element.is_block or (element.is_shown and element.opening != f"<{element.name}>"):
                continue
            self._reopened += element.is_shown
            if not element.is_shown or self._reopened <= _MAX_REOPENED:
                kept.append(_Open(element.name, element.opening))
        return kept
