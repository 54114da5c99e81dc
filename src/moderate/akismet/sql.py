"""Notes about the site's account at a service, in SQL."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import and_, delete, select, update

from moderate.database.schema import account_notes as notes
from moderate.database.statements import insert_unless_there
from moderate.i18n import from_text, to_text

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from sqlalchemy.engine import Connection

    from moderate.database.engine import Database

#: Seconds within which an unchanged note is not written again: each answer may bring it.
AGAIN = 60


class AccountNote(NamedTuple):
    """A note about the account on one topic: "alert", "bad-key", "usage" or "scarce"."""

    topic: str
    text: str
    at: datetime


class AccountNotes:
    """The last words on each topic, the same for all processes. Failures raise `ServiceDown`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keep(self, topic: str, text: str, now: datetime, *, quiet: float) -> bool:
        """Store the latest word on a topic. Return whether to notify people: none were for *quiet* seconds."""
        text = to_text(text)
        with self._database.read() as conn:
            known = conn.execute(select(notes).where(notes.c.topic == topic)).first()
        is_due = known is None or known.told_at <= now - timedelta(seconds=quiet)
        if known and not is_due and known.text == text and now - known.at < timedelta(seconds=AGAIN):
            return False
        return self._database.transaction(lambda conn: self._write(conn, topic, text, now, quiet))

    def _write(self, conn: Connection, topic: str, text: str, now: datetime, quiet: float) -> bool:
        row = {"topic": topic, "text": text, "at": now, "told_at": now}
        if conn.execute(insert_unless_there(self._database.dialect, notes, "topic"), row).rowcount:
            return True
        here = notes.c.topic == topic
        is_due = and_(here, notes.c.told_at <= now - timedelta(seconds=quiet))
        told = conn.execute(update(notes).where(is_due).values(told_at=now)).rowcount > 0
        conn.execute(update(notes).where(here).values(text=text, at=now))
        return told

    def drop(self, topics: Collection[str]) -> None:
        """Delete topics about which the service says nothing any more."""
        gone = delete(notes).where(notes.c.topic.in_(list(topics)))
        self._database.transaction(lambda conn: conn.execute(gone).rowcount)

    def all(self) -> Sequence[AccountNote]:
        """Return all notes, in the order of their topics."""
        with self._database.read() as conn:
            rows = conn.execute(select(notes).order_by(notes.c.topic)).all()
        return [AccountNote(row.topic, from_text(row.text), row.at) for row in rows]
