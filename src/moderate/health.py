"""Whether what we depend on works, and what to do where it does not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from moderate.account import ALERT, BAD_KEY
from moderate.errors import ServiceDown

if TYPE_CHECKING:
    from collections.abc import Callable

    from moderate.web.state import State


@dataclass(frozen=True, slots=True)
class Part:
    """One thing that we depend on. `state` is one word or a short phrase, `advice` a sentence."""

    name: str
    state: str
    is_well: bool
    advice: str = ""


def examine(state: State) -> list[Part]:
    """Ask everything that we depend on, one after the other; each answers within its own time-out."""
    return [asked(name, look, state) for name, look in PARTS]


def asked(name: str, look: Callable[[State], Part], state: State) -> Part:
    try:
        return look(state)
    except ServiceDown as error:
        return Part(name, error.reason or "down", False, ADVICE[name])


def database(state: State) -> Part:
    if not state.tables.is_current():
        return Part("database", "outdated", False, "Run: flask moderate db upgrade")
    return Part("database", "ok", True)


def redis(state: State) -> Part:
    limiter = state.redis
    if limiter is None:
        return Part("redis", "not used", True, "Limits hold for each process; set MODERATE_REDIS_URL for several.")
    limiter.ping()
    return Part("redis", "ok", True, f"{limiter.describe()} {' '.join(limiter.advice())}".strip())


def akismet(state: State) -> Part:
    service = state.desk.services.spam
    if service is None:
        return Part("akismet", "not used", True, "Set MODERATE_AKISMET_KEY to ask Akismet.")
    if not service.verify():
        return Part("akismet", "key refused", False, "Check MODERATE_AKISMET_KEY and the site's address.")
    # A refused key is no news where the service has just taken it.
    said = [note for note in state.desk.account.all() if note.topic != BAD_KEY]
    advice = " ".join(f"{note.text} ({note.at:%Y-%m-%d %H:%M} UTC)." for note in said)
    return Part("akismet", "ok, with a warning" if any(note.topic == ALERT for note in said) else "ok", True, advice)


def tasks(state: State) -> Part:
    """Work that waits for longer than a few minutes means that no worker runs.

    Tasks that were given up are told, but nothing is ill because of them: a person has to look.
    """
    lag = state.desk.store.task_lag(state.desk.clock.now())
    given_up = len(state.desk.store.dead_tasks())
    if lag > LAG:
        return Part("tasks", f"{lag:.0f} s behind", False, "Is a worker running? See: flask moderate worker")
    if given_up:
        return Part("tasks", f"ok, {given_up} given up", True, "See: flask moderate tasks dead")
    return Part("tasks", "ok", True)


#: Seconds by which the oldest due task may be late.
LAG = 300.0

PARTS: tuple[tuple[str, Callable[[State], Part]], ...] = (
    ("database", database),
    ("redis", redis),
    ("akismet", akismet),
    ("tasks", tasks),
)

ADVICE = {
    "database": "Check MODERATE_DATABASE_URL and that the server runs.",
    "redis": "Check MODERATE_REDIS_URL and that the server runs; until then MODERATE_LIMITER_OUTAGE holds.",
    "akismet": "Items wait until it answers; nothing is published meanwhile.",
    "tasks": "The database does not answer.",
}
