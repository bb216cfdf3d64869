"""One rate per source for all intake processes; who saw a message in a list can be looked up."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    op.create_table(
        "intake_rates",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("taken_until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("source", name=op.f("pk_intake_rates")),
        prefixes=["UNLOGGED"],
    )
    op.create_index(
        "ix_audit_log_ids",
        "audit_log",
        [sa.text("(detail -> 'ids')")],
        postgresql_using="gin",
        postgresql_where=sa.text("detail ? 'ids'"),
    )


def downgrade() -> None:
    """Back."""
    op.drop_index("ix_audit_log_ids", table_name="audit_log")
    op.drop_table("intake_rates")
