"""The cache of labels, what it is corrected by, and the gate before the LLM."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# A person's label replaces the cache's, whoever writes it; taking it back takes it out again.
_CORRECT = """
    CREATE FUNCTION correct_label_cache() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        new_tier text;
    BEGIN
        SELECT tier INTO new_tier FROM labels WHERE id = NEW.current_label_id;
        IF new_tier = 'human' THEN
            INSERT INTO label_cache (key, categories, urgency, tier, taxonomy_version, expires_at)
            SELECT NEW.cache_key, categories, urgency, tier, taxonomy_version,
                   now() + interval '365 days'
            FROM labels WHERE id = NEW.current_label_id
            ON CONFLICT (key) DO UPDATE
            SET categories = excluded.categories, urgency = excluded.urgency,
                tier = excluded.tier, taxonomy_version = excluded.taxonomy_version,
                model_version = NULL, prompt_version = NULL,
                expires_at = excluded.expires_at, asked_by = NULL, asked_until = NULL;
        ELSIF OLD.current_label_id IS NOT NULL THEN
            DELETE FROM label_cache WHERE key = NEW.cache_key AND tier = 'human';
        END IF;
        RETURN NULL;
    END $$
"""
_TRIGGER = """
    CREATE TRIGGER correct_label_cache AFTER UPDATE OF current_label_id ON messages
    FOR EACH ROW
    WHEN (NEW.cache_key IS NOT NULL
          AND OLD.current_label_id IS DISTINCT FROM NEW.current_label_id)
    EXECUTE FUNCTION correct_label_cache()
"""


def upgrade() -> None:
    """Forward."""
    op.add_column("messages", sa.Column("cache_key", sa.Text(), nullable=True))
    op.create_table(
        "label_cache",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("categories", sa.ARRAY(sa.Text()), nullable=True),
        sa.Column("urgency", sa.Text(), nullable=True),
        sa.Column("tier", sa.Text(), nullable=True),
        sa.Column("model_version", sa.Text(), nullable=True),
        sa.Column("prompt_version", sa.Text(), nullable=True),
        sa.Column("taxonomy_version", sa.Text(), nullable=True),
        sa.Column("hits", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("hit_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("asked_by", sa.Text(), nullable=True),
        sa.Column("asked_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_label_cache")),
    )
    op.create_index("ix_label_cache_expires_at", "label_cache", ["expires_at"])
    op.create_table(
        "llm_gate",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("failures", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("open_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("next_request_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("next_token_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("alerted_on", sa.Date(), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_llm_gate")),
    )
    op.execute(_CORRECT)
    op.execute(_TRIGGER)


def downgrade() -> None:
    """Back."""
    op.execute("DROP TRIGGER correct_label_cache ON messages")
    op.execute("DROP FUNCTION correct_label_cache()")
    op.drop_table("llm_gate")
    op.drop_table("label_cache")
    op.drop_column("messages", "cache_key")
