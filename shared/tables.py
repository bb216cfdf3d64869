"""The tables, as SQLAlchemy Core sees them. migrations/ makes them; a test compares the two."""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    REAL,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    MetaData,
    Numeric,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, TSVECTOR

from shared.contracts import Lane, Status, Tier, Urgency
from shared.sealed_columns import MESSAGE_TEXT, SealedText, TriedText

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)


def _one_of(column: str, values: type[Status | Tier | Urgency | Lane]) -> CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


def _pointer(column: str) -> Index:
    """For the check that nothing points at a row that goes."""
    return Index(None, column, postgresql_where=text(f"{column} IS NOT NULL"))


def _now() -> Column[object]:
    return Column(
        "created_at", DateTime(timezone=True), nullable=False, server_default=text("now()")
    )


#: One row per accepted message; the only place where a patient's text lies as it came.
messages = Table(
    "messages",
    metadata,
    Column("id", Uuid, primary_key=True),  # UUIDv7
    Column("source", Text, nullable=False),  # the portal, known by its API key
    Column("external_id", Text, nullable=False),  # the portal's idempotency key
    Column("patient_ref", Text),  # pseudonym
    Column("sender", Text),  # patient, parent, caregiver, other; as the portal says
    Column("text", SealedText(MESSAGE_TEXT), nullable=False),
    Column("received_at", DateTime(timezone=True), nullable=False, server_default=text("now()")),
    Column("language", Text),
    Column("red_flags", JSONB, nullable=False, server_default=text("'[]'::jsonb")),
    Column("status", Text, nullable=False, server_default=Status.QUEUED.value),
    Column("status_reason", Text),  # why it needs a person: a stable code
    Column("provisional_label_id", BigInteger, ForeignKey("labels.id", use_alter=True)),
    Column("current_label_id", BigInteger, ForeignKey("labels.id", use_alter=True)),
    # 0 emergent .. 2 routine: of the current label, else of the provisional one, else of the flags
    Column("urgency_rank", SmallInteger, nullable=False, server_default=text("2")),
    Column("enqueued_at", DateTime(timezone=True), nullable=False, server_default=text("now()")),
    Column("lease_owner", Text),
    Column("lease_until", DateTime(timezone=True)),
    Column("attempts", Integer, nullable=False, server_default=text("0")),  # in this tier
    Column("settled_at", DateTime(timezone=True)),  # first labelled or needs_review
    Column("first_read_at", DateTime(timezone=True)),
    Column("reviewed_at", DateTime(timezone=True)),  # a person marked it done
    # Under which equal messages are found; NULL for red-flagged ones, which are never cached.
    Column("cache_key", Text),
    Column("assignee", Text),  # the user who has taken it
    Column("reruns", Integer, nullable=False, server_default=text("0")),  # how often asked for
    Column("rerun_at", DateTime(timezone=True)),  # from then on it has its time again
    Column("trace_parent", Text),  # W3C trace context of the intake; only while tracing is on
    UniqueConstraint("source", "external_id"),
    _one_of("status", Status),
    CheckConstraint("urgency_rank BETWEEN 0 AND 2", name="urgency_rank"),
    # The worklist: open messages by urgency, then age.
    Index(
        "ix_messages_open",
        "urgency_rank",
        "received_at",
        "id",
        postgresql_where=text("status <> 'done'"),
    ),
    Index("ix_messages_patient_ref", "patient_ref", "received_at"),
    _pointer("current_label_id"),
    _pointer("provisional_label_id"),
    Index("ix_messages_received_at", "received_at", "id"),
    # The sweeper: what is still under way, oldest first.
    Index(
        "ix_messages_processing",
        "enqueued_at",
        postgresql_where=text("status IN ('queued', 'escalated')"),
    ),
)

