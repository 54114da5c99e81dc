"""An independent HTML5 parser that shows what a browser would see."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import html5lib
from html5lib.serializer import serialize

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from moderate.text.tags import Policy

XHTML = "{http://www.w3.org/1999/xhtml}"


def tree(html: str) -> Element:
    return html5lib.parseFragment(html, treebuilder="etree")


def meaning(html: str) -> tuple[object, ...]:
    """The document as nested tuples, so that two of them can be compared."""
    return _meaning(tree(html))


def text_of(html: str) -> str:
    return "".join(tree(html).itertext())


def strangers(html: str, policy: Policy) -> list[str]:
    """Everything in the document that the policy does not know."""
    found: list[str] = []
    root = tree(html)
    for element in root.iter():
        if element is root:
            continue
        # A comment's tag is a function, and a foreign element has another namespace.
        name = element.tag.removeprefix(XHTML) if isinstance(element.tag, str) else "a comment"
        if name not in policy.tags:
            found.append(name)
        for key, value in element.attrib.items():
            if (name, key, value) == ("a", "rel", policy.rel):
                continue
            if (name, key) not in policy.attributes:
                found.append(f"{name} {key}")
            elif key == "href" and not (urlsplit(value).scheme in {"http", "https"} and urlsplit(value).hostname):
                found.append(f"{name} {key}={value}")
        if name == "a" and element.get("rel") != policy.rel:
            found.append("a link without rel")
    return found


def is_stable(html: str) -> bool:
    """Return whether parse, serialise, parse gives the same document, inside a page as well as alone."""
    again = serialize(tree(html), tree="etree", omit_optional_tags=False, quote_attr_values="always")
    return meaning(again) == meaning(html) and keeps_to_itself(html)


def keeps_to_itself(html: str) -> bool:
    """Return whether the page around the text is the same as around any other text."""
    page = tree(f"<main><article><div>{html}</div><footer>after</footer></article></main>")
    article = page[0][0]
    inside = tuple(_meaning(child) for child in article[0])
    return [child.tag for child in article] == [f"{XHTML}div", f"{XHTML}footer"] and inside == meaning(html)[3]


def _meaning(element: Element) -> tuple[object, ...]:
    tag = element.tag if isinstance(element.tag, str) else "a comment"
    children = tuple(_meaning(child) for child in element)
    return tag, tuple(sorted(element.attrib.items())), element.text or "", children, element.tail or ""
