"""The signs and scripts for which a submission waits under the premoderation "links"."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING

from moderate.i18n import Message
from moderate.text.signs import Sign, signs_of
from moderate.text.similarity import TAG, scripts_of

if TYPE_CHECKING:
    from moderate.model import Body, Submission
    from moderate.ports import Clock, Earlier

#: The number of public items from which on a script that none of them has is new to the site.
ENOUGH = 36
#: The number of public items that are looked at, the newest ones.
NEWEST = 1000
#: Seconds after which an unknown script is looked up again, and all scripts are.
AGAIN, LASTS = 3.0, 600.0

#: Characters that tags, entities and Markdown begin with: what people see differs from what was typed.
MARKUP = re.compile(r"[<&`\\*_~\[]")
#: Where one line ends for readers.
LINE_END = re.compile("<br>|</(?:p|li|pre|blockquote)>")


def why_it_waits(submission: Submission, scripts: PublicScripts | None) -> Message | None:
    """Return why a submission waits for a moderator, in words; None where it may be public at once."""
    if submission.kind.is_ping:
        return Message("a ping is a link to another site")
    text = submission.body.raw
    # With the values that the learned filter passes, whose result is kept.
    found = {*signs_of(text, submission.url or "")}
    if submission.body.links:
        # What the cleaner has made a link of.
        found.add(Sign.LINK)
    if MARKUP.search(text):
        # A tag inside an address hides it from nobody, and the filter's exception for code is none for a link.
        found |= {*signs_of(shown_in(submission.body))} & {Sign.LINK, Sign.CONTACT}
    # People do write their names in other letters.
    found.update({*signs_of(submission.author)} - {Sign.DISGUISE})
    if found:
        return Message("it carries {what}", what=[sign.label for sign in Sign if sign in found])
    if scripts is not None and (new := scripts.new_in(text)):
        return Message("no public item is in this script: {names}", names=", ".join(sorted(map(str.capitalize, new))))
    return None


def shown_in(body: Body) -> str:
    """Return the text that people see, without backticks, so that none of it is read as code."""
    return html.unescape(TAG.sub("", LINE_END.sub("\n", body.html))).replace("`", "")


class PublicScripts:
    """The scripts of the newest public items, as far as this process has read them.

    Nothing is counted when items become public, so that imports, undone decisions and other processes need no care: the
    texts are read where a submission has a script that was not among them lately.
    """

    def __init__(self, earlier: Earlier, clock: Clock) -> None:
        self._earlier = earlier
        self._clock = clock
        #: The scripts, None while there are too few items, and when they were read (monotonic seconds).
        self._known: tuple[frozenset[str] | None, float] = (None, float("-inf"))

    def new_in(self, text: str) -> frozenset[str]:
        """Return the scripts of *text* that no public item has; none while there are fewer items than `ENOUGH`."""
        scripts, now = scripts_of(text), self._clock.monotonic()
        known, read_at = self._known
        is_known = known is not None and scripts <= known
        if scripts and now >= read_at + (LASTS if is_known else AGAIN):
            texts = self._earlier.newest_public(NEWEST)
            known = None if len(texts) < ENOUGH else frozenset[str]().union(*map(scripts_of, texts))
            self._known = (known, now)
        return frozenset() if known is None else scripts - known
