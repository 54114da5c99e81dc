"""The interface of checks, their facts and statistics, and the judge that makes one verdict of their findings."""

from __future__ import annotations

import logging
import threading
from bisect import bisect_left
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from moderate.checks.premoderation import why_it_waits
from moderate.errors import ServiceDown
from moderate.i18n import Message
from moderate.lifecycle import Premoderation, outcome
from moderate.model import Article, Finding, Item, Kind, Lean, Submission, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime, timedelta

    from moderate.checks.premoderation import PublicScripts
    from moderate.outbound.fetch import GuardedFetcher
    from moderate.ports import Clock, Earlier, Rules, SpamSample, SpamService, TokenCounts
    from moderate.settings import Settings
    from moderate.text.similarity import Alike
    from moderate.waves.sql import Wave

log = logging.getLogger("moderate")

ALL_KINDS = frozenset(Kind)
COMMENTS = frozenset({Kind.COMMENT})
PINGS = ALL_KINDS - COMMENTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Services that some checks need besides the store; None where the site has none."""

    rules: Rules | None = None
    tokens: TokenCounts | None = None
    spam: SpamService | None = None
    #: Returns what reads the pages that pings name, made with the first one; None where these are not verified.
    fetcher: Callable[[], GuardedFetcher] | None = None
    #: The scripts that public items are written in.
    scripts: PublicScripts | None = None
    #: Counts how long checks take and what they find.
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
    """Facts for checks besides the submission.

    `item_id` is None while the item is not stored yet. `is_edit` and `is_recheck` are true where a stored item is
    checked again because of an edit, or by a task.
    """

    article: Article
    premoderation: Premoderation
    now: datetime
    clock: Clock
    earlier: Earlier
    settings: Settings
    services: Services = Services()
    #: The sample for the spam service, fixed when the item came in; None to make it now.
    sample: SpamSample | None = None
    #: The result of reading the page that a ping names; None until a task has read it.
    source: SourceLook | None = None
    #: Shared budgets that were used up when the submission came in; see `moderate.limits.rates.Taken`.
    crowded: tuple[str, ...] = ()
    #: The current spam wave, if there is one.
    wave: Wave | None = None
    #: The items with nearly the same text, where they were looked up together with the article.
    alike: Sequence[Alike] | None = None
    item_id: int | None = None
    is_edit: bool = False
    is_recheck: bool = False


class Check(Protocol):
    """One question about a submission. A check reads and never writes.

    `name` is stable and shown to moderators. Raise `version` when the check starts to answer differently. A `remote`
    check waits for another server in `look`; it runs in a task, never in a request. `kinds` are the kinds of
    submissions that it is asked about.
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
        """Return the finding, or None where the check finds nothing."""


class CheckDefaults:
    """The common values of a check's attributes, for checks that inherit them; a check need not."""

    version = 1
    remote = False
    kinds = ALL_KINDS
    #: True for a check of something that only the request has. A task does not repeat it, and keeps its finding.
    momentary = False
    #: For how long after an item came in the answer about it follows from decisions and rules of moderators, so that it
    #: is asked again after these while the item waits; None where it does not. See `moderate.tasks.anew`.
    follows: timedelta | None = None
    #: The field of `Services` without which the check is left out; None where it needs none.
    needs: str | None = None


# --- statistics -----------------------------------------------------------------------------------

#: The upper bounds of the histograms in seconds: from a comparison in memory to a service that is slow.
TIMING_BOUNDS = (0.0001, 0.001, 0.005, 0.025, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0)


@dataclass(slots=True)
class Timing:
    """The histogram of one check: the number of calls below each bound (the last one above all), and their total."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(TIMING_BOUNDS) + 1))
    seconds: float = 0.0


class Timings:
    """Statistics of the checks in this process: how long they take and what they find.

    Thread-safe. A forked process goes on from the numbers of its parent.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._timings: dict[str, Timing] = {}
        self._findings: dict[tuple[str, str], int] = {}

    def asked(self, calls: Iterable[tuple[str, float, Finding | None]]) -> None:
        """Count calls of checks: for each the check's name, the seconds that it took, and what it found."""
        with self._lock:
            for check, seconds, finding in calls:
                lean = finding.lean.value if finding else "passed"
                timing = self._timings.get(check)
                if timing is None:
                    timing = self._timings[check] = Timing()
                timing.counts[bisect_left(TIMING_BOUNDS, seconds)] += 1
                timing.seconds += seconds
                self._findings[check, lean] = self._findings.get((check, lean), 0) + 1

    def timings(self) -> Mapping[str, Timing]:
        """Return a copy of the histograms, by check."""
        with self._lock:
            return {check: Timing(list(timing.counts), timing.seconds) for check, timing in self._timings.items()}

    def findings(self) -> Mapping[tuple[str, str], int]:
        """Return how often each check found what, by check and lean; the lean is "passed" where it found nothing."""
        with self._lock:
            return dict(self._findings)


# --- the judge ------------------------------------------------------------------------------------

