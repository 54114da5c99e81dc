"""The rules that moderators wrote: those that hold or mark spam come first, those that trust come late."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moderate.checks.base import ALL_KINDS
from moderate.i18n import Message
from moderate.model import Finding, Lean
from moderate.rules.match import is_below, matches, reading_of
from moderate.web_address import host_of

if TYPE_CHECKING:
    from moderate.checks.base import Facts
    from moderate.model import Item, Submission
    from moderate.ports import Rule

#: What a rule names, by its kind.
KINDS = {
    "word": Message("the word “{value}”"),
    "host": Message("an address at “{value}”"),
    "email": Message("the e-mail “{value}”"),
    "ip": Message("the network “{value}”"),
}


class Rules:
    """Spam or held by a moderator's rule. Of several that match, the hardest speaks; nothing is averaged."""

    name = "rules"
    version = 1
    remote = False
    kinds = ALL_KINDS
    needs = "rules"

    def look(self, submission: Submission, facts: Facts) -> Finding | None:
        if facts.services.rules is None:
            return None
        rules = [rule for rule in facts.services.rules.active() if rule.effect != "trust"]
        if not rules:
            return None
        written = reading_of(submission)
        hit = [(rule, what) for rule in rules if (what := matches(rule, written))]
        if not hit:
            return None
        rule, what = next(((rule, what) for rule, what in hit if rule.effect == "spam"), hit[0])
        return Finding(self.name, Lean.SPAM if rule.effect == "spam" else Lean.HOLD, words(rule, what), rule=rule.id)


class TrustRules:
    """Trusted by a moderator's rule, where what the rule names is proven.

    An address of the network and a word are as they are. An e-mail counts only for an author whom
    the host has verified, or who has confirmed it, because anybody can type one. A host counts for
    pings alone, whose source has been read before this check, and from that host in the end: a trusted
    site that redirects to wherever it is told has not written that. A link in a comment says nothing
    about who wrote it.
    """

    name = "trust-rules"
    version = 2
    remote = False
    kinds = ALL_KINDS
    needs = "rules"

    def look(self, submission: Submission, facts: Facts) -> Finding | None:
        if facts.services.rules is None:
            return None
        rules = [rule for rule in facts.services.rules.active() if rule.effect == "trust"]
        if not rules:
            return None
        written = reading_of(submission)
        read_from = facts.source.read_from if facts.source else ""
        for rule in rules:
            what = matches(rule, written)
            if what and is_proven(rule, submission, read_from):
                return Finding(self.name, Lean.TRUST, words(rule, what), rule=rule.id)
        return None


def is_proven(rule: Rule, submission: Submission | Item, read_from: str) -> bool:
    """Whether the sender cannot simply have claimed what the rule trusts. *read_from* is where a ping's page lay."""
    if rule.kind == "email":
        return submission.author_id is not None
    if rule.kind == "host":
        trusted = host_of(rule.value)
        places = (submission.source_url or "", read_from)
        return submission.kind.is_ping and all(is_below(host_of(place), trusted) for place in places)
    return True


def words(rule: Rule, what: str) -> Message:
    """Say which rule matched, what in the text it matched, and the moderator's own note."""
    told = Message(KINDS[rule.kind].id, value=rule.value)
    if what != rule.value:
        told = Message("{rule} (here: “{found}”)", rule=told, found=what[:80])
    if not rule.note:
        return Message("a moderator's rule: {rule}", rule=told)
    return Message("a moderator's rule: {rule} – {note}", rule=told, note=rule.note)
