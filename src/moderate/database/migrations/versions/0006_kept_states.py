"""What was found out last and all processes should know: the spam service's state, a recount, tallies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from moderate.database.types import UtcDateTime, json

if TYPE_CHECKING:
    from alembic.operations import Operations

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade(op: Operations) -> None:
    op.create_table(
        "moderate_states",
        sa.Column("name", sa.String(32), nullable=False),
        sa.Column("value", json(), nullable=False),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_moderate_states"),
    )
