"""Old rows can go: indexes of what points at them, and a way for old audit rows alone."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

# Without them, each row that goes would have the whole other table read for what points at it.
_POINTERS = (
    ("messages", "current_label_id"),
    ("messages", "provisional_label_id"),
    ("labels", "llm_call_id"),
    ("label_checks", "llm_call_id"),
    ("llm_exchanges", "llm_call_id"),
)
# `message_id` of the checks, `label_id` of the explanations: never NULL, or nearly so.
_OWNERS = (("label_checks", "message_id"), ("explanations", "label_id"))

_REFUSE = """
    CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'DELETE' AND current_setting('carelane.removing_audit', true) = 'on' THEN
            RETURN NULL;
        END IF;
        RAISE EXCEPTION 'rows of % are only ever added', TG_TABLE_NAME;
    END $$
"""
_REFUSE_BEFORE = """
    CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'rows of % are only ever added', TG_TABLE_NAME;
    END $$
"""
# The only way by which audit rows go; with its owner's rights, so that no part needs to delete.
_REMOVE = """
    CREATE FUNCTION remove_old_audit(older_than timestamptz, most integer) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, public SET carelane.removing_audit = 'on' AS $$
    DECLARE
        removed integer;
    BEGIN
        IF older_than > now() - interval '90 days' THEN
            RAISE EXCEPTION 'audit rows are kept for 90 days at least';
        END IF;
        DELETE FROM public.audit_log WHERE id IN (
            SELECT id FROM public.audit_log WHERE created_at < older_than ORDER BY id LIMIT most
        );
        GET DIAGNOSTICS removed = ROW_COUNT;
        RETURN removed;
    END $$
"""


def upgrade() -> None:
    """Forward."""
    for table, column in _POINTERS:
        op.create_index(
            f"ix_{table}_{column}",
            table,
            [column],
            postgresql_where=sa.text(f"{column} IS NOT NULL"),
        )
    for table, column in _OWNERS:
        op.create_index(f"ix_{table}_{column}", table, [column])
    op.execute(_REFUSE)
    op.execute(_REMOVE)
    op.execute("REVOKE ALL ON FUNCTION remove_old_audit(timestamptz, integer) FROM PUBLIC")


def downgrade() -> None:
    """Back."""
    op.execute("DROP FUNCTION remove_old_audit(timestamptz, integer)")
    op.execute(_REFUSE_BEFORE)
    for table, column in (*_OWNERS, *_POINTERS):
        op.drop_index(f"ix_{table}_{column}", table_name=table)
