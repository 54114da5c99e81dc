"""The functions that make HTML of submitted text, and the only importer of the sanitizers.

Paragraphs, breaks and links are set first, by `moderate.text.markup`; sanitizing is the last step, and what
it returns is verified and otherwise left alone. A text without markup never meets a parser.

Most texts with markup need no sanitizer either: `canonical` takes the finished HTML, however it was made, if a
sanitizer would return the same characters. Mutation XSS needs two parsers that read one text differently. Canonical
HTML gives them nothing to differ in: each ``<`` begins one of the policy's tags in its one spelling, there is no
attribute but ``href``, ``title`` and ``rel``, no value has a quote, and every element is closed and stands where the
content model of HTML has it. The least deviation goes to the sanitizer.
"""

from __future__ import annotations

import re
import threading
from functools import lru_cache
from html import escape, unescape
from typing import TYPE_CHECKING, NamedTuple

from moderate.errors import ConfigError
from moderate.text.characters import decoded, is_blank, readable
from moderate.text.links import address_spans, linked
from moderate.text.markup import MAX_LINES, MAX_PARAGRAPHS, Layout, indentation
from moderate.text.tags import LIST_VALUES, LISTS, TAGS, Tag, lexed, lexed_html
from moderate.web_address import parse

if TYPE_CHECKING:
    from collections.abc import Iterable

    import nh3
    from bleach.sanitizer import Cleaner

    from moderate.text.tags import Policy

_TAG = re.compile(r"""<(?P<end>/?)(?P<name>[a-z]+)(?P<attributes>(?: [a-z]+=(?:"[^"]*"|'[^']*'))*+)>""")
_ATTRIBUTE = re.compile(r"""([a-z]+)=("[^"]*"|'[^']*')""")

# The grammar of `canonical`: text, values of attributes, host names. Left out is what parsers and serializers treat in
# ways of their own: controls, U+00A0, the byte order mark, quotes in values, hosts that are not plain ASCII names.
_LEFT_OUT = r"<>&\x00-\x08\x0b-\x1f\x7f-\xa0\ud800-\udfff\ufeff\ufffe\uffff"
_TEXT = rf"[^{_LEFT_OUT}]++|&(?:amp|lt|gt);"
_VALUE = rf"""(?:[^{_LEFT_OUT}"'`\t\n]++|&amp;)*+"""
_LABEL = "(?!xn--)[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
_HOST = rf"(?:{_LABEL}\.)*(?=[a-z]){_LABEL}(?::[0-9]{{1,5}})?"
_NAMES = re.compile("<(/?[a-z]+)")
_HREFS = re.compile('<a href="([^"]*)')

_BLOCKS = frozenset({"blockquote", "ol", "p", "pre", "ul"})
_INLINE = TAGS - _BLOCKS - {"li"}
#: The tags that canonical HTML has directly within each tag; "" is the outermost level.
_CONTENT = {
    **dict.fromkeys(("", "blockquote"), _BLOCKS),
    **dict.fromkeys(LISTS, frozenset({"li"})),
    **dict.fromkeys(_INLINE | {"p", "pre"}, _INLINE),
    "li": _BLOCKS | _INLINE,
}


class _OfThread(threading.local):
    """Objects that threads must not share."""

    def __init__(self) -> None:
        self.cleaners: dict[Policy, Cleaner] = {}


_of_thread = _OfThread()


class Rendered(NamedTuple):
    """HTML for a page, and the addresses that it links to, in order and with repeats.

    `html` is empty where nothing is visible.
    """

    html: str
    links: tuple[str, ...] = ()


