-- One role per part, each with what its statements need and no more. Run it as the owner of the
-- database, after `carelane database upgrade`, each time; it is safe to run again:
--
--     psql "$CARELANE_DATABASE_URL" -v ON_ERROR_STOP=1 -f deploy/postgres/roles.sql
--
-- These roles cannot sign in. Make a login for each process and put it into its role:
--
--     CREATE ROLE intake_a LOGIN PASSWORD '...' IN ROLE carelane_intake;
--
-- Migrations, `carelane keys`, `users`, `webhooks add` and `queues` are for the owner.

BEGIN;

DO $$
DECLARE
    part text;
BEGIN
    FOREACH part IN ARRAY ARRAY['intake', 'relay', 'worker', 'dashboard', 'webhooks',
                                'retention', 'auditor']
    LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'carelane_' || part) THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN', 'carelane_' || part);
        END IF;
        -- Begun anew, so that a grant that left this file is gone from the database too.
        EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA public FROM %I', 'carelane_' || part);
        EXECUTE format('REVOKE ALL ON ALL FUNCTIONS IN SCHEMA public FROM %I', 'carelane_' || part);
        EXECUTE format('GRANT USAGE ON SCHEMA public TO %I', 'carelane_' || part);
        EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), 'carelane_' || part);
    END LOOP;
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
END $$;

REVOKE ALL ON SCHEMA public FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA public FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA public FROM PUBLIC;

CREATE TEMPORARY TABLE wanted (part text, tables text, rights text) ON COMMIT DROP;

