"""The words of a page: plain text of an element, and what stands around a link."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lxml import etree

#: Characters of text on each side of a link in an excerpt (WordPress takes 100 as well).
AROUND = 100
#: Longest link text in an excerpt.
MAX_LINK_TEXT = 100

#: Elements that end a line of text; an excerpt never reaches out of the nearest one.
BLOCKS = frozenset(
    {
        "address",
        "article",
        "aside",
        "blockquote",
        "body",
        "dd",
        "details",
        "div",
        "dl",
        "dt",
        "fieldset",
        "figcaption",
        "figure",
        "footer",
        "form",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "header",
        "hr",
        "html",
        "li",
        "main",
        "nav",
        "ol",
        "p",
        "pre",
        "section",
        "summary",
        "table",
        "tbody",
        "td",
        "tfoot",
        "th",
        "thead",
        "tr",
        "ul",
    }
)
_BREAKS = BLOCKS | {"br", "img", "option"}
#: What stands in these is no text of the page.
UNSHOWN = frozenset({"head", "title"})


def one_line(text: str) -> str:
    """Runs of white space as one blank each, none at the ends."""
    return " ".join(text.split())


def words_of(element: etree._Element) -> str:
    """The text of an element in one line."""
    return _split_at(element, None)[0]


def words_around(link: etree._Element) -> tuple[str, str]:
    """The text of a link, and an excerpt: the link's text with about `AROUND` characters of its block on each side."""
    if link.tag == "link":
        return "", ""
    before, inside, after = _split_at(_block_of(link), link)
    text = cropped_end(inside.strip() or one_line(link.get("alt", "")), MAX_LINK_TEXT)
    return text, one_line(f"{_cropped_start(before, AROUND)}{text or ' '}{cropped_end(after, AROUND)}")


def cropped_end(text: str, limit: int) -> str:
    """The beginning of a text, cut between words where there are any, with an ellipsis where it was cut."""
    if len(text) <= limit:
        return text
    head, blank, _ = text[: limit + 1].rpartition(" ")
    # Scripts without blanks are cut anywhere; a single very long word as well.
    return f"{head if blank and len(head) > limit // 2 else text[:limit]}…"


def _cropped_start(text: str, limit: int) -> str:
    return cropped_end(text[::-1], limit)[::-1]


def _block_of(link: etree._Element) -> etree._Element:
    block = link
    while block.tag not in BLOCKS and (parent := block.getparent()) is not None:
        block = parent
    return block


def _split_at(block: etree._Element, link: etree._Element | None) -> tuple[str, str, str]:
    """The text of a block before, in and after a link, each with single blanks and those at the ends kept."""
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
