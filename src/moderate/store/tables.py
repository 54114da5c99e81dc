"""The tables' version, for the command line and the health check; see `moderate.ports.Tables`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moderate.store import Database, SqlStore, copying, migrate

if TYPE_CHECKING:
    from collections.abc import Callable

    from moderate.ports import Drift


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

    def count_rows(self) -> int:
        return copying.count_rows(self._database)

    def copy_to(self, address: str, told: Callable[[int], None]) -> list[Drift]:
        target = Database(address)
        try:
            copying.copy(self._database, target, told)
            return [drift for drift in SqlStore(target).recount(repair=False) if drift is not None]
        finally:
            target.dispose()
