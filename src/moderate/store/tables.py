"""The tables' version, for the command line and the health check; see `moderate.ports.Tables`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moderate.store import migrate

if TYPE_CHECKING:
    from moderate.store.engine import Database


class SqlTables:
    """`moderate.ports.Tables` for the tables of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def upgrade(self) -> str:
        return migrate.upgrade(self._database)[1]

    def current(self) -> str | None:
        return migrate.current(self._database)

    def is_current(self) -> bool:
        return self.current() == migrate.HEAD

    def differences(self) -> list[str]:
        return migrate.check(self._database)
