"""Who asks the LLM about a red-flagged message before the fast tier has decided."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    op.create_table(
        "speculations",
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("message_id", name=op.f("pk_speculations")),
        prefixes=["UNLOGGED"],
    )


def downgrade() -> None:
    """Back."""
    op.drop_table("speculations")