#: Every label that a message ever had; appended to, never changed (a trigger refuses it).
labels = Table(
    "labels",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("message_id", Uuid, ForeignKey("messages.id", ondelete="CASCADE"), nullable=False),
    Column("categories", ARRAY(Text), nullable=False),  # primary first
    Column("urgency", Text, nullable=False),
    Column("tier", Text, nullable=False),
    Column("provisional", Boolean, nullable=False, server_default=text("false")),
    Column("category_confidence", REAL),
    Column("urgency_confidence", REAL),
    Column("model_version", Text),
    Column("prompt_version", Text),
    Column("taxonomy_version", Text, nullable=False),
    Column("rationale", Text),
    Column("reasons", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    Column("latency_ms", REAL),
    Column("cost_usd", Numeric(12, 8)),
    Column("llm_call_id", BigInteger, ForeignKey("llm_calls.id")),
    Column("author", Text),
    Column("pool", Text),  # where a person chose another than the category's
    _now(),
    _one_of("urgency", Urgency),
    _one_of("tier", Tier),
    CheckConstraint("cardinality(categories) BETWEEN 1 AND 3", name="categories"),
    Index("ix_labels_message_id", "message_id", "id"),
    _pointer("llm_call_id"),
)

#: The words of each message, for search; filled by a trigger when a message is inserted, and by the
#: intake with their hashes (shared/search_words.py) when it is sealed. Apart from `messages`, so
#: that a change of status does not write the words' index again.
message_words = Table(
    "message_words",
    metadata,
    Column("message_id", Uuid, ForeignKey("messages.id", ondelete="CASCADE"), primary_key=True),
    Column("words", TSVECTOR, nullable=False),
    Index("ix_message_words_words", "words", postgresql_using="gin"),
)

#: What the relay has yet to send. Ids and lanes only.
outbox = Table(
    "outbox",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("message_id", Uuid, ForeignKey("messages.id", ondelete="CASCADE"), nullable=False),
    Column("lane", Text, nullable=False),
    _now(),
    _one_of("lane", Lane),
    Index("ix_outbox_lane_id", "lane", "id"),
    Index("ix_outbox_message_id", "message_id"),
)

#: Labels by the HMAC of a message's text. A trigger puts a person's correction here. A row
#: without categories is a question that `asked_by` is asking just now.
label_cache = Table(
    "label_cache",
    metadata,
    Column("key", Text, primary_key=True),
    Column("categories", ARRAY(Text)),
    Column("urgency", Text),
    Column("tier", Text),  # whose label it is: llm or human
    Column("model_version", Text),
    Column("prompt_version", Text),
    Column("taxonomy_version", Text),
    Column("hits", Integer, nullable=False, server_default=text("0")),
    Column("hit_at", DateTime(timezone=True)),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("asked_by", Text),
    Column("asked_until", DateTime(timezone=True)),
    _now(),
    Index("ix_label_cache_expires_at", "expires_at"),
)

#: What all LLM workers share: one row per provider with its breaker and its rate limit.
llm_gate = Table(
    "llm_gate",
    metadata,
    Column("name", Text, primary_key=True),
    Column("failures", Integer, nullable=False, server_default=text("0")),  # in a row
    Column("reason", Text),  # of the last one
    Column("open_until", DateTime(timezone=True)),  # no calls before, then one to try
    Column("next_request_at", DateTime(timezone=True)),
    Column("next_token_at", DateTime(timezone=True)),
    Column("alerted_on", Date),  # day on which 80 % of the budget were reported
)

#: Red-flagged messages that an LLM worker asks about before the fast tier has decided. Not logged:
#: after a crash everybody may ask. No foreign key: see workers/fences.py.
speculations = Table(
    "speculations",
    metadata,
    Column("message_id", Uuid, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("until", DateTime(timezone=True), nullable=False),
    prefixes=["UNLOGGED"],
)

#: One row per call to the LLM, paid or failed.
llm_calls = Table(
    "llm_calls",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("model", Text, nullable=False),
    Column("prompt_version", Text, nullable=False),
    Column("outcome", Text, nullable=False),  # ok, or the reason of a LanguageModelError
    Column("messages", Integer, nullable=False),  # how many shared the prompt
    Column("prompt_tokens", Integer, nullable=False, server_default=text("0")),
    Column("cached_tokens", Integer, nullable=False, server_default=text("0")),
    Column("completion_tokens", Integer, nullable=False, server_default=text("0")),
    Column("cost_usd", Numeric(12, 8), nullable=False, server_default=text("0")),
    Column("latency_ms", REAL, nullable=False),
    Column("simulated", Boolean, nullable=False, server_default=text("false")),
    _now(),
    Index("ix_llm_calls_created_at", "created_at"),
)

#: Sure labels of the small model that the LLM is asked about too, to see the model age.
label_checks = Table(
    "label_checks",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("message_id", Uuid, ForeignKey("messages.id", ondelete="CASCADE"), nullable=False),
    Column("category", Text, nullable=False),  # the small model's
    Column("urgency", Text, nullable=False),
    Column("model_version", Text, nullable=False),
    Column("llm_category", Text),
    Column("llm_urgency", Text),
    Column("llm_call_id", BigInteger, ForeignKey("llm_calls.id")),
    Column("asked_until", DateTime(timezone=True)),
    Column("checked_at", DateTime(timezone=True)),
    _now(),
    Index("ix_label_checks_checked_at", "checked_at"),
    Index("ix_label_checks_message_id", "message_id"),
    _pointer("llm_call_id"),
)

#: What the LLM was sent about a message and what it answered, for the message's page. Masked text
#: only; removed by the sweeper after CARELANE_LLM_TEXT_DAYS.
llm_exchanges = Table(
    "llm_exchanges",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("message_id", Uuid, ForeignKey("messages.id", ondelete="CASCADE"), nullable=False),
    Column("purpose", Text, nullable=False),  # label, check of a sure label, rationale
    Column(
        "sent", TriedText("llm_exchanges.sent"), nullable=False
    ),  # this message's part of the prompt
    # Its entry of the answer, as it came; NULL without one.
    Column("answered", TriedText("llm_exchanges.answered")),
    Column("outcome", Text, nullable=False),  # ok, or the reason of a LanguageModelError
    Column("llm_call_id", BigInteger, ForeignKey("llm_calls.id")),
    _now(),
    CheckConstraint("purpose IN ('label', 'check', 'rationale')", name="purpose"),
    Index("ix_llm_exchanges_message_id", "message_id", "id"),
    Index("ix_llm_exchanges_created_at", "created_at"),
    _pointer("llm_call_id"),
)

#: What somebody who looks at a message asks about its label, answered by a worker that has time:
#: the words that carried the fast tier's decision (places in the text only), or a rationale.
explanations = Table(
    "explanations",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("message_id", Uuid, ForeignKey("messages.id", ondelete="CASCADE"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("label_id", BigInteger, ForeignKey("labels.id", ondelete="CASCADE"), nullable=False),
    Column("asked_by", Text, nullable=False),
    Column("asked_at", DateTime(timezone=True), nullable=False, server_default=text("now()")),
    Column("claimed_until", DateTime(timezone=True)),
    Column("answered_at", DateTime(timezone=True)),
    Column("outcome", Text),  # NULL: open; ok, or a stable code for why there is no answer
    Column("model_version", Text),  # who answered
    Column("result", JSONB),
    UniqueConstraint("message_id", "kind"),
    CheckConstraint("kind IN ('words', 'rationale')", name="kind"),
    Index("ix_explanations_kind_asked_at", "kind", "asked_at"),
    Index("ix_explanations_label_id", "label_id"),
)

#: Worker processes by their heartbeat; Celery offers no such thing on SQS.
workers = Table(
    "workers",
    metadata,
    Column("id", Text, primary_key=True),  # host:pid:start
    Column("lane", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("model_version", Text),
    Column("started_at", DateTime(timezone=True), nullable=False, server_default=text("now()")),
    Column("heartbeat_at", DateTime(timezone=True), nullable=False, server_default=text("now()")),
    Column("polled_at", DateTime(timezone=True)),  # last time that SQS answered a receive
    Column("state", Text, nullable=False, server_default=text("'running'")),  # or paused, draining
    Column("in_hand", Integer, nullable=False, server_default=text("0")),  # deliveries
)

#: What workers are told to do: a row for a tier (fast, llm) or for one worker. None: run.
worker_orders = Table(
    "worker_orders",
    metadata,
    Column("target", Text, primary_key=True),
    Column("wanted", Text, nullable=False),
    Column("actor", Text, nullable=False),
    _now(),
    CheckConstraint("wanted IN ('paused', 'drained')", name="wanted"),
)

users = Table(
    "users",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),  # clinician, lead, operations, auditor
    Column("password_hash", Text, nullable=False),  # argon2id; "!" for none
    Column("must_change_password", Boolean, nullable=False, server_default=text("true")),
    # Sessions of an earlier generation are over; signing out begins the next one.
    Column("session_generation", BigInteger, nullable=False, server_default=text("0")),
    Column("disabled_at", DateTime(timezone=True)),
    _now(),
    Column("oidc_subject", Text),  # issuer and subject, of a user whom a provider vouches for
    UniqueConstraint("name"),
    UniqueConstraint("oidc_subject"),
    CheckConstraint("role IN ('clinician', 'lead', 'operations', 'auditor')", name="role"),
)

#: A portal's key; the key itself is shown once and never stored.
api_keys = Table(
    "api_keys",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("source", Text, nullable=False),  # messages that come with this key get this source
    Column("key_hash", Text, nullable=False),  # HMAC-SHA-256 under CARELANE_HMAC_KEY, hex
    Column("revoked_at", DateTime(timezone=True)),
    _now(),
    UniqueConstraint("key_hash"),
)

#: Until when each source's rate is spoken for. Not logged: after a crash everybody may begin anew.
intake_rates = Table(
    "intake_rates",
    metadata,
    Column("source", Text, primary_key=True),
    Column("taken_until", DateTime(timezone=True), nullable=False),
    prefixes=["UNLOGGED"],
)

#: Where a portal wants to be called when a message of its source gets a label.
webhooks = Table(
    "webhooks",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("source", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("salt", Text, nullable=False),  # the signing secret is derived from it, never stored
    Column("disabled_at", DateTime(timezone=True)),
    Column("disabled_reason", Text),
    _now(),
    Index("ix_webhooks_source", "source"),
)

#: Calls that are due or were made; a trigger on `messages` adds them (migration 0004).
webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("webhook_id", BigInteger, ForeignKey("webhooks.id", ondelete="CASCADE"), nullable=False),
    Column("message_id", Uuid, ForeignKey("messages.id", ondelete="CASCADE"), nullable=False),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("next_at", DateTime(timezone=True), nullable=False, server_default=text("now()")),
    Column("delivered_at", DateTime(timezone=True)),
    Column("failed_at", DateTime(timezone=True)),  # given up
    Column("outcome", Text),  # of the last try: a status code, or a short code
    _now(),
    Index(
        "ix_webhook_deliveries_due",
        "webhook_id",
        "next_at",
        postgresql_where=text("delivered_at IS NULL AND failed_at IS NULL"),
    ),
    Index("ix_webhook_deliveries_message_id", "message_id"),
    Index(
        "ix_webhook_deliveries_failed",
        "webhook_id",
        "failed_at",
        postgresql_where=text("failed_at IS NOT NULL"),
    ),
)

#: Who did what to which message; appended to only (a trigger refuses anything else).
audit_log = Table(
    "audit_log",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("message_id", Uuid),
    Column("detail", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    _now(),
    Index("ix_audit_log_message_id", "message_id", "id"),
    # Who saw a message among others, in a list.
    Index(
        "ix_audit_log_ids",
        text("(detail -> 'ids')"),
        postgresql_using="gin",
        postgresql_where=text("detail ? 'ids'"),
    ),
    Index(
        "ix_audit_log_sign_in_failed",
        "created_at",
        postgresql_where=text("action = 'sign_in_failed'"),
    ),
)