INSERT INTO wanted VALUES
    -- Every part may ask which schema it finds.
    ('intake dashboard', 'alembic_version', 'SELECT'),

    -- The intake, and `carelane intake-queue`. Reads back what it took in; changes nothing of it.
    ('intake', 'messages', 'SELECT, INSERT'),
    ('intake', 'message_words', 'INSERT'),  -- by a trigger
    ('intake', 'outbox', 'INSERT'),
    ('intake', 'labels api_keys', 'SELECT'),
    ('intake', 'intake_rates', 'SELECT, INSERT, UPDATE, DELETE'),

    -- The relay and the sweeper. No patient's text.
    ('relay', 'outbox', 'SELECT, INSERT, DELETE'),
    ('relay', 'outbox', 'UPDATE (created_at)'),  -- what FOR UPDATE asks for
    ('relay', 'messages', 'SELECT (id, source, status, red_flags, received_at, enqueued_at,
        rerun_at, settled_at, lease_owner, lease_until, current_label_id, cache_key, attempts,
        trace_parent)'),
    ('relay', 'messages', 'UPDATE (status, status_reason, enqueued_at, settled_at, lease_owner,
        lease_until, attempts)'),
    ('relay', 'worker_orders webhooks', 'SELECT'),
    ('relay', 'webhook_deliveries', 'INSERT'),  -- by a trigger
    ('relay', 'llm_exchanges', 'SELECT (id, created_at), UPDATE (created_at), DELETE'),
    ('relay', 'explanations', 'SELECT (id, kind, asked_at), DELETE'),

    -- Workers of both tiers. They read texts, move messages on and add labels.
    ('worker', 'messages', 'SELECT'),
    ('worker', 'messages', 'UPDATE (status, status_reason, language, provisional_label_id,
        current_label_id, urgency_rank, enqueued_at, lease_owner, lease_until, attempts,
        settled_at, cache_key)'),
    ('worker', 'labels', 'SELECT, INSERT'),
    ('worker', 'outbox', 'SELECT, INSERT'),
    ('worker', 'label_cache label_checks workers', 'SELECT, INSERT, UPDATE, DELETE'),
    ('worker', 'llm_gate llm_calls', 'SELECT, INSERT, UPDATE'),
    ('worker', 'speculations', 'SELECT, INSERT, UPDATE, DELETE'),
    ('worker', 'llm_exchanges', 'SELECT, INSERT'),
    ('worker', 'explanations', 'SELECT, UPDATE'),
    ('worker', 'worker_orders', 'SELECT, DELETE'),  -- its own, at its end
    ('worker', 'webhooks', 'SELECT'),
    ('worker', 'webhook_deliveries', 'INSERT'),  -- by a trigger

    -- The dashboard. A message's words, source and times stay as they came.
    ('dashboard', 'messages', 'SELECT'),
    ('dashboard', 'messages', 'UPDATE (status, status_reason, provisional_label_id,
        current_label_id, urgency_rank, enqueued_at, lease_owner, lease_until, attempts,
        settled_at, first_read_at, reviewed_at, assignee, reruns, rerun_at)'),
    ('dashboard', 'labels outbox explanations audit_log', 'SELECT, INSERT'),
    ('dashboard', 'explanations users', 'UPDATE'),
    ('dashboard', 'users', 'SELECT, INSERT'),
    ('dashboard', 'worker_orders', 'SELECT, INSERT, UPDATE, DELETE'),
    ('dashboard', 'label_cache', 'SELECT, INSERT, UPDATE, DELETE'),  -- by a trigger
    ('dashboard', 'webhook_deliveries', 'SELECT, INSERT'),  -- by a trigger
    ('dashboard', 'message_words label_checks llm_calls llm_exchanges llm_gate webhooks workers',
        'SELECT'),

    -- `carelane webhooks run`. It asks how a message stands by the query that serves portals, which
    -- reads the words too; none go into a call.
    ('webhooks', 'webhooks', 'SELECT, UPDATE (disabled_at, disabled_reason)'),
    ('webhooks', 'webhook_deliveries', 'SELECT, UPDATE, DELETE'),
    ('webhooks', 'messages labels', 'SELECT'),

    -- `carelane retention`. Deletes messages with all that hangs on them; audit rows only by the
    -- function that refuses young ones.
    ('retention', 'messages', 'SELECT, DELETE'),
    ('retention', 'messages', 'UPDATE (provisional_label_id, current_label_id)'),
    ('retention', 'labels llm_calls label_checks llm_exchanges explanations webhook_deliveries',
        'SELECT, DELETE'),
    ('retention', 'labels', 'UPDATE (llm_call_id)'),  -- a lock; a trigger refuses changes
    ('retention', 'llm_calls', 'UPDATE (latency_ms)'),  -- a lock
    ('retention', 'outbox', 'SELECT'),
    ('retention', 'audit_log', 'SELECT, INSERT'),

    -- People and programs that look: numbers, states and the audit log; no texts, no secrets.
    ('auditor', 'audit_log labels llm_calls llm_gate label_checks outbox workers worker_orders
        webhook_deliveries', 'SELECT'),
    ('auditor', 'messages', 'SELECT (id, source, received_at, language, status, status_reason,
        provisional_label_id, current_label_id, urgency_rank, enqueued_at, attempts, settled_at,
        first_read_at, reviewed_at, assignee)'),
    ('auditor', 'users', 'SELECT (id, name, role, must_change_password, disabled_at, created_at)'),
    ('auditor', 'api_keys', 'SELECT (id, source, revoked_at, created_at)'),
    ('auditor', 'webhooks', 'SELECT (id, source, url, disabled_at, disabled_reason, created_at)');

DO $$
DECLARE
    one record;
BEGIN
    FOR one IN
        SELECT 'carelane_' || each_part AS role, name, rights
        FROM wanted, regexp_split_to_table(part, '\s+') AS each_part,
             regexp_split_to_table(tables, '\s+') AS name
    LOOP
        -- A table that this schema does not have yet, or no longer, is passed over.
        IF to_regclass('public.' || one.name) IS NOT NULL THEN
            EXECUTE format('GRANT %s ON public.%I TO %I', one.rights, one.name, one.role);
        END IF;
    END LOOP;
    IF to_regprocedure('public.remove_old_audit(timestamptz, integer)') IS NOT NULL THEN
        GRANT EXECUTE ON FUNCTION public.remove_old_audit(timestamptz, integer)
            TO carelane_retention;
    END IF;
END $$;

COMMIT;
