"""What the LLM was sent about a message, masked, and what it answered; kept for some days."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    op.create_table(
        "llm_exchanges",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("sent", sa.Text(), nullable=False),
        sa.Column("answered", sa.Text(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("llm_call_id", sa.BigInteger(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["message_id"],
            ["messages.id"],
            name=op.f("fk_llm_exchanges_message_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["llm_call_id"], ["llm_calls.id"], name=op.f("fk_llm_exchanges_llm_call_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_llm_exchanges")),
        sa.CheckConstraint(
            "purpose IN ('label', 'check', 'rationale')", name=op.f("ck_llm_exchanges_purpose")
        ),
    )
    op.create_index("ix_llm_exchanges_message_id", "llm_exchanges", ["message_id", "id"])
    op.create_index("ix_llm_exchanges_created_at", "llm_exchanges", ["created_at"])


def downgrade() -> None:
    """Back."""
    op.drop_table("llm_exchanges")