def render(raw_text: str, policy: Policy) -> Rendered:
    """Return a text as HTML under a policy. Takes any text as it was typed, never HTML that this function returned.

    Allowed tags work where they are surely meant as tags, and everything else stays visible as text.
    """
    text = readable(raw_text)
    if policy.markup == "markdown":
        from moderate.text.markdown import html_of

        made = html_of(text, policy.schemes)
        shown = None if made is None else _laid_out(lexed_html(made, policy), policy)
        return shown or _plain(text, policy)
    if policy.markup == "html" and "<" in text and text.count("<") <= policy.max_brackets:
        tokens = list(lexed(text, policy))
        if len(tokens) != 1:
            return _laid_out(tokens, policy) or _plain(text, policy)
    elif policy.markup == "text" or "<" in text:
        return _plain(text, policy)
    return _plain(decoded(text), policy)


def render_markup(html: str, policy: Policy) -> Rendered:
    """Return the HTML that `moderate.sources.page_text` made of a page, whose tags are all meant, under a policy."""
    text = readable(html)
    shown = _laid_out(lexed_html(text, policy), policy) if text.count("<") <= policy.max_brackets else None
    return shown or _plain(text, policy)


def render_excerpt(raw_text: str) -> Rendered:
    """Return a plain text, such as the excerpt of a ping, in paragraphs without links."""
    return Rendered(_paragraphs(escape(readable(raw_text), quote=False)))


def sanitized(html: str, policy: Policy) -> str:
    """Return the HTML without anything outside the policy, and with the policy's rel on every link."""
    if policy.sanitizer == "nh3":
        return _nh3_cleaner(policy).clean(html)
    # Each thread has its own Cleaner: one that threads share mixes up the texts of different people.
    cleaners = _of_thread.cleaners
    if policy not in cleaners:
        cleaners[policy] = _bleach_cleaner(policy)
    return cleaners[policy].clean(html)


def canonical(html: str, policy: Policy) -> Rendered | None:
    """Return HTML that every sanitizer would return as it is; None for any other, which is for a sanitizer.

    Such HTML consists of escaped text and of the policy's tags, in the spelling of serializers and nested so that no
    parser moves, closes or adds an element: parsed and serialized it is the same text again.
    """
    if not _canonical(policy).fullmatch(html):
        return None
    within = [""]
    for name in _NAMES.findall(html):
        if name[0] == "/":
            if within.pop() != name[1:]:
                return None
        elif name not in _CONTENT[within[-1]] or (name in _INLINE and name in within):
            return None
        elif name != "br":
            within.append(name)
    links = tuple(map(unescape, _HREFS.findall(html)))
    return Rendered(html, links) if within == [""] and all(map(parse, links)) else None


def verified(html: str, policy: Policy) -> Rendered | None:
    """Verify what a sanitizer returned by a grammar that accepts only what should be there.

    Returns None for anything else: another tag or attribute, an address that is not http or https by the rules of the
    WHATWG URL standard, a link without its rel, tags that do not balance.
    """
    open_tags: list[str] = []
    links: list[str] = []
    at = html.find("<")
    while at >= 0:
        tag = _TAG.match(html, at)
        if tag is None or tag["name"] not in policy.tags:
            return None
        if tag["end"]:
            if tag["attributes"] or not open_tags or open_tags.pop() != tag["name"]:
                return None
        else:
            if not _is_granted(tag, links, policy):
                return None
            open_tags += [tag["name"]] * (tag["name"] != "br")
        at = html.find("<", tag.end())
    return None if open_tags else Rendered(html, tuple(links))


def load_packages(policy: Policy) -> None:
    """Load the packages that the policy needs by using them once, so that a missing one is an error at the start.

    Raises `ConfigError`.
    """
    try:
        sanitized(render("<b>*a*</b>", policy).html, policy)
    except ImportError as error:
        key, extra = ("MODERATE_SANITIZER", "nh3") if error.name == "nh3" else ("MODERATE_MARKUP", "markdown")
        raise ConfigError(key, extra, f'it needs an extra package: pip install "flask-moderate[{extra}]"') from error


def _laid_out(tokens: Iterable[str | Tag], policy: Policy) -> Rendered | None:
    """Lay out, sanitize and verify. Returns None where the result does not pass."""
    layout = Layout(policy)
    for token in tokens:
        layout.feed(token)
    html = layout.close()
    return canonical(html, policy) or verified(sanitized(html, policy), policy)


