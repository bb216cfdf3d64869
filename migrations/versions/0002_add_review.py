"""What people do with messages: assignee, a label's pool, search words, an audit log for good."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_INDEX_WORDS = """
    CREATE FUNCTION index_message_words() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO message_words (message_id, words)
        SELECT id, to_tsvector('simple', left(text, 50000)) FROM added;
        RETURN NULL;
    END $$
"""
_REFUSE = """
    CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'rows of % are only ever added', TG_TABLE_NAME;
    END $$
"""


def upgrade() -> None:
    """Forward."""
    op.add_column("labels", sa.Column("pool", sa.Text(), nullable=True))
    op.add_column("messages", sa.Column("assignee", sa.Text(), nullable=True))
    op.create_index(
        "ix_messages_open",
        "messages",
        ["urgency_rank", "received_at", "id"],
        postgresql_where=sa.text("status <> 'done'"),
    )
    op.drop_index("ix_messages_worklist", table_name="messages")
    op.create_index("ix_messages_patient_ref", "messages", ["patient_ref", "received_at"])
    op.create_index(
        "ix_audit_log_sign_in_failed",
        "audit_log",
        ["created_at"],
        postgresql_where=sa.text("action = 'sign_in_failed'"),
    )
    op.create_table(
        "message_words",
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("words", postgresql.TSVECTOR(), nullable=False),
        sa.ForeignKeyConstraint(
            ["message_id"],
            ["messages.id"],
            name=op.f("fk_message_words_message_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("message_id", name=op.f("pk_message_words")),
    )
    op.execute(
        "INSERT INTO message_words (message_id, words) "
        "SELECT id, to_tsvector('simple', left(text, 50000)) FROM messages"
    )
    op.create_index("ix_message_words_words", "message_words", ["words"], postgresql_using="gin")
    op.execute(_INDEX_WORDS)
    op.execute(
        "CREATE TRIGGER index_words AFTER INSERT ON messages REFERENCING NEW TABLE AS added "
        "FOR EACH STATEMENT EXECUTE FUNCTION index_message_words()"
    )
    op.execute(_REFUSE)
    op.execute(
        "CREATE TRIGGER only_added BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
    op.execute(
        "CREATE TRIGGER only_added BEFORE UPDATE ON labels "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )


def downgrade() -> None:
    """Back."""
    op.execute("DROP TRIGGER only_added ON labels")
    op.execute("DROP TRIGGER only_added ON audit_log")
    op.execute("DROP FUNCTION refuse_change()")
    op.execute("DROP TRIGGER index_words ON messages")
    op.execute("DROP FUNCTION index_message_words()")
    op.drop_table("message_words")
    op.drop_index("ix_audit_log_sign_in_failed", table_name="audit_log")
    op.drop_index("ix_messages_patient_ref", table_name="messages")
    op.create_index("ix_messages_worklist", "messages", ["urgency_rank", "received_at", "id"])
    op.drop_index("ix_messages_open", table_name="messages")
    op.drop_column("messages", "assignee")
    op.drop_column("labels", "pool")
