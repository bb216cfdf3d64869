"""Orders to workers, messages run again, and the trace that a message belongs to."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    op.create_table(
        "worker_orders",
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("wanted", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint("wanted IN ('paused', 'drained')", name=op.f("ck_worker_orders_wanted")),
        sa.PrimaryKeyConstraint("target", name=op.f("pk_worker_orders")),
    )
    op.add_column(
        "workers",
        sa.Column("state", sa.Text(), server_default=sa.text("'running'"), nullable=False),
    )
    op.add_column(
        "workers", sa.Column("in_hand", sa.Integer(), server_default=sa.text("0"), nullable=False)
    )
    op.add_column(
        "messages", sa.Column("reruns", sa.Integer(), server_default=sa.text("0"), nullable=False)
    )
    op.add_column("messages", sa.Column("rerun_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("messages", sa.Column("trace_parent", sa.Text(), nullable=True))
    op.create_index(
        "ix_webhook_deliveries_failed",
        "webhook_deliveries",
        ["webhook_id", "failed_at"],
        postgresql_where=sa.text("failed_at IS NOT NULL"),
    )


def downgrade() -> None:
    """Back."""
    op.drop_index("ix_webhook_deliveries_failed", table_name="webhook_deliveries")
    op.drop_column("messages", "trace_parent")
    op.drop_column("messages", "rerun_at")
    op.drop_column("messages", "reruns")
    op.drop_column("workers", "in_hand")
    op.drop_column("workers", "state")
    op.drop_table("worker_orders")
