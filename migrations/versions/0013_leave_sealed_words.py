"""The words of sealed texts are not indexed as they are stored: whoever seals one adds hashes."""

from __future__ import annotations

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_INDEX_WORDS = """
    CREATE OR REPLACE FUNCTION index_message_words() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO message_words (message_id, words)
        SELECT id, to_tsvector('simple', left(text, 50000)) FROM added
        WHERE NOT starts_with(text, 'sealed:1:');
        RETURN NULL;
    END $$
"""
_INDEX_WORDS_BEFORE = """
    CREATE OR REPLACE FUNCTION index_message_words() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO message_words (message_id, words)
        SELECT id, to_tsvector('simple', left(text, 50000)) FROM added;
        RETURN NULL;
    END $$
"""


def upgrade() -> None:
    """Forward."""
    op.execute(_INDEX_WORDS)


def downgrade() -> None:
    """Back."""
    op.execute(_INDEX_WORDS_BEFORE)
