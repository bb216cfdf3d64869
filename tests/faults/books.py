"""The books after a run: what was accepted against what became of it, and what was paid."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from dashboard import facets, operations_queries, queries
from dashboard.filters import Filters, Show
from shared.database import transaction
from shared.taxonomy import Taxonomy
from tests.whole import Whole

#: What a page calls an open message's place, and the rows of the table that stand there.
_PLACES = {
    "show:open": "status <> 'done'",
    "show:processing": "status IN ('queued', 'escalated')",
    "show:labelled": "status = 'labelled'",
    "show:needs_review": "status = 'needs_review'",
    "urgency:emergent": "status <> 'done' AND urgency_rank = 0",
    "urgency:urgent": "status <> 'done' AND urgency_rank = 1",
    "urgency:routine": "status <> 'done' AND urgency_rank = 2",
    "unread": "status <> 'done' AND first_read_at IS NULL",
}
_LINES_AT_ONCE = 500


@dataclass(frozen=True, kw_only=True)
class Paid:
    """What the LLM did, by its own record and by ours."""

    asked_by_its_record: int  # messages in calls that it answered well
    asked_by_ours: int  # messages in calls that we noted as paid
    calls_by_its_record: int
    calls_by_ours: int
    labels: int  # labels of the LLM tier


def wrong(whole: Whole, accepted: list[str]) -> list[str]:
    """Every way in which the books do not add up, in words; empty when they do."""
    return [
        *_kept(whole, accepted),
        *_ask(whole, "message still processing", "status IN ('queued', 'escalated')"),
        *_ask(whole, "still leased", "lease_owner IS NOT NULL"),
        *_ask(
            whole,
            "needs review, and nobody says why",
            "status = 'needs_review' AND status_reason IS NULL",
        ),
        *_ask(
            whole,
            "labelled, without a current label of its own",
            "status = 'labelled' AND NOT EXISTS (SELECT 1 FROM labels l WHERE l.message_id = m.id "
            "AND l.id = m.current_label_id AND NOT l.provisional)",
        ),
        *_ask(
            whole,
            "has more than one final label",
            "(SELECT count(*) FROM labels l WHERE l.message_id = m.id AND NOT l.provisional) > 1",
        ),
        *_ask(
            whole,
            "has more than one provisional label",
            "(SELECT count(*) FROM labels l WHERE l.message_id = m.id AND l.provisional) > 1",
        ),
        *_ask(
            whole,
            "less urgent than its red flags allow",
            "EXISTS (SELECT 1 FROM jsonb_array_elements(m.red_flags) f WHERE "
            "array_position(ARRAY['emergent', 'urgent', 'routine'], f->>'urgency') - 1 "
            "< m.urgency_rank)",
        ),
        *_shown(whole),
    ]


def _shown(whole: Whole) -> list[str]:
    """Where the dashboard tells other numbers than the tables."""
    columns = ", ".join(
        f'count(*) FILTER (WHERE {rows}) AS "{name}"' for name, rows in _PLACES.items()
    )
    [there] = whole.rows(f"SELECT {columns} FROM messages")  # noqa: S608  our own words
    reasons = whole.rows(
        "SELECT status_reason AS name, count(*) AS n FROM messages "
        "WHERE status = 'needs_review' GROUP BY 1 ORDER BY 2 DESC LIMIT 12"
    )
    tiers = whole.rows(
        "SELECT tier AS name, count(*) AS n FROM labels WHERE NOT provisional GROUP BY 1"
    )
    taxonomy = Taxonomy.load()
    with transaction(whole.engine) as connection:
        above = facets.count(queries.facets(connection), taxonomy)
        found = operations_queries.read(connection, ("failures", "tiers"))
    return [
        *_differing("above the list", there._asdict(), {n: above[n] for n in _PLACES}),
        *_differing(
            "reasons of failures",
            {row.name: row.n for row in reasons},
            {row["reason"]: row["messages"] for row in found["failures"]},
        ),
        *_differing(
            "labels per tier",
            {row.name: row.n for row in tiers},
            {row["tier"]: row["labels"] for row in found["tiers"]},
        ),
        *_listed(whole, taxonomy),
    ]


def _differing(what: str, there: dict[str, int], shown: dict[str, int]) -> list[str]:
    return [
        f"the dashboard says {shown.get(name, 0)} and not {there.get(name, 0)} ({what}): {name}"
        for name in sorted({*there, *shown})
        if there.get(name, 0) != shown.get(name, 0)
    ]


def _listed(whole: Whole, taxonomy: Taxonomy) -> list[str]:
    """Turn all pages of the worklist, and look for messages that stand there never, or twice."""
    listed: list[str] = []
    place = None
    with transaction(whole.engine) as connection:
        while True:
            page = queries.worklist(
                connection,
                Filters(show=Show.OPEN),
                taxonomy,
                user="books",
                after=place,
                limit=_LINES_AT_ONCE,
            )
            listed += [str(row["id"]) for row in page[:_LINES_AT_ONCE]]
            if len(page) <= _LINES_AT_ONCE:
                break
            last = page[_LINES_AT_ONCE - 1]
            place = queries.Place(
                rank=last["urgency_rank"], received_at=last["received_at"], id=last["id"]
            )
    there = {str(row.id) for row in whole.rows("SELECT id FROM messages WHERE status <> 'done'")}
    twice = len(listed) - len(set(listed))
    return [
        *(f"not on the worklist: {each}" for each in sorted(there - set(listed))[:5]),
        *([f"{twice} messages stand on the worklist twice"] if twice else []),
    ]


def _kept(whole: Whole, accepted: list[str]) -> list[str]:
    there = Counter(str(row.id) for row in whole.rows("SELECT id FROM messages"))
    doubled = [each for each, count in Counter(accepted).items() if count > 1]
    lost = set(accepted) - set(there)
    extra = set(there) - set(accepted)
    return [
        *(f"accepted and not there: {each}" for each in sorted(lost)[:5]),
        *(f"there and never accepted: {each}" for each in sorted(extra)[:5]),
        *(f"accepted as two messages under one id: {each}" for each in doubled[:5]),
    ]


def _ask(whole: Whole, words: str, condition: str) -> list[str]:
    rows = whole.rows(f"SELECT id, status FROM messages m WHERE {condition} LIMIT 5")  # noqa: S608
    return [f"{words}: {row.id} ({row.status})" for row in rows]


def paid(whole: Whole, requests: list[dict[str, Any]]) -> Paid:
    """The LLM's record beside ours."""
    good = [r for r in requests if r["outcome"] == "answered" and not r["fault"]]
    [ours] = whole.rows(
        "SELECT count(*) AS calls, coalesce(sum(messages), 0) AS asked FROM llm_calls "
        "WHERE outcome = 'ok'"
    )
    [labels] = whole.rows("SELECT count(*) AS n FROM labels WHERE tier = 'llm'")
    return Paid(
        asked_by_its_record=sum(len(r["ids"]) for r in good),
        asked_by_ours=int(ours.asked),
        calls_by_its_record=len(good),
        calls_by_ours=int(ours.calls),
        labels=int(labels.n),
    )
