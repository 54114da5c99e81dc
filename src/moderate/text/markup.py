"""Layout of text and tags as balanced HTML with paragraphs, line breaks and links.

A sanitizer runs over the result as the last step. `moderate.text.tags` decides what is a tag.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from html import escape
from typing import TYPE_CHECKING

from moderate.text.characters import decoded, is_blank
from moderate.text.links import address_spans, linked
from moderate.text.tags import LISTS, Tag

if TYPE_CHECKING:
    from moderate.text.tags import Policy

#: A text with more paragraphs goes on with line breaks, and one with more lines goes on without them.
MAX_PARAGRAPHS = 100
MAX_LINES = 1000

_BLOCKS = frozenset({"p", "pre", "blockquote", "ul", "ol", "li"})
#: Lists and quotes deeper than this are flattened: parsers are quadratic in depth, and pages have a width.
_MAX_DEPTH = 12
#: How often a style may be taken up again in the next paragraph, so that a text cannot grow without bound.
_MAX_REOPENED = 100
#: Widest indentation of a line, in columns; a single blank is not indentation.
_MAX_INDENTATION = 40
_TAB = 4
#: The block that text needs within these blocks; "" is the text outside of all.
_NEEDED = {"": "p", "blockquote": "p", "ul": "li", "ol": "li"}


@dataclass(slots=True)
class _Open:
    """An open element.

    `is_shown` is set when its tag is written, `is_filled` when it contains text. `label`, the address of a link, is
    shown where the element ends without visible content.
    """

    name: str
    opening: str
    label: str = ""
    is_block: bool = False
    is_shown: bool = False
    is_filled: bool = False


def indentation(blanks: str) -> str:
    """Return the blanks at the beginning of a line as no-break spaces, which a browser does not fold."""
    columns = len(blanks.replace("\t", " " * _TAB))
    return "\xa0" * min(columns, _MAX_INDENTATION) if columns > 1 else ""


class Layout:
    """Writer of text and tags as well-formed HTML with automatic paragraphs, line breaks and links.

    Tags are written late, when they get visible content, so that no empty element is left. The stack is bounded: a
    style within the same style and elements that are nested too deep are only counted.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._out: list[str] = []
        # The open elements: `_depth` blocks, the last of which is `_block`, and the styles and the link in that one.
        self._stack: list[_Open] = []
        self._depth = 0
        self._root = self._block = _Open("", "")
        #: The names of the open elements.
        self._within: set[str] = set()
        self._uncounted: defaultdict[str, int] = defaultdict(int)
        self._reopened = self._paragraphs = self._lines = 0
        # Spacing since the last visible character; it counts only when another one follows.
        self._newlines = self._breaks = 0
        self._space = ""

    def feed(self, token: str | Tag) -> None:
        if isinstance(token, str):
            self._text(decoded(token))
        elif token.is_end:
            self._end(token.name)
        elif token.name == "br":
            self._breaks += 1
        elif token.name in _BLOCKS:
            self._start_block(token)
        else:
            self._start_inline(token)

    def close(self) -> str:
        """Close all open elements and return the HTML."""
        self._close_from(0, len(self._stack))
        return "".join(self._out)

    # --- text --------------------------------------------------------------------------------------

    def _text(self, text: str) -> None:
        if "pre" in self._within:
            self._preformatted(text)
            return
        for number, line in enumerate(text.split("\n")):
            if number:
                self._newlines += 1
                self._space = ""
            core = line.strip(" \t")
            if is_blank(core):
                self._space += line
                continue
            start = line.index(core)
            self._space += line[:start]
            self._place()
            is_plain = "a" in self._within or "code" in self._within
            addresses = () if is_plain else address_spans(core)
            self._out.append(linked(core, addresses, self._policy.rel))
            self._space = line[start + len(core) :]

    def _preformatted(self, text: str) -> None:
        """Write lines and spaces as they are, without the empty lines at both ends (a parser drops the first)."""
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
        """Prepare for visible text: open the right block, write the breaks before it and the tags around it."""
        space, begins_line = self._space, self._newlines > 0 or not self._out
        if self._newlines >= 2 and not self._breaks and self._block.name == "p" and self._paragraphs < MAX_PARAGRAPHS:
            self._close_from(self._depth - 1, self._depth)
        if self._block.name in _NEEDED:
            self._open_block(_NEEDED[self._block.name])
        block = self._block
        if block.is_filled:
            self._out.append(self._line_breaks() or space)
        for element in self._stack:
            if not element.is_shown:
                self._out.append("\n" + element.opening if element.is_block and self._out else element.opening)
                element.is_shown = True
        if space and begins_line and block.name == "p" and self._depth == 1:
            self._out.append(indentation(space))
        block.is_filled = True
        self._newlines, self._breaks, self._space = 0, 0, ""

    def _line_breaks(self) -> str:
        wanted = min(2 if self._paragraphs < MAX_PARAGRAPHS else 1, max(self._breaks, self._newlines))
        if wanted and self._lines >= MAX_LINES:
            return "\n"
        self._lines += wanted
        return "<br>\n" * wanted

    # --- elements ----------------------------------------------------------------------------------

    def _start_inline(self, tag: Tag) -> None:
        label = ""
        if tag.name == "a":
            self._end("a")
            label = tag.address
            if not label:
                return
        if tag.name in self._within:
            self._uncounted[tag.name] += 1
        else:
            self._stack.append(_Open(tag.name, tag.opening, label))
            self._within.add(tag.name)

    def _start_block(self, tag: Tag) -> None:
        if tag.name == "p" and self._paragraphs >= MAX_PARAGRAPHS:
            self._uncounted["p"] += 1
            self._newlines += 1
            return
        if self._block.name == "p":
            self._close_from(self._depth - 1, self._depth)
        # Styles that are open here go on within the new block.
        self._close_from(self._depth, self._depth)
        if tag.name == "li":
            self._enter_list()
        elif self._block.name in LISTS:
            self._push_block("li")
        self._push_block(tag.name, tag.opening)

    def _enter_list(self) -> None:
        """End the item before, and open a list where the item is in none."""
        if self._block.name == "li":
            self._close_from(self._depth - 1, self._depth)
        if self._block.name not in LISTS:
            self._push_block("ul")

    def _push_block(self, name: str, opening: str = "") -> None:
        self._newlines, self._breaks, self._space = 0, 0, ""
        if self._depth < _MAX_DEPTH:
            self._open_block(name, opening)
        else:
            self._uncounted[name] += 1
            self._newlines = 2

    def _open_block(self, name: str, opening: str = "") -> None:
        """Open a block in the innermost one, around the styles that are open there."""
        self._block = _Open(name, opening or f"<{name}>", is_block=True)
        self._stack.insert(self._depth, self._block)
        self._depth += 1
        self._within.add(name)
        self._paragraphs += name == "p"

    def _end(self, name: str) -> None:
        if self._uncounted[name]:
            self._uncounted[name] -= 1
            self._newlines += 2 * (name in _BLOCKS)
            return
        if name == "a":
            self._label_link()
        # A style does not end outside of its block, nor an item outside of its list.
        floor = 0 if name in _BLOCKS else self._depth
        walls = LISTS if name == "li" else frozenset[str]()
        for at in range(len(self._stack) - 1, floor - 1, -1):
            if self._stack[at].name == name:
                self._close_from(at, at + 1)
                return
            if self._stack[at].name in walls:
                break
        self._newlines += 2 * (name == "p")

    def _label_link(self) -> None:
        """Show the address of an open link without visible content, so that it is not lost."""
        for element in self._stack[self._depth :]:
            if element.name == "a" and not element.is_shown:
                self._place()
                self._out.append(escape(element.label))

    def _close_from(self, at: int, reopened: int) -> None:
        """Close all elements of the stack from place *at* on, and open those from place *reopened* on again.

        These are the ones that were not written yet, and simple styles up to `_MAX_REOPENED`.
        """
        cut, again = self._stack[at:], self._stack[reopened:]
        del self._stack[at:]
        for element in reversed(cut):
            if element.is_shown:
                self._out.append(f"</{element.name}>")
            self._within.discard(element.name)
        if at < self._depth:
            self._depth = at
            self._block = self._stack[-1] if at else self._root
            self._newlines, self._breaks, self._space = 0, 0, ""
        for element in again:
            if element.is_block or (element.is_shown and element.opening != f"<{element.name}>"):
                continue
            self._reopened += element.is_shown
            if not element.is_shown or self._reopened <= _MAX_REOPENED:
                self._stack.append(replace(element, is_shown=False, is_filled=False))
                self._within.add(element.name)
