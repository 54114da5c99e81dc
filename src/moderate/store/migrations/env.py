"""How Alembic runs here: on the connection that it is given, on our own tables, and quietly.

No logging is configured: that is the host's.
"""

from __future__ import annotations

from alembic import context

from moderate.store.migrate import VERSION_TABLE, is_ours
from moderate.store.schema import metadata


def run() -> None:
    conn = context.config.attributes["connection"]
    context.configure(
        connection=conn,
        target_metadata=metadata,
        version_table=VERSION_TABLE,
        include_name=is_ours,
        render_as_batch=conn.dialect.name == "sqlite",
    )
    with context.begin_transaction():
        context.run_migrations()


run()
