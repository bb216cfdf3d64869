"""The arithmetic of the gate: when the breaker opens, how a rate is shared out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from workers.llm_tier.chat import ChatRequest
from workers.llm_tier.dialect import Dialect, response_format
from workers.llm_tier.gate import next_slot, pause_s

NOW = datetime(2024, 5, 1, tzinfo=UTC)


def test_the_breaker_opens_after_five_failures_in_a_row_and_stays_open_ever_longer() -> None:
    pauses = [pause_s(failures) for failures in range(1, 14)]

    assert pauses[:4] == [0, 0, 0, 0]
    assert pauses[4] == 10
    assert pauses == sorted(pauses)
    assert pauses[-1] == 120


def test_an_idle_rate_lets_a_burst_through_and_then_its_share() -> None:
    taken: datetime | None = None
    waits = []
    for _ in range(20):
        wait_s, taken = next_slot(NOW, taken, 1, per_minute=60)
        waits.append(wait_s)

    assert waits[:2] == [0, 0]
    assert waits[-1] > 10
    assert taken is not None


def test_over_a_minute_no_more_pass_than_the_rate_and_one_burst() -> None:
    taken: datetime | None = None
    passed, now = 0, NOW
    while now < NOW + timedelta(minutes=1):
        wait_s, taken = next_slot(now, taken, 1, per_minute=120)
        now += timedelta(seconds=wait_s)
        passed += now < NOW + timedelta(minutes=1)

    assert 118 <= passed <= 132


def test_a_server_without_schemas_is_found_out_by_stepping_down() -> None:
    dialect = Dialect()
    tried = [dialect.format]
    while dialect.refused(dialect.format):
        tried.append(dialect.format)

    assert tried == ["json_schema", "json_object", "text"]
    assert dialect.format == "json_schema"  # it was not the format: the next call begins anew


def test_a_format_that_worked_is_kept() -> None:
    dialect = Dialect()
    dialect.refused("json_schema")
    dialect.worked()

    assert not dialect.refused("json_object")
    assert dialect.format == "json_object"


def test_each_format_is_said_in_the_api_s_words() -> None:
    request = ChatRequest(system="", user="", max_tokens=1, schema={"type": "object"})

    assert response_format("text", request) is None
    assert response_format("json_object", request) == {"type": "json_object"}
    strict = response_format("json_schema", request)
    assert strict is not None
    assert strict["json_schema"]["strict"] is True