def _plain(text: str, policy: Policy) -> Rendered:
    """Return a text without tags as HTML, without a parser: escape, links, breaks, paragraphs."""
    addresses = address_spans(text)
    return Rendered(_paragraphs(linked(text, addresses, policy.rel)), tuple([target for _, _, target in addresses]))


def _paragraphs(escaped: str) -> str:
    """Return the lines with breaks between them, and what blank lines part as paragraphs."""
    parts: list[str] = []
    paragraphs = breaks = 0
    is_apart = True
    for line in escaped.split("\n"):
        if is_blank(line):
            is_apart = True
            continue
        if is_apart and paragraphs < MAX_PARAGRAPHS:
            parts.append("</p>\n<p>" if paragraphs else "<p>")
            paragraphs += 1
        else:
            parts.append("<br>\n" if breaks < MAX_LINES else "\n")
            breaks += 1
        words = line.lstrip(" \t")
        parts += indentation(line[: len(line) - len(words)]), words.rstrip(" \t")
        is_apart = False
    return "".join(parts) + "</p>" if parts else ""


def _is_granted(tag: re.Match[str], links: list[str], policy: Policy) -> bool:
    """Return True if a start tag has only attributes that are granted. Appends its address to *links*."""
    has_rel = False
    for name, quoted in _ATTRIBUTE.findall(tag["attributes"]):
        value = unescape(quoted[1:-1])
        if name == "href":
            if not parse(value) or value.partition(":")[0].lower() not in policy.schemes:
                return False
            links.append(value)
        if name in LIST_VALUES and not LIST_VALUES[name].fullmatch(value):
            return False
        if (tag["name"], name, value) == ("a", "rel", policy.rel):
            has_rel = True
        elif (tag["name"], name) not in policy.attributes:
            return False
    return has_rel or tag["name"] != "a"


@lru_cache(maxsize=16)
def _canonical(policy: Policy) -> re.Pattern[str]:
    """Return the pattern of canonical HTML but for its nesting. What repeats is possessive: nothing is read twice."""
    # Parsers drop a newline at the start of preformatted text.
    tags = "".join(rf"|<{name}>" for name in sorted(policy.tags - {"a"})).replace("<pre>", r"<pre>(?!\n)")
    tags += "".join(f"|</{name}>" for name in sorted(policy.tags - {"br"}))
    if "a" in policy.tags and ("a", "href") in policy.attributes and re.fullmatch("[a-z ]+", policy.rel):
        title = f'(?: title="{_VALUE}")?' if ("a", "title") in policy.attributes else ""
        schemes = "|".join(sorted(policy.schemes))
        tags += rf'|<a href="(?:{schemes})://{_HOST}(?:[/?#]{_VALUE})?"{title} rel="{policy.rel}">'
    return re.compile(f"(?:{_TEXT}{tags})*+")


def _granted(attributes: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Return the names of the attributes by tag."""
    granted: dict[str, list[str]] = {}
    for tag, name in attributes:
        granted.setdefault(tag, []).append(name)
    return granted


def _bleach_cleaner(policy: Policy) -> Cleaner:
    from bleach.sanitizer import Cleaner

    attributes = _granted({*policy.attributes, ("a", "rel")})
    return Cleaner(tags=policy.tags, attributes=attributes, protocols=policy.schemes)


@lru_cache(maxsize=16)
def _nh3_cleaner(policy: Policy) -> nh3.Cleaner:
    """nh3 keeps nothing between calls, so that one object serves all threads."""
    import nh3

    return nh3.Cleaner(
        tags=set(policy.tags),
        attributes={tag: set(names) for tag, names in _granted(policy.attributes).items()},
        url_schemes=set(policy.schemes),
        url_relative="deny",
        link_rel=policy.rel,
    )
