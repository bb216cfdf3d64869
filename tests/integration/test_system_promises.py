"""The promises of docs/architecture.md, held by all processes together, both tiers included."""

from __future__ import annotations

from itertools import islice

import pytest

from bench.texts import message_texts
from tests.faults.books import paid, wrong
from tests.services import LocalStackForTests, StandinForTests, eventually
from tests.whole import Whole, whole

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]
__all__ = ["whole"]

_SEND_AGAIN = """
    INSERT INTO outbox (message_id, lane)
    SELECT id, :lane FROM messages, generate_series(1, 2) WHERE status = :status
"""


def _everything_is_sent(whole: Whole) -> None:
    eventually(lambda: not whole.rows("SELECT 1 FROM outbox LIMIT 1"), what="an empty outbox")


def test_every_task_delivered_three_times_is_applied_and_paid_for_once(
    whole: Whole, standin_llm: StandinForTests
) -> None:
    texts = list(islice(message_texts(seed=11), 60))
    whole.stack.start("intake", "relay")
    accepted = whole.submit(texts)
    whole.change(_SEND_AGAIN, lane="fast", status="queued")
    _everything_is_sent(whole)

    whole.stack.start("fast")
    whole.stack.start_copy("fast", "fast 2")
    eventually(whole.no_more("queued"), what="all through the fast tier", timeout_s=60)
    whole.change(_SEND_AGAIN, lane="llm", status="escalated")
    _everything_is_sent(whole)
    whole.stack.start("llm")
    whole.stack.start_copy("llm", "llm 2")
    whole.settle()

    assert wrong(whole, accepted) == []
    costs = paid(whole, standin_llm.requests())
    assert costs.labels > 0, "nothing was escalated: take another seed"
    assert costs.asked_by_its_record == costs.asked_by_ours == costs.labels
    assert costs.calls_by_its_record == costs.calls_by_ours


def test_a_broker_that_forgets_everything_in_the_middle_of_a_burst_loses_no_message(
    whole: Whole, localstack: LocalStackForTests
) -> None:
    texts = list(islice(message_texts(seed=12), 400))
    whole.stack.start("intake", "relay", "sweeper", "fast", "llm")
    accepted = whole.submit(texts)
    eventually(
        lambda: 0 < whole.statuses()["queued"] < len(texts), what="the burst half worked off"
    )

    localstack.restart_empty(whole.settings)

    whole.settle(timeout_s=120)
    assert wrong(whole, accepted) == []
    assert len(accepted) == len(texts)
