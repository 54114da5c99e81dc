"""Column types that mean the same on every database."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import JSON, BigInteger, DateTime, Integer, String, Text
from sqlalchemy.dialects import mysql, postgresql
from sqlalchemy.types import TypeDecorator

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect
    from sqlalchemy.types import TypeEngine

#: How MySQL and MariaDB are called by SQLAlchemy; both need the same variants.
MYSQL = ("mysql", "mariadb")


class UtcDateTime(TypeDecorator[datetime]):
    """A moment, stored without a zone in UTC with microseconds, and always returned aware in UTC."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name in MYSQL:
            return dialect.type_descriptor(mysql.DATETIME(fsp=6))
        return dialect.type_descriptor(DateTime())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment without a time zone cannot be stored")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)


def exact(length: int) -> String:
    """Text that is compared letter by letter; on MySQL and MariaDB see `moderate.database.collations`."""
    return String(length)


def words(length: int) -> String:
    """Short text that is searched by equality; PostgreSQL has no use for the length."""
    return String(length).with_variant(Text(), "postgresql")


def prose() -> Text:
    """Text of any length: what MySQL calls TEXT ends after 64 KB."""
    return Text().with_variant(mysql.LONGTEXT(), *MYSQL)


def terms() -> Text:
    """Words made ready for a search, each of them once, with spaces between; see `moderate.store.search`."""
    return prose().with_variant(postgresql.TSVECTOR(), "postgresql")


def row_id() -> BigInteger:
    """A primary key that counts up. SQLite only does so for a column declared ``INTEGER``."""
    return BigInteger().with_variant(Integer(), "sqlite")


def json() -> JSON:
    """A JSON document, where Python's None is SQL's NULL."""
    return JSON(none_as_null=True)
