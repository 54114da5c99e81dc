"""What a check is, what it may know, and how all of them together give a verdict."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from moderate.errors import ServiceDown
from moderate.i18n import Message
from moderate.lifecycle import Premoderation, outcome
from moderate.model import Article, Finding, Item, Kind, Lean, Submission, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from moderate.akismet.values import SpamAnswer, SpamSample
    from moderate.checks.timings import Timings
    from moderate.outbound.fetch import GuardedFetcher
    from moderate.ports import Clock, Earlier, Rules, SpamService, TokenCounts
    from moderate.settings import Settings
    from moderate.waves.sql import Wave

log = logging.getLogger("moderate")

ALL_KINDS = frozenset(Kind)
COMMENTS = frozenset({Kind.COMMENT})
PINGS = ALL_KINDS - COMMENTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What some checks need besides the store; None where the site has none of it."""

    rules: Rules | None = None
    tokens: TokenCounts | None = None
    spam: SpamService | None = None
    #: Reads the pages that pings name; None where these are not to be verified.
    fetcher: GuardedFetcher | None = None
    #: Notes how long checks take and what they find.
    timings: Timings | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceLook:
    """The result of reading the page that a ping names."""

    #: The reason, for moderators, that the page could not be read; empty where it was read.
    trouble: str = ""
    #: True where the page says of itself that it is deleted.
    is_gone: bool = False
    links_here: bool = False
    #: The number of addresses of other hosts that the page links to.
    outgoing_links: int = 0
    #: The address that the page was read from in the end, behind all redirects; empty where it was not read.
    read_from: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What checks may know besides the submission.

    `item_id` is None while the item is still to be stored. `is_edit` and `is_recheck` tell why a
    known item is looked at again.
    """

    article: Article
    premoderation: Premoderation
    now: datetime
    clock: Clock
    earlier: Earlier
    settings: Settings
    services: Services = Services()
    #: What the spam service was or will be asked, fixed when the item came in; None to make it now.
    sample: SpamSample | None = None
    #: What the spam service said to this look, its failures too; for who keeps samples and watches the account.
    heard: list[SpamAnswer | ServiceDown] = field(default_factory=list)
    #: What was seen at the page that a ping names; None until a task has looked.
    source: SourceLook | None = None
    #: Shared budgets that were used up when the submission came in; see `moderate.limits.rates.Taken`.
    crowded: tuple[str, ...] = ()
    #: The spam wave that goes on, None while there is none.
    wave: Wave | None = None
    item_id: int | None = None
    is_edit: bool = False
    is_recheck: bool = False


#: The name of the check of the hidden field.
HONEYPOT = "honeypot"

#: Checks that hold because of what else comes in, and not because of the item.
OF_THE_SITE = frozenset({"crowd", "wave"})


class Check(Protocol):
    """One question about a submission. A check reads and never writes.

    `name` is stable and shown to moderators. `version` grows when the check learns to answer
    differently. `remote` says that `look` waits on another server: such a check runs as a task,
    never inside a request. `kinds` are the ways in that it has something to say about.
    """

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> int: ...

    @property
    def remote(self) -> bool: ...

    @property
    def kinds(self) -> frozenset[Kind]: ...

    def look(self, submission: Submission, facts: Facts) -> Finding | None:
        """The finding, or None where there is nothing to say."""


def judge(submission: Submission, facts: Facts, checks: Iterable[Check], *, remote: bool) -> Verdict:
    """Ask the checks in order until one of them is certain. Never raises.

    Without `remote`, a check that waits on another server is noted as not asked yet, which holds
    the item until a task has asked it.
    """
    findings: list[Finding] = []
    passed: list[str] = []
    asked = iter([check for check in checks if submission.kind in check.kinds])
    for check in asked:
        if check.remote and not remote:
            findings.append(Finding(check.name, Lean.UNSURE, "not asked yet", version=check.version, at=facts.now))
            continue
        finding = ask(check, submission, facts)
        if finding is None:
            passed.append(check.name)
            continue
        findings = weighed([*findings, finding])
        if any(finding.lean.is_certain for finding in findings):
            break
    # What is left of the checks is what a certain finding made needless.
    certain = [found for found in findings if found.lean.is_certain]
    skipped = [(check.name, certainty(certain[0])) for check in asked]
    return verdict_of(findings, passed, facts.premoderation, skipped)


#: The words for a certain lean, behind the name of the check.
CERTAIN = {Lean.TRUST: Message("trust"), Lean.SPAM: Message("spam"), Lean.DISCARD: Message("discard")}


def certainty(finding: Finding) -> Message:
    """Return why the checks after a certain finding were not asked."""
    return Message("{check} was certain ({lean})", check=finding.check, lean=CERTAIN[finding.lean])


def weighed(findings: Iterable[Finding]) -> list[Finding]:
    """Return *findings*, with a filled honeypot as spam where another check holds the same item.

    Alone it may be the work of a form filler in a browser. How busy the site is says nothing of the item.
    """
    known = list(findings)
    held = {finding.check for finding in known if finding.lean is Lean.HOLD}
    if HONEYPOT not in held or not held - {HONEYPOT, *OF_THE_SITE}:
        return known
    return [replace(finding, lean=Lean.SPAM) if finding.check == HONEYPOT else finding for finding in known]


def verdict_of(
    findings: Iterable[Finding],
    passed: Iterable[str],
    premoderation: Premoderation,
    skipped: Iterable[tuple[str, str]] = (),
) -> Verdict:
    """The verdict that follows from what the checks said."""
    kept = tuple(weighed(findings))
    status, awaiting = outcome(kept, premoderation)
    discard = any(finding.lean is Lean.DISCARD for finding in kept)
    return Verdict(status, awaiting, kept, tuple(passed), discard, tuple(skipped))


def judge_anew(item: Item, submission: Submission, facts: Facts, checks: Iterable[Check], *, remote: bool) -> Verdict:
    """Judge a stored item again. What the checks of the moment said when it came in stays: no hold gets lost."""
    everyone = tuple(checks)
    verdict = judge(submission, facts, [check for check in everyone if not is_momentary(check)], remote=remote)
    names = {check.name for check in everyone if is_momentary(check)}
    said = [finding for finding in item.findings if finding.check in names]
    passed = [name for name in item.passed if name in names]
    findings = [*said, *verdict.findings]
    return verdict_of(findings, [*passed, *verdict.passed], facts.premoderation, verdict.skipped)


def is_momentary(check: Check) -> bool:
    """Whether the check looks at what only the request knows, and so cannot be asked again by a task.

    Such a check says so by ``momentary = True``; what it said when the item came in stays.
    """
    return bool(getattr(check, "momentary", False))


def ask(check: Check, submission: Submission, facts: Facts) -> Finding | None:
    """Ask one check. An outage or a bug becomes "could not tell", which holds and never publishes."""
    started = facts.clock.monotonic()
    try:
        finding = check.look(submission, facts)
    except ServiceDown as error:
        finding = Finding(check.name, Lean.UNSURE, str(error))
    except Exception as error:
        # A host's check may raise anything, and the item must neither get lost nor slip through.
        log.exception("The check %r failed; the item is held.", check.name, extra={"moderate_check": check.name})
        reason = Message("the check failed ({error})", error=type(error).__name__)
        finding = Finding(check.name, Lean.UNSURE, reason)
    took = facts.clock.monotonic() - started
    if facts.services.timings is not None:
        facts.services.timings.asked(check.name, took, finding)
    if finding is None:
        return None
    return replace(finding, check=check.name, version=check.version, took_ms=round(took * 1000, 3), at=facts.now)
