"""The books after a run: what was accepted against what became of it, and what was paid."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from tests.whole import Whole


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
