"""What the pages read from Postgres: one function and one round trip each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Connection,
    RowMapping,
    Select,
    SmallInteger,
    Text,
    and_,
    any_,
    case,
    cast,
    false,
    func,
    literal,
    or_,
    select,
    tuple_,
    type_coerce,
    union_all,
)
from sqlalchemy.dialects.postgresql import TSQUERY
from sqlalchemy.sql.elements import ColumnElement

from dashboard.filters import MAX_SEARCH_WORDS, Age, Filters, Show, search_query
from dashboard.permissions import Access, Role, may
from dashboard.rows import EXCERPT_CHARS
from shared.contracts import PROCESSING, Status
from shared.sealed_columns import MESSAGE_TEXT, TriedText, sealing
from shared.sealed_text import SEALED
from shared.tables import (
    audit_log,
    labels,
    llm_calls,
    llm_exchanges,
    message_words,
    messages,
    users,
)
from shared.taxonomy import Taxonomy

PAGE_LINES = 50
MAX_LINES = 500
#: A search looks at so many of the newest messages before it asks the index of all words.
_NEWEST = 500


@dataclass(frozen=True, kw_only=True)
class Place:
    """A place in the order of the worklist: keyset paging starts after it."""

    rank: int
    received_at: datetime
    id: UUID


#: A text as it is stored.
_STORED = type_coerce(messages.c.text, Text)
_SHOWN_TEXT = type_coerce(messages.c.text, TriedText(MESSAGE_TEXT))
#: The beginning of a text; of a sealed one all, for no part of it opens alone.
_EXCERPT = type_coerce(
    case((func.starts_with(_STORED, SEALED), _STORED), else_=func.left(_STORED, EXCERPT_CHARS)),
    TriedText(MESSAGE_TEXT),
)


def _lines() -> Select[Any]:
    """The columns of a line; the label is the current one, else the provisional one."""
    return select(
        messages.c.id,
        messages.c.received_at,
        messages.c.status,
        messages.c.status_reason,
        messages.c.urgency_rank,
        messages.c.red_flags,
        messages.c.patient_ref,
        messages.c.sender,
        messages.c.first_read_at,
        messages.c.reviewed_at,
        messages.c.assignee,
        _EXCERPT.label("excerpt"),
        messages.c.current_label_id.is_not(None).label("final"),
        labels.c.categories,
        labels.c.urgency,
        labels.c.tier,
        labels.c.category_confidence,
        labels.c.pool,
    ).select_from(messages.outerjoin(labels, labels.c.id == _SHOWN_LABEL))


_SHOWN_LABEL = func.coalesce(messages.c.current_label_id, messages.c.provisional_label_id)


def worklist(
    connection: Connection,
    filters: Filters,
    taxonomy: Taxonomy,
    *,
    user: str,
    after: Place | None = None,
    limit: int = PAGE_LINES,
) -> Sequence[RowMapping]:
    """The messages that `filters` asks for, in its order; one more than `limit` if there are."""
    m = messages.c
    newest_first = filters.show.newest_first
    order = (
        (m.received_at.desc(), m.id.desc())
        if newest_first
        else (m.urgency_rank, m.received_at, m.id)
    )
    hashed = _hashed(connection, filters.q)
    # Which ones first, from narrow rows; then the texts of these only.
    place = () if after is None else (_is_after(after, newest_first=newest_first),)
    chosen = (
        select(m.id)
        .select_from(messages.outerjoin(labels, labels.c.id == _SHOWN_LABEL))
        .where(*place)
        .order_by(*order)
        .limit(limit + 1)
    )

    def found(wanted: Select[Any]) -> Sequence[RowMapping]:
        ids = wanted.subquery("chosen")
        statement = _lines().join(ids, ids.c.id == m.id).order_by(*order)
        return connection.execute(statement).mappings().all()

    if filters.q and newest_first:
        # Words that many messages hold fill a page from the newest ones alone; for those, the
        # index of all words would bring most of the past.
        newest = select(m.id).where(*place).order_by(*order).limit(_NEWEST).scalar_subquery()
        near = conditions(filters, taxonomy, user, hashed, few=True)
        page = found(chosen.where(m.id.in_(newest), *near))
        if len(page) > limit:
            return page
    return found(chosen.where(*conditions(filters, taxonomy, user, hashed)))


def _is_after(place: Place, *, newest_first: bool) -> ColumnElement[bool]:
    m = messages.c
    if newest_first:
        return tuple_(m.received_at, m.id) < tuple_(literal(place.received_at), literal(place.id))
    here = (literal(place.rank, SmallInteger), literal(place.received_at), literal(place.id))
    return tuple_(m.urgency_rank, m.received_at, m.id) > tuple_(*here)


def conditions(
    filters: Filters, taxonomy: Taxonomy, user: str, hashed: str | None, *, few: bool = False
) -> Iterator[ColumnElement[bool]]:
    """The WHERE of a worklist, over messages joined with the label shown.

    `hashed`: what is searched, as sealed texts have it; None where there are no keys. `few`:
    something else leaves few messages, so that each one's words are looked at.
    """
    m = messages.c
    if filters.show is not Show.ALL:
        yield _in_tab(filters.show)
    if filters.urgency:
        yield m.urgency_rank == filters.urgency.rank
    if filters.pool:
        names = [each.name for each in taxonomy.categories if each.pool == filters.pool]
        usual = and_(labels.c.pool.is_(None), labels.c.categories[1].in_(names))
        yield or_(labels.c.pool == filters.pool, usual)
    if filters.category:
        yield literal(filters.category) == any_(labels.c.categories)
    if filters.tier:
        yield labels.c.tier == filters.tier.value
    if filters.age:
        yield _of_age(filters.age, taxonomy)
    if filters.unread:
        yield m.first_read_at.is_(None)
    if filters.mine:
        yield m.assignee == user
    if filters.q:
        yield _holds(filters.q, hashed, few=few or not filters.show.newest_first)


def _in_tab(show: Show) -> ColumnElement[bool]:
    status = messages.c.status
    if show is Show.OPEN:
        return status != Status.DONE.value
    if show is Show.PROCESSING:
        # Implied by the list of two, and said for the index of open messages.
        processing = status.in_([each.value for each in PROCESSING])
        return and_(status != Status.DONE.value, processing)
    if show is Show.DONE:
        return status == Status.DONE.value
    return and_(status != Status.DONE.value, status == show.value)


def _of_age(age: Age, taxonomy: Taxonomy) -> ColumnElement[bool]:
    m = messages.c
    if age is Age.HOUR:
        return m.received_at > func.now() - timedelta(hours=1)
    if age is Age.DAY:
        return m.received_at < func.now() - timedelta(days=1)
    targets = {
        level.name.rank: literal(timedelta(minutes=level.target_minutes))
        for level in taxonomy.urgencies
    }
    late = m.received_at < func.now() - case(targets, value=m.urgency_rank)
    return and_(m.first_read_at.is_(None), m.status != Status.DONE.value, late)


def _hashed(connection: Connection, words: str) -> str | None:
    ours = sealing(connection)
    if not words or not ours.keys.ids:
        return None
    return ours.search_words().query(words, MAX_SEARCH_WORDS)


def _holds(words: str, hashed: str | None, *, few: bool) -> ColumnElement[bool]:
    """Messages with these words, or of this patient; `few` where the tab itself leaves few."""
    m, w = messages.c, message_words.c
    query = search_query(words)
    clear = w.words.op("@@")(func.to_tsquery("simple", query)) if query else false()
    matches = or_(clear, w.words.op("@@")(cast(hashed, TSQUERY))) if hashed else clear
    if few:
        # Each open message's words are looked at; the index would bring all of the past, too.
        mine = select(w.message_id).where(w.message_id == m.id, matches)
        return or_(m.patient_ref == words, mine.exists())
    by_patient = select(m.id).where(m.patient_ref == words)
    return m.id.in_(union_all(select(w.message_id).where(matches), by_patient))


def lines_by_id(connection: Connection, ids: Sequence[UUID]) -> Sequence[RowMapping]:
    """The lines of these messages, in no order."""
    return connection.execute(_lines().where(messages.c.id.in_(ids))).mappings().all()


def facets(connection: Connection) -> Sequence[RowMapping]:
    """Open messages counted by everything that the page counts by."""
    m = messages.c
    by = (
        m.status,
        m.urgency_rank,
        m.assignee,
        m.first_read_at.is_(None).label("unread"),
        labels.c.categories,
        labels.c.pool,
    )
    statement = (
        select(*by, func.count().label("messages"))
        .select_from(messages.outerjoin(labels, labels.c.id == _SHOWN_LABEL))
        .where(m.status != Status.DONE.value)
        .group_by(*by)
    )
    return connection.execute(statement).mappings().all()


def first_read(connection: Connection) -> Sequence[RowMapping]:
    """Time to first read of the last day's messages, by the urgency that they have now."""
    m = messages.c
    waited = func.extract("epoch", m.first_read_at - m.received_at)
    statement = (
        select(
            m.urgency_rank,
            func.count().label("messages"),
            func.count(m.first_read_at).label("read"),
            func.percentile_cont(0.5).within_group(waited).label("median_s"),
            func.percentile_cont(0.9).within_group(waited).label("p90_s"),
        )
        .where(m.received_at > func.now() - timedelta(days=1))
        .group_by(m.urgency_rank)
    )
    return connection.execute(statement).mappings().all()


