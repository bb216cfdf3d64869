"""Signing out ends a user's sessions, also those of a copied cookie."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    op.add_column(
        "users",
        sa.Column(
            "session_generation", sa.BigInteger(), server_default=sa.text("0"), nullable=False
        ),
    )


def downgrade() -> None:
    """Back."""
    op.drop_column("users", "session_generation")
