"""The text of a source page: an element as plain text or as HTML of a few tags, and an excerpt around a link."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from moderate.text.characters import cropped
from moderate.text.clean import MAX_EXCERPT
from moderate.web_address import parse, resolved

if TYPE_CHECKING:
    from lxml import etree

#: Characters of text on each side of a link in an excerpt (WordPress takes 100 as well).
AROUND = 100
#: Longest link text in an excerpt.
MAX_LINK_TEXT = 100

#: Elements that end a line of text; an excerpt never reaches out of the nearest one.
BLOCKS = frozenset(
    "address article aside blockquote body dd details div dl dt fieldset figcaption figure footer form"  # noqa: SIM905
    " h1 h2 h3 h4 h5 h6 header hr html li main nav ol p pre section summary table tbody td tfoot th thead tr ul".split()
)
_BREAKS = BLOCKS | {"br", "img", "option"}
#: Elements whose content is no text of the page.
UNSHOWN = frozenset({"head", "title"})

#: The elements of `marked_up`.
_KEPT = frozenset("a b blockquote code em i li ol pre q s strong ul".split())  # noqa: SIM905
#: Around these the markup itself begins a new line.
_LAID_OUT = frozenset({"blockquote", "li", "ol", "pre", "ul"})
_LINE, _PARAGRAPH = "\n", "\n\n"
_ENDING = "..."
#: What a line costs, in characters: a text of one letter to the line would be shown very tall.
_LINE_COST = 5
#: Characters of all addresses together; further links are only words. Readers see none of it, but load it all.
_MOST_ADDRESSES = 2000


def one_line(text: str) -> str:
    """Return a text with each run of white space as one blank, and none at the ends."""
    return " ".join(text.split())


def plain_text(element: etree._Element) -> str:
    """Return the text of an element in one line."""
    return _split_at(element, None)[0]


def words_around(link: etree._Element) -> tuple[str, str]:
    """Return the text of a link, and an excerpt: that text with about `AROUND` characters of its block on each side."""
    if link.tag == "link":
        return "", ""
    before, inside, after = _split_at(_block_of(link), link)
    text = cropped_end(inside.strip() or one_line(link.get("alt", "")), MAX_LINK_TEXT)
    return text, one_line(f"{cropped_end(before[::-1], AROUND)[::-1]}{text or ' '}{cropped_end(after, AROUND)}")


def cropped_end(text: str, limit: int) -> str:
    """Return at most *limit* characters of a text, cut between words where it has any, with an ellipsis behind."""
    if len(text) <= limit:
        return text
    head, blank, _ = text[: limit + 1].rpartition(" ")
    # Scripts without blanks, and very long words, are cut anywhere.
    return f"{head if blank and len(head) > limit // 2 else text[:limit]}…"


def _block_of(link: etree._Element) -> etree._Element:
    block = link
    while block.tag not in BLOCKS and (parent := block.getparent()) is not None:
        block = parent
    return block


def _split_at(block: etree._Element, link: etree._Element | None) -> tuple[str, str, str]:
    """Return the text of a block before, in and after a link, with runs of blanks as one, also at the ends."""
    from lxml import etree

    runs: tuple[list[str], list[str], list[str]] = ([], [], [])
    where = 0
    walk = etree.iterwalk(block, events=("start", "end"))
    for event, element in walk:
        where += element is link
        if event == "start" and element.tag in UNSHOWN and element is not block:
            walk.skip_subtree()
        runs[where].append(_run(event, element, is_block=element is block))
    before, inside, after = ("".join(run) for run in runs)
    if link is None:
        return one_line(before), "", ""
    return _folded(before), _folded(inside), _folded(after)


def _run(event: str, element: etree._Element, *, is_block: bool) -> str:
    blank = " " if element.tag in _BREAKS else ""
    if event == "start":
        return blank + ("" if element.tag in UNSHOWN and not is_block else element.text or "")
    return blank + ("" if is_block else element.tail or "")


def _folded(text: str) -> str:
    folded = one_line(text)
    if not folded:
        return " " if text else ""
    return f"{' ' if text[0].isspace() else ''}{folded}{' ' if text[-1].isspace() else ''}"


# --- markup -----------------------------------------------------------------------------------------


def marked_up(element: etree._Element, base: str, limit: int) -> tuple[str, str]:
    """Return the text of *element*, at most *limit* characters, and its beginning as HTML.

    The HTML keeps what readers see as form: paragraphs, line breaks, links, emphasis, code, quotations and lists. It
    follows the rules of a typed comment, where a newline is a line break and an empty line begins a paragraph, and is
    meant for the sanitizer of comments. It shows at most `MAX_EXCERPT` characters, with an ellipsis where it was cut,
    never inside a tag; a line counts as five characters. Links are resolved against *base*.
    """
    writer = _Writer(base, limit)
    writer.write(element)
    if limit - writer.left <= MAX_EXCERPT:
        return writer.text, writer.markup
    short = _Writer(base, MAX_EXCERPT - len(_ENDING))
    short.write(element)
    return writer.text, short.markup


class _Writer:
    """A writer of the text and the markup side by side, until the text has *limit* characters."""

    def __init__(self, base: str, limit: int) -> None:
        self._base = base
        self.left = limit
        self._addresses_left = _MOST_ADDRESSES
        self._text: list[str] = []
        self._markup: list[str] = []
        #: The start tags of the open elements; those from `_written` on have no text yet and are not written.
        self._open: list[tuple[etree._Element, str]] = []
        self._written = 0
        self._break = ""
        self._pre = 0

    @property
    def text(self) -> str:
        return "".join(self._text).strip()

    @property
    def markup(self) -> str:
        return "".join(self._markup)

    def write(self, root: etree._Element) -> None:
        from lxml import etree

        walk = etree.iterwalk(root, events=("start", "end"))
        for event, element in walk:
            if event == "start":
                hidden = element.tag in UNSHOWN and element is not root
                if hidden:
                    walk.skip_subtree()
                else:
                    self._start(element)
                    self._characters(element.text or "")
            else:
                self._end(element)
                self._characters(element.tail or "" if element is not root else "")
            if self.left <= 0:
                break
        while self._open:
            self._close()

    def _start(self, element: etree._Element) -> None:
        tag = str(element.tag)
        if tag == "br":
            self._separate(_LINE)
        elif tag in BLOCKS:
            self._separate(_PARAGRAPH)
        if tag in _KEPT and (start := self._start_tag(tag, element)):
            self._open.append((element, start))
            self._pre += tag == "pre"

    def _start_tag(self, tag: str, element: etree._Element) -> str:
        if tag != "a":
            return f"<{tag}>"
        href = element.get("href")
        address = resolved(self._base, href) if href else None
        is_nested = any(start.startswith("<a ") for _, start in self._open)
        if address is None or is_nested or not parse(address) or len(address) > self._addresses_left:
            return ""
        self._addresses_left -= len(address)
        return f'<a href="{escape(address)}">'

    def _end(self, element: etree._Element) -> None:
        if self._open and self._open[-1][0] is element:
            self._close()
        if element.tag in BLOCKS:
            self._separate(_PARAGRAPH)

    def _close(self) -> None:
        element, _ = self._open.pop()
        self._pre -= element.tag == "pre"
        if self._written > len(self._open):
            self._written = len(self._open)
            self._markup.append(f"</{element.tag}>")

    def _separate(self, kind: str) -> None:
        if self._pre:
            self._put(_LINE)
        elif self._text and len(kind) > len(self._break):
            self._break = kind

    def _characters(self, characters: str) -> None:
        if not self._pre:
            self._put(self._folded(characters))
            return
        for number, line in enumerate(characters.split(_LINE)):
            self._put(_LINE if number else "")
            self._put(line)

    def _put(self, shown: str) -> None:
        if not shown or self.left <= 0:
            return
        self._write_break()
        for _, start in self._open[self._written :]:
            self._markup.append(start)
        self._written = len(self._open)
        self.left -= _LINE_COST if shown == _LINE else 0
        is_cut = len(shown) > self.left
        shown = cropped(shown, max(0, self.left))
        self.left = 0 if is_cut else self.left - len(shown)
        self._text.append(shown)
        self._markup.append(escape(shown, quote=False) + (_ENDING if is_cut else ""))

    def _folded(self, characters: str) -> str:
        """Return characters with runs of blanks as one, and none at the beginning of a line."""
        begins_line = self._break or not self._text or self._text[-1].endswith((" ", "\n"))
        return _folded(characters).lstrip(" ") if begins_line else _folded(characters)

    def _write_break(self) -> None:
        if not self._break:
            return
        self.left -= _LINE_COST
        self._text[-1] = self._text[-1].rstrip(" ")
        self._text.append(self._break)
        # Between a list and its items, as around quotations, the tags separate enough.
        around = [str(element.tag) for element, _ in self._open[self._written :]]
        if not (around and around[0] in _LAID_OUT) and not self._markup[-1].startswith(("</li", "</ul", "</ol")):
            self._markup.append(self._break)
        self._break = ""
