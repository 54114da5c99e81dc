"""The tags that texts may have, and which typed ones are surely meant as markup; everything else is plain text.

A `Policy` grants tags, attributes and schemes of addresses. A typed tag is markup where its name is granted, it is well
formed, each attribute has a name that HTML has for it, and it has its counterpart. Anything else (`a<b && c>d`,
`List<b>`, "use <ol> here") is text, shown as it was typed.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from functools import lru_cache
from html import escape
from typing import TYPE_CHECKING, Final, NamedTuple

from moderate.text.characters import decoded, is_blank, single_line
from moderate.text.links import target_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

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

_MAX_TITLE = 200

#: The values that attributes of lists may have.
LIST_VALUES = {
    "start": re.compile("-?[0-9]{1,9}"),
    "value": re.compile("-?[0-9]{1,9}"),
    "type": re.compile("[1aAiI]"),
    "reversed": re.compile(""),
}

_SPACE = r"[ \t\n\r\f]"
_ATTRIBUTE = re.compile(
    rf"""([^ \t\n\r\f"'<>/=]++)(?:{_SPACE}*+=({_SPACE}*+(?:"[^"<]*+"|'[^'<]*+'|[^ \t\n\r\f"'<>`]++)))?+"""
)
# Attributes that HTML knows on any tag, on one tag, and without a value.
_GLOBAL = frozenset(
    "accesskey align autocapitalize class contenteditable dir draggable enterkeyhint id inputmode is itemid"  # noqa: SIM905
    " itemprop itemref itemtype lang nonce part popover role slot spellcheck style tabindex title translate xml:lang"
    " xmlns autofocus hidden inert itemscope".split()
)
_KNOWN = {
    "a": frozenset(
        "charset coords download href hreflang name ping referrerpolicy rel rev shape target type".split()  # noqa: SIM905
    ),
    "blockquote": frozenset({"cite"}),
    "br": frozenset({"clear"}),
    "del": frozenset({"cite", "datetime"}),
    "li": frozenset({"type", "value"}),
    "ol": frozenset({"compact", "reversed", "start", "type"}),
    "pre": frozenset({"width"}),
    "q": frozenset({"cite"}),
    "ul": frozenset({"compact", "type"}),
}
_VALUELESS = frozenset({"autofocus", "compact", "download", "hidden", "inert", "itemscope", "reversed"})
_FREE = re.compile("(?:data-|aria-|on[a-z]{3})[a-z-]*+")

_QUOTES = {'"': '"', "'": "'", "`": "`", "(": ")", "“": "”", "‘": "’", "„": "“", "«": "»", "「": "」", "『": "』"}
_SENTENCE_ENDS = frozenset(".!?…。！？>")
_AFTER_WORDS = frozenset(":,.;)=")

LISTS = frozenset({"ul", "ol"})
_CODE = frozenset({"code", "pre"})
_OPTIONAL_ENDS = frozenset({"p", "li"})
_ENDLESS = _OPTIONAL_ENDS | {"br"}


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
    #: ``version.markup.sanitizer``, for example ``2.html.bleach``.
    name: str = field(init=False)

    def __post_init__(self) -> None:
        if self.sanitizer not in SANITIZERS:
            raise ValueError(f"sanitizer is one of {', '.join(SANITIZERS)}, not {self.sanitizer!r}")
        if self.markup not in MARKUPS:
            raise ValueError(f"markup is one of {', '.join(MARKUPS)}, not {self.markup!r}")
        if not (self.tags <= TAGS and self.attributes <= ATTRIBUTES and self.schemes <= SCHEMES):
            raise ValueError("tags, attributes and schemes can be narrowed, and nothing can be added to them")
        if self.max_length < 1 or self.max_brackets < 0:
            raise ValueError("max_length is at least 1, and max_brackets at least 0")
        object.__setattr__(self, "name", f"{self.version}.{self.markup}.{self.sanitizer}")


class Tag(NamedTuple):
    """A tag as typed: its place in the text, and the granted ones of its attributes, decoded."""

    name: str
    start: int
    end: int
    is_end: bool = False
    attributes: tuple[tuple[str, str], ...] = ()

    @property
    def opening(self) -> str:
        if not self.attributes:
            return f"<{self.name}>"
        attributes = "".join(f' {name}="{escape(value)}"' for name, value in self.attributes)
        return f"<{self.name}{attributes}>"

    @property
    def address(self) -> str:
        """The address of a link; empty for other tags."""
        return dict(self.attributes).get("href", "")


def lexed(text: str, policy: Policy) -> Iterator[str | Tag]:
    """Yield the text as stretches of plain text and tags, in order; nothing for a text of nothing but tags.

    In code and preformatted text only the end of it is a tag. Code of several lines becomes preformatted.
    """
    tags = list(_candidates(text, policy))
    if not _has_words(text, tags) and _is_bare(tags):
        return
    # Alone between quotation marks or brackets a tag is mentioned instead of used.
    tags = [tag for tag in tags if not tag.start or text[tag.end : tag.end + 1] != _QUOTES.get(text[tag.start - 1])]
    pairs, blocks = _sure(text, tags)
    if "pre" not in policy.tags:
        blocks = set()
    done = 0
    for at in sorted(pairs.keys() | pairs.values()):
        tag = tags[at]
        if tag.start > done:
            yield text[done : tag.start]
        done = tag.end
        if at not in blocks:
            yield tag
        elif tag.is_end:
            yield from (tag, tag._replace(name="pre"))
        else:
            yield from (tag._replace(name="pre"), tag)
    if done < len(text):
        yield text[done:]


def lexed_html(html: str, policy: Policy) -> Iterator[str | Tag]:
    """Yield the tokens of HTML that was made of Markdown or of a page, in which every tag is meant as one."""
    done = 0
    for tag in _candidates(html, policy):
        yield html[done : tag.start]
        yield tag
        done = tag.end
    yield html[done:]


@lru_cache(maxsize=16)
def _tags(names: frozenset[str]) -> re.Pattern[str]:
    """Return the pattern of tags with these names. All quantifiers are possessive: nothing is read twice."""
    name = "|".join(sorted(names))
    return re.compile(
        rf"<(?:/(?P<end>{name}){_SPACE}*+>|(?P<name>{name})"
        rf"(?P<attributes>(?:(?:{_SPACE}|/)++{_ATTRIBUTE.pattern})*+)(?:{_SPACE}|/)*+>)",
        re.IGNORECASE,
    )


def _candidates(text: str, policy: Policy) -> Iterator[Tag]:
    """Yield the tags that are well formed and have known attributes."""
    for match in _tags(policy.tags).finditer(text):
        start, end = match.span()
        if match["end"]:
            yield Tag(match["end"].lower(), start, end, is_end=True)
            continue
        name = match["name"].lower()
        attributes = _attributes(name, match["attributes"], policy) if match["attributes"] else ()
        if attributes is not None:
            yield Tag(name, start, end, attributes=attributes)


def _attributes(tag: str, typed: str, policy: Policy) -> tuple[tuple[str, str], ...] | None:
    """Return the attributes that the policy grants, each once, with valid values; None if HTML does not know one."""
    kept: list[tuple[str, str]] = []
    seen: set[str] = set()
    for attribute, source in _ATTRIBUTE.findall(typed):
        name = attribute.lower()
        if not _is_known(tag, name, bool(source)):
            return None
        if name in seen or (tag, name) not in policy.attributes:
            continue
        seen.add(name)
        value = decoded(source.strip().strip("\"'"))
        if name == "href":
            target = target_of(value.strip())
            if target and target.partition(":")[0].lower() in policy.schemes:
                kept.append((name, target))
        elif name == "reversed":
            kept.append((name, ""))
        elif name == "title":
            kept.append((name, single_line(value)[:_MAX_TITLE]))
        elif LIST_VALUES[name].fullmatch(value.strip()):
            kept.append((name, value.strip()))
    if tag == "a" and seen:
        kept.append(("rel", policy.rel))
    return tuple(kept)


def _is_known(tag: str, attribute: str, has_value: bool) -> bool:
    if not has_value and attribute not in _VALUELESS:
        return False
    return attribute in _GLOBAL or attribute in _KNOWN.get(tag, ()) or _FREE.fullmatch(attribute) is not None


def _sure(text: str, tags: Sequence[Tag]) -> tuple[dict[int, int], set[int]]:
    """Return which candidates are tags: the place of each start tag with that of its end.

    A tag without an end (``<br>``, and ``<p>`` and ``<li>`` whose ends are optional) has its own place instead.
    Returns beside the places of both tags of code that has several lines and is not preformatted yet.
    """
    names = {tag.name for tag in tags}
    pairs, blocks, outside = _code(text, tags) if names & _CODE else ({}, set(), range(len(tags)))
    waiting: defaultdict[str, list[int]] = defaultdict(list)
    for at in outside:
        tag = tags[at]
        if tag.name == "br":
            pairs |= {} if tag.is_end else {at: at}
        elif not tag.is_end:
            waiting[tag.name].append(at)
        elif waiting[tag.name]:
            start = waiting[tag.name].pop()
            if _is_pair(text, tags, start, at):
                pairs[start] = at
    if names & (_OPTIONAL_ENDS | LISTS):
        _set_paragraphs_and_items(text, tags, outside, pairs)
    return pairs, blocks


def _code(text: str, tags: Sequence[Tag]) -> tuple[dict[int, int], set[int], Sequence[int]]:
    """Return the pairs of ``code`` and ``pre``, the places of code in several lines, and of all tags outside of these.

    A start belongs to the end that is the next tag of its name. In ``pre`` only ``code`` is a tag, in ``code`` none.
    """
    pairs: dict[int, int] = {}
    blocks: set[int] = set()
    outside: list[int] = []
    following = _following(tags)
    at, end_of_pre = 0, -1
    while at < len(tags):
        name, end = tags[at].name, following[at]
        is_pair = name in _CODE and not tags[at].is_end and tags[end].is_end and not _is_empty(text, tags, at, end)
        if name not in _CODE:
            outside += [at] * (at >= end_of_pre)
        elif is_pair and name == "code" and (at > end_of_pre or end < end_of_pre):
            pairs[at] = end
            if at > end_of_pre and "\n" in text[tags[at].end : tags[end].start]:
                blocks |= {at, end}
            at = end
        elif is_pair and name == "pre" and at > end_of_pre:
            pairs[at] = end
            end_of_pre = end
        at += 1
    return pairs, blocks, outside


def _following(tags: Sequence[Tag]) -> list[int]:
    """Return for each tag the place of the next one of that name, its own where there is none."""
    following = list(range(len(tags)))
    seen: dict[str, int] = {}
    for at in reversed(following):
        name = tags[at].name
        following[at] = seen.get(name, at)
        seen[name] = at
    return following


def _is_bare(tags: Sequence[Tag]) -> bool:
    """Return True if as many tags of each name end as begin, where an end is needed."""
    open_tags = Counter[str]()
    for tag in tags:
        open_tags[tag.name] += 0 if tag.name in _ENDLESS else -1 if tag.is_end else 1
    return not any(open_tags.values())


def _has_words(text: str, tags: Sequence[Tag]) -> bool:
    """Return True if anything is visible besides the tags."""
    done = 0
    for tag in tags:
        if not is_blank(decoded(text[done : tag.start])):
            return True
        done = tag.end
    return not is_blank(decoded(text[done:]))


def _is_pair(text: str, tags: Sequence[Tag], start: int, end: int) -> bool:
    """Return True if a start and an end tag of one name mark something up."""
    tag = tags[start]
    if tag.name == "a":
        return bool(tag.address)
    if tag.name in LISTS:
        item = tags[start + 1]
        return item.name == "li" and not item.is_end and is_blank(text[tag.end : item.start])
    return tag.name in _OPTIONAL_ENDS or not _is_empty(text, tags, start, end)


def _is_empty(text: str, tags: Sequence[Tag], start: int, end: int) -> bool:
    return end == start + 1 and is_blank(text[tags[start].end : tags[end].start])


def _set_paragraphs_and_items(text: str, tags: Sequence[Tag], outside: Sequence[int], pairs: dict[int, int]) -> None:
    """Add unclosed paragraphs and items to the pairs, and remove those within a sentence."""
    lists = 0
    ends = set(pairs.values())
    for at in outside:
        tag = tags[at]
        if tag.name in LISTS:
            lists += (at in pairs) - (at in ends)
        elif tag.name in _OPTIONAL_ENDS and not tag.is_end and not (lists and tag.name == "li"):
            is_closed = at in pairs and not _is_empty(text, tags, at, pairs[at])
            if not _begins_block(text, tag, is_closed):
                pairs.pop(at, None)
                continue
        if tag.name in _OPTIONAL_ENDS and not tag.is_end:
            pairs.setdefault(at, at)


def _begins_block(text: str, tag: Tag, is_closed: bool) -> bool:
    """Return True if a tag is where a paragraph begins, and not in the middle of a sentence about it."""
    before = text[max(0, tag.start - 80) : tag.start].rpartition("\n")[2].rstrip(" \t")
    if before and before[-1] not in _SENTENCE_ENDS:
        return False
    after = text[tag.end : tag.end + 80].partition("\n")[0]
    return is_closed or is_blank(after) or not (after[0] in " \t" or after[0] in _AFTER_WORDS)
