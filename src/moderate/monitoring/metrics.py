"""``GET /metrics``: numbers for Prometheus, read from the database at each request, so that all processes agree.

Only how long checks take, what they find and the limiter's outages are known to this process alone;
their names begin with ``moderate_process_``. prometheus-client is imported when first asked.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from flask import Response

from moderate.checks.base import TIMING_BOUNDS, Timings
from moderate.http.answers import NoSuchPage
from moderate.http.operation import PLAIN, Operation, Reply
from moderate.http.state import State, current_state
from moderate.model import COUNTERS, Kind, Status
from moderate.moderation.access import moderator
from moderate.tasks.housekeeping import retention_lag

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask.typing import ResponseReturnValue
    from prometheus_client import CollectorRegistry
    from prometheus_client.metrics_core import Metric

#: By the values of the labels; the empty tuple for a number without any.
Numbers = Mapping[Any, float]

MISSING = "Install flask-moderate[metrics] to have metrics."


@Operation(
    "GET",
    "/metrics",
    "metrics",
    "Numbers for Prometheus; who may read them is MODERATE_METRICS",
    replies=(Reply(200, "In Prometheus' text format.", types=(PLAIN,)),),
    problems=("not-found",),
    is_for_moderators=True,
)
def metrics() -> ResponseReturnValue:
    state = current_state()
    if state.settings.metrics == "off":
        raise NoSuchPage
    if state.settings.metrics == "moderators":
        moderator(state)
    try:
        from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
    except ImportError:
        raise NoSuchPage(MISSING) from None
    response = Response(generate_latest(registry()), content_type=CONTENT_TYPE_LATEST)
    response.headers["Cache-Control"] = "no-store"
    return response


@functools.cache
def registry() -> CollectorRegistry:
    """Return a registry apart from the host's, so that no names clash; its collector reads the current app."""
    from prometheus_client import CollectorRegistry

    # Not described ahead: that would read the database when there may be none yet.
    made = CollectorRegistry(auto_describe=False)
    made.register(Collector())
    return made


class Collector:
    """A custom collector of prometheus-client: asked anew at each request."""

    def collect(self) -> Iterator[Metric]:
        state = current_state()
        yield from standing(state)
        yield from done(state)
        yield from of_this_process(state)


def standing(state: State) -> Iterator[Metric]:
    """Yield the current state, read from counters and not counted."""
    store, now = state.desk.store, state.desk.clock.now()
    whole = store.overview()
    numbers = {
        (kind.value, status.value): getattr(whole.totals, COUNTERS[kind, status]) for kind in Kind for status in Status
    }
    yield gauge("moderate_items", "Items by kind and status.", ("kind", "status"), numbers)
    oldest = whole.waiting_since
    waited = max(0.0, (now - oldest).total_seconds()) if oldest else 0.0
    yield single("moderate_oldest_waiting_seconds", "How long the oldest item has waited for a moderator.", waited)
    yield single("moderate_task_lag_seconds", "How late the oldest due task is.", whole.lag(now))
    yield single("moderate_tasks_given_up", "Tasks that wait for a person, up to 100.", whole.given_up)
    yield single(
        "moderate_retention_lag_seconds", "How overdue the removal of what is old is.", retention_lag(state.desk)
    )
    recount = store.states.get("recount")
    if recount is not None:
        told = "Rows of counters that the last recount found wrong."
        yield single("moderate_counters_drifted", told, recount.value["drifted"])
        when = recount.at.timestamp()
        yield single("moderate_last_recount_timestamp_seconds", "When the last recount was.", when)


def done(state: State) -> Iterator[Metric]:
    """Yield the counts since the beginning, from the history, once a long one has been counted by a worker."""
    counted = state.desk.store.tallies.total()
    if counted is None:
        return
    yield counter("moderate_verdicts", "Where which check has put items.", ("check", "status"), counted.verdicts)
    yield counter(
        "moderate_decisions", "What moderators decided and undid.", ("act", "before", "after"), counted.decisions
    )
    yield counter(
        "moderate_overrides",
        "Items that a moderator took from where a check had put them.",
        ("check", "before", "after"),
        counted.overrides,
    )


def of_this_process(state: State) -> Iterator[Metric]:
    """Yield the numbers that only this process has, since its start."""
    limits = state.desk.limits
    seen = {(): limits.outages}
    yield counter("moderate_process_limiter_outages", "Outages of the limiter that this process saw.", (), seen)
    yield single("moderate_process_limiter_away", "Whether the limiter is away now.", limits.outage is not None)
    timings = state.desk.services.timings
    if timings is not None:
        told = "What checks found when this process asked them."
        yield counter("moderate_process_findings", told, ("check", "lean"), timings.findings())
        yield histogram(timings)


def single(name: str, told: str, number: float) -> Metric:
    return gauge(name, told, (), {(): number})


def gauge(name: str, told: str, labels: tuple[str, ...], numbers: Numbers) -> Metric:
    from prometheus_client.core import GaugeMetricFamily

    return filled(GaugeMetricFamily(name, told, labels=labels), numbers)


def counter(name: str, told: str, labels: tuple[str, ...], numbers: Numbers) -> Metric:
    """Return a counter; ``_total`` is added to its name."""
    from prometheus_client.core import CounterMetricFamily

    return filled(CounterMetricFamily(name, told, labels=labels), numbers)


def filled(family: Any, numbers: Numbers) -> Metric:
    for values, number in sorted(numbers.items()):
        family.add_metric(values, number)
    metric: Metric = family
    return metric


def histogram(timings: Timings) -> Metric:
    from prometheus_client.core import HistogramMetricFamily

    told = "How long checks took when this process asked them."
    family = HistogramMetricFamily("moderate_process_check_seconds", told, labels=("check",))
    for check, timing in sorted(timings.timings().items()):
        bounds = [*(str(bound) for bound in TIMING_BOUNDS), "+Inf"]
        buckets = list(zip(bounds, accumulate(timing.counts), strict=True))
        family.add_metric((check,), buckets, timing.seconds)
    return family
