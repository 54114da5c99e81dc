"""The checks of pings: for signs of spam before their source is read, and for its link to the article."""

from __future__ import annotations

import re
from functools import reduce
from typing import TYPE_CHECKING

from moderate.checks.base import PINGS, CheckDefaults, Facts
from moderate.i18n import Message
from moderate.model import Finding, Lean, Submission
from moderate.text.similarity import plain
from moderate.web_address import read

if TYPE_CHECKING:
    from collections.abc import Iterator


DECORATION = re.compile(r"[\s\[\]().…:;,!|\-–—]+")
TEMPLATE = re.compile(
    r"^(?:trackback"
    r"|(?:here |there )?(?:(?:you can|you will|find|read|click|more) )*(?:find|read|click|more)(?: \w+){0,3}"
    r" (?:info|infos|information|informations|here|on that topic|to that topic|that topic)\b.*)$"
)
#: The longest excerpt that can be nothing but a template's words.
TEMPLATE_LENGTH = 160


class PingSignals(CheckDefaults):
    """Holds a ping that looks as if a program made it; two signs together are spam.

    Signs: the blog's name is the post's title, the excerpt is a stock phrase of trackback programs or contains links,
    the source's host name consists of keywords.
    """

    name = "ping-signals"
    kinds = PINGS

    def look(self, submission: Submission, facts: Facts) -> Finding | None:
        found = list(signs(submission))
        if not found:
            return None
        lean = Lean.SPAM if len(found) > 1 else Lean.HOLD
        reason = reduce(lambda sign, further: Message("{sign}; {further}", sign=sign, further=further), found)
        return Finding(self.name, lean, reason, score=float(len(found)))


def signs(submission: Submission) -> Iterator[Message]:
    """Yield each sign that there is, in words."""
    title, blog = core(submission.title or ""), core(submission.blog_name or "")
    if title and title == blog:
        yield Message("the blog's name is the post's title")
    if is_template(submission.body.raw):
        yield Message("the excerpt is a stock phrase of trackback programs")
    if len(submission.body.links) > 1 or "[url" in submission.body.raw.lower():
        yield Message("the excerpt carries links of its own")
    source = read(submission.source_url or "")
    host = source.typed_host.lower() if source else ""
    if host.count("-") >= 3:
        yield Message("the source's name is strung together from keywords ({host})", host=host)


def core(text: str) -> str:
    """Return *text* without brackets, punctuation and case."""
    return DECORATION.sub(" ", plain(text)).strip()


def is_template(excerpt: str) -> bool:
    """Return True if the excerpt is nothing but "[Trackback]" or "[…] More Info here […]"."""
    return len(excerpt) <= TEMPLATE_LENGTH and bool(TEMPLATE.match(core(re.sub(r"\d+", " ", excerpt))))


class SourceLink(CheckDefaults):
    """Marks a ping as spam if its source was read and does not link here, and holds it while it cannot be read.

    The page is read by a task (`moderate.tasks.run`); this check only says what the result means. A source that is
    blocked, refuses, or is missing reads the same here: none of them tells more than another.
    """

    name = "source-link"
    remote = True
    kinds = PINGS
    needs = "fetcher"

    def look(self, submission: Submission, facts: Facts) -> Finding | None:
        source = facts.source
        if source is None:
            return Finding(self.name, Lean.UNSURE, "the page was not looked at yet")
        if source.trouble:
            return Finding(
                self.name, Lean.UNSURE, Message("the page could not be read: {why}", why=Message.of(source.trouble))
            )
        if source.links_here:
            return None
        lean = Lean.SPAM if facts.settings.verify_pings == "required" else Lean.HOLD
        if source.is_gone:
            return Finding(self.name, lean, "the page says that it was deleted")
        return Finding(self.name, lean, "the page does not link to the article")
