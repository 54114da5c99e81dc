"""Sites that send mails to their moderators, and helpers for what a moderator does with a mail."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moderate.tasks import anew
from tests.sites import Host
from tests.tasks import next_due, run_due

if TYPE_CHECKING:
    from pathlib import Path

MORI = {"name": "Mori", "email": "mori@mail.example"}
NAO = {"name": "Nao", "email": "nao@mail.example"}


def a_site(folder: Path, port: int, *to: Any, **config: Any) -> Host:
    """A site whose mails go to a server on this machine."""
    return Host(
        folder,
        **{
            "MODERATE_LIMITS": {},
            "MODERATE_SITE_URL": "http://localhost",
            "MODERATE_MAIL_SERVER": "127.0.0.1",
            "MODERATE_MAIL_PORT": port,
            "MODERATE_MAIL_SECURITY": "none",
            "MODERATE_MAIL_FROM": "News <news@mail.example>",
            "MODERATE_MAIL_TO": list(to or [MORI]),
            **config,
        },
    )


def work(site: Host) -> int:
    """Do all that is due; returns how many tasks were taken."""
    done = 0
    with site.app.app_context():
        while run_due(site.state.desk):
            done += 1
    return done


def dead(site: Host) -> list[Any]:
    with site.app.app_context():
        return list(site.state.desk.store.tasks.dead())


def open_tasks(site: Host) -> bool:
    """Return whether a task is open, but for the one that judges anew what waits some seconds after a decision."""
    with site.app.app_context():
        return next_due(site.state.desk.store.tasks, but=anew.KIND) is not None


def stands(site: Host, number: int) -> dict[str, Any]:
    found: dict[str, Any] = site.client.get(f"/discuss/moderation/items/{number}", headers=site.token()).json
    return found
