"""The tables' version, for the command line and the health check; see `moderate.ports.Tables`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import MetaData, Table

from moderate.store import Database, SqlStore, copying, metadata, migrate
from moderate.store.addresses import is_memory, place_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from moderate.ports import Drift


class SqlTables:
    """`moderate.ports.Tables` for the tables of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def upgrade(self) -> tuple[str | None, str]:
        return migrate.upgrade(self._database)

    def current(self) -> str | None:
        return migrate.current(self._database)

    def trouble(self) -> tuple[str, str]:
        return migrate.trouble(self._database)

    def differences(self) -> list[str]:
        return migrate.check(self._database)

    def is_shared_with(self, engine: Any) -> bool:
        ours = self._database.engine
        return engine is ours or (not is_memory(ours.url) and place_of(engine.url) == place_of(ours.url))

    def has_hosts_migrations(self) -> bool:
        return migrate.has_hosts_migrations(self._database)

    def are_left_out_by(self, include_name: Any, include_object: Any) -> bool:
        def is_left_out(name: str) -> bool:
            parents = {"schema_name": None, "schema_qualified_table_name": name}
            if include_name is not None and not include_name(name, "table", parents):
                return True
            table = metadata.tables.get(name, Table(name, MetaData()))
            return include_object is not None and not include_object(table, name, "table", True, None)

        return all(is_left_out(name) for name in migrate.TABLES)

    def count_rows(self) -> int:
        return copying.count_rows(self._database)

    def copy_to(self, address: str, told: Callable[[int], None]) -> list[Drift]:
        target = Database(address)
        try:
            copying.copy(self._database, target, told)
            return [drift for drift in SqlStore(target).recount(repair=False) if drift is not None]
        finally:
            target.dispose()