def message(connection: Connection, message_id: UUID) -> RowMapping | None:
    """Everything on the page of one message but its history."""
    statement = _lines().add_columns(
        _SHOWN_TEXT.label("text"),
        messages.c.source,
        messages.c.external_id,
        messages.c.language,
        messages.c.attempts,
        messages.c.settled_at,
        messages.c.current_label_id,
        messages.c.provisional_label_id,
    )
    return connection.execute(statement.where(messages.c.id == message_id)).mappings().one_or_none()


def label_history(connection: Connection, message_id: UUID) -> Sequence[RowMapping]:
    """Every label that the message had, newest first, with its call to the LLM if any."""
    statement = (
        select(
            labels,
            llm_calls.c.model.label("llm_model"),
            llm_calls.c.simulated,
            llm_calls.c.messages.label("llm_messages"),
            llm_calls.c.prompt_tokens,
            llm_calls.c.cached_tokens,
            llm_calls.c.completion_tokens,
        )
        .select_from(labels.outerjoin(llm_calls, llm_calls.c.id == labels.c.llm_call_id))
        .where(labels.c.message_id == message_id)
        .order_by(labels.c.id.desc())
    )
    return connection.execute(statement).mappings().all()


def exchanges(connection: Connection, message_id: UUID) -> Sequence[RowMapping]:
    """What the LLM was sent about a message and answered, newest first."""
    statement = (
        select(
            llm_exchanges,
            llm_calls.c.model,
            llm_calls.c.simulated,
            llm_calls.c.messages,
        )
        .select_from(llm_exchanges.outerjoin(llm_calls))
        .where(llm_exchanges.c.message_id == message_id)
        .order_by(llm_exchanges.c.id.desc())
        .limit(20)
    )
    return connection.execute(statement).mappings().all()