#: The name of the check of the hidden field.
HONEYPOT = "honeypot"
#: Checks that hold because of the traffic on the site or of a setting: they say nothing against the item.
NO_EVIDENCE = frozenset({"crowd", "wave", "premoderation"})
#: The leans after which no further check is asked, in words.
CERTAIN = {Lean.TRUST: Message("trust"), Lean.SPAM: Message("spam"), Lean.DISCARD: Message("discard")}


class Carried(CheckDefaults):
    """Holds what carries a link, an author's address, a contact or a script that is new to the site."""

    name = "premoderation"

    def look(self, submission: Submission, facts: Facts) -> Finding | None:
        reason = why_it_waits(submission, facts.services.scripts)
        return None if reason is None else Finding(self.name, Lean.HOLD, reason)


#: What a premoderation asks after all checks, whatever checks a host has: where one of them trusts, it is not asked.
ASKED_UNDER: Mapping[Premoderation, tuple[Check, ...]] = {"links": (Carried(),)}


def judge(submission: Submission, facts: Facts, checks: Iterable[Check], *, remote: bool) -> Verdict:
    """Ask the checks in order until one of them is certain, and return the verdict. Never raises.

    Without *remote*, a check that waits for another server is listed as not asked yet, which holds the item until
    a task asks it.
    """
    findings: list[Finding] = []
    passed: list[str] = []
    skipped: list[tuple[str, str]] = []
    certain: Finding | None = None
    calls: list[tuple[str, float, Finding | None]] = []
    clock = facts.clock.monotonic
    at = clock()
    for check in (*checks, *ASKED_UNDER.get(facts.premoderation, ())):
        if submission.kind not in check.kinds:
            continue
        if certain is not None:
            lean = CERTAIN[certain.lean]
            skipped.append((check.name, Message("{check} was certain ({lean})", check=certain.check, lean=lean)))
        elif check.remote and not remote:
            findings.append(Finding(check.name, Lean.UNSURE, "not asked yet", version=check.version, at=facts.now))
        else:
            finding = ask(check, submission, facts)
            before, at = at, clock()
            calls.append((check.name, at - before, finding))
            if finding is None:
                passed.append(check.name)
            else:
                took = round((at - before) * 1000, 3)
                noted = replace(finding, check=check.name, version=check.version, took_ms=took, at=facts.now)
                findings = weighed([*findings, noted])
                certain = next((one for one in findings if one.lean in CERTAIN), None)
    if facts.services.timings is not None:
        facts.services.timings.asked(calls)
    return verdict_of(findings, passed, facts.premoderation, skipped)


def weighed(findings: list[Finding]) -> list[Finding]:
    """Return *findings*, with a filled honeypot as spam where another check holds the same item.

    Alone it may be the work of a form filler in a browser. Checks in `NO_EVIDENCE` do not count as another one.
    """
    trap = other = None
    for finding in findings:
        if finding.lean is Lean.HOLD and finding.check == HONEYPOT:
            trap = finding
        elif finding.lean is Lean.HOLD and finding.check not in NO_EVIDENCE:
            other = finding
    if trap is None or other is None:
        return findings
    spam = replace(trap, lean=Lean.SPAM)
    return [spam if finding is trap else finding for finding in findings]


def verdict_of(
    findings: list[Finding],
    passed: Sequence[str],
    premoderation: Premoderation,
    skipped: Sequence[tuple[str, str]] = (),
) -> Verdict:
    """Return the verdict that follows from the findings of checks, and from the names of those that found nothing."""
    final = weighed(findings)
    leans = {finding.lean for finding in final}
    status, awaiting = outcome(leans, premoderation)
    return Verdict(status, awaiting, tuple(final), tuple(passed), Lean.DISCARD in leans, tuple(skipped))


def judge_anew(item: Item, submission: Submission, facts: Facts, checks: Sequence[Check], *, remote: bool) -> Verdict:
    """Judge a stored item again. The findings of momentary checks stay as they were when the item came in."""
    momentary = {check.name for check in checks if getattr(check, "momentary", False)}
    verdict = judge(submission, facts, [check for check in checks if check.name not in momentary], remote=remote)
    findings = [finding for finding in item.findings if finding.check in momentary]
    passed = [name for name in item.passed if name in momentary]
    return verdict_of([*findings, *verdict.findings], [*passed, *verdict.passed], facts.premoderation, verdict.skipped)


def ask(check: Check, submission: Submission, facts: Facts) -> Finding | None:
    """Ask one check. An outage or a bug becomes an uncertain finding, which holds the item."""
    try:
        return check.look(submission, facts)
    except ServiceDown as error:
        return Finding(check.name, Lean.UNSURE, str(error))
    except Exception as error:
        # A host's check may raise anything, and the item must neither get lost nor slip through.
        log.exception("The check %r failed; the item is held.", check.name, extra={"moderate_check": check.name})
        reason = Message("the check failed ({error})", error=type(error).__name__)
        return Finding(check.name, Lean.UNSURE, reason)
