"""The load's portal comes back when told to, and its pages tell what was measured."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest

from bench.load.page import html, markdown
from bench.load.portal import DANGER, Portal
from bench.load.samples import growth, memory_mb
from shared.contracts import Urgency
from shared.red_flags import RedFlags


@pytest.fixture
def portal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Portal]:
    """Its first call is answered 429, its second fails on the way, then it is accepted."""
    answers = iter([429, None, 202])

    def answer(request: httpx.Request) -> httpx.Response:
        status = next(answers)
        if status is None:
            raise httpx.ConnectError("as asked")
        taken = [{"id": str(n)} for n, _ in enumerate(json.loads(request.content)["messages"])]
        return httpx.Response(status, headers={"Retry-After": "0"}, json={"messages": taken})

    monkeypatch.setattr("time.sleep", lambda _: None)
    made = Portal("http://intake", {}, transport=httpx.MockTransport(answer))
    yield made
    made.close()


def test_a_refused_call_is_made_again_until_it_is_accepted_and_every_answer_counts(
    portal: Portal,
) -> None:
    portal.hand_in(["one", "two"])

    assert portal.accepted == ["0", "1"]
    assert dict(portal.answers) == {"429": 1, "ConnectError": 1, "202": 1}
    assert portal.without_a_time == 0


def test_the_message_in_danger_raises_an_emergent_flag() -> None:
    assert RedFlags.load().find(DANGER)[0].urgency is Urgency.EMERGENT


def test_growth_compares_the_last_fifth_with_the_second() -> None:
    rows = [{"memory_mb": {"leaks": float(at), "stays": 7.0}} for at in range(100)]

    assert growth(rows, "memory_mb") == {"leaks": 60.0, "stays": 0.0}


def test_a_process_that_is_gone_has_no_memory() -> None:
    assert memory_mb(2**22 + 1) == 0.0


def test_the_pages_tell_the_numbers_and_draw_every_series() -> None:
    sample = {
        **dict.fromkeys(("outbox", "queued", "escalated", "settled"), 1.0),
        **dict.fromkeys(("fast_age_s", "priority_age_s", "llm_age_s"), 0.5),
        "at_s": 1.0,
        "memory_mb": {"fast": 100.0, "<llm>": 90.0},
        "connections": {"carelane intake": 3},
    }
    phase = {
        "name": "burst",
        "accepted": 10_000,
        "accepted_in_s": 12.0,
        "settled_in_s": 50.0,
        "per_s": 200.0,
        "answers": {"202": 100, "429": 7},
        "lost": 0,
        "times": [{"what": "fast", "messages": 9, "p50_s": 0.1, "p95_s": 0.25, "p99_s": 0.5}],
        "memory_growth_mb": {"fast": 0.4},
        "connection_growth": {"carelane intake": 0},
        "samples": [sample, {**sample, "at_s": 2.0}],
    }
    result = {"started_at": "2026-11-20", "options": {"burst": 10_000}, "phases": [phase]}

    table, page = markdown(result), html(result)

    assert "| fast | 9 | 0.10 s | 0.25 s | 0.50 s |" in table
    assert "10,000 accepted in 12 s" in table
    assert "202 100, 429 7" in page
    assert page.count("<polyline") == 3 + 3 + 1 + 2 + 1
    assert "<llm>" not in page