def message_audit(connection: Connection, message_id: UUID) -> Sequence[RowMapping]:
    """Who read or changed the message, newest first."""
    statement = (
        select(audit_log)
        .where(audit_log.c.message_id == message_id)
        .order_by(audit_log.c.id.desc())
        .limit(100)
    )
    return connection.execute(statement).mappings().all()


def same_patient(
    connection: Connection, patient_ref: str, but: UUID, limit: int = 20
) -> Sequence[RowMapping]:
    """Other messages of a patient, newest first."""
    m = messages.c
    statement = _lines().where(m.patient_ref == patient_ref, m.id != but)
    return (
        connection.execute(statement.order_by(m.received_at.desc()).limit(limit)).mappings().all()
    )


def staff(connection: Connection) -> Sequence[str]:
    """The names of those who can be given messages."""
    roles = [role.value for role in Role if may(role, Access.WORK_MESSAGES)]
    statement = select(users.c.name).where(users.c.role.in_(roles), users.c.disabled_at.is_(None))
    return connection.execute(statement.order_by(users.c.name)).scalars().all()


def audit_entries(
    connection: Connection,
    *,
    before: int | None,
    actor: str | None,
    action: str | None,
    message_id: UUID | None,
    limit: int,
) -> Sequence[RowMapping]:
    """The audit log, newest first, before an entry; one more than `limit` if there are."""
    statement = select(audit_log).order_by(audit_log.c.id.desc()).limit(limit + 1)
    if before is not None:
        statement = statement.where(audit_log.c.id < before)
    if actor:
        statement = statement.where(audit_log.c.actor == actor)
    if action:
        statement = statement.where(audit_log.c.action == action)
    if message_id:
        listed = audit_log.c.detail["ids"].has_key(str(message_id))
        listed = and_(audit_log.c.detail.has_key("ids"), listed)
        statement = statement.where(or_(audit_log.c.message_id == message_id, listed))
    return connection.execute(statement).mappings().all()
