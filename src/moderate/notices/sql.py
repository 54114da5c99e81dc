"""Store the state of mailboxes: who unsubscribed, how many mails were sent lately, and when a digest is due."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from moderate.database.schema import mailboxes
from moderate.database.statements import overwrite
from moderate.notices.values import Mailbox

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from moderate.database.engine import Database

#: The counts of a mailbox. `unsubscribed_at` is written separately, so that neither write undoes the other.
TALLY = ("hour_at", "sent", "digest_due", "digest_at")


class Mailboxes:
    """The state of moderators' and commenters' mailboxes, by a hash of the address."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, key: str) -> Mailbox:
        """Return the state of a mailbox; that of an unknown one is empty."""
        with self._database.read() as conn:
            row = conn.execute(select(mailboxes).where(mailboxes.c.key == key)).first()
        if row is None:
            return Mailbox()
        return Mailbox(unsubscribed_at=row.unsubscribed_at, **{name: getattr(row, name) for name in TALLY})

    def count_notices(self, key: str, mailbox: Mailbox) -> None:
        """Write the counts of a mailbox, without whether its owner unsubscribed."""
        self._write(TALLY, {"key": key, **{name: getattr(mailbox, name) for name in TALLY}})

    def unsubscribe(self, key: str, at: datetime | None) -> None:
        """Note that the mailbox's owner wants no more mail, or wants mail again (None)."""
        self._write(("unsubscribed_at",), {"key": key, "unsubscribed_at": at, "sent": 0})

    def _write(self, names: tuple[str, ...], row: Mapping[str, Any]) -> None:
        change = overwrite(self._database.dialect, mailboxes, "key", *names)
        self._database.transaction(lambda conn: conn.execute(change, row))
