"""Refuses queues on which a worker would lose messages or do work twice."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from shared import broker_queues
from shared.brokers import Broker, broker_of
from shared.contracts import Lane, queue_name
from shared.errors import QueueMisconfigured, QueueUnavailable
from shared.queues import QueueState, check_queues
from shared.settings import Settings
from workers.seams import Clock

logger = logging.getLogger(__name__)


def usable_queues(settings: Settings, lanes: Sequence[Lane]) -> dict[Lane, str]:
    """The URLs of the lanes' queues, in the lanes' order; of SQS' queues only.

    Raises:
        QueueMisconfigured: a queue is missing, has no RedrivePolicy, or shows a message again
            before its lease has run out; or another broker's would lose messages.
        QueueUnavailable: the broker cannot be reached.
    """
    if broker_of(settings) is not Broker.SQS:
        broker_queues.check(settings, lanes)
        return {}
    states = {state.lane: state for state in check_queues(settings)}
    for lane in lanes:
        check_visibility(states[lane], settings)
    return {lane: states[lane].url for lane in lanes}


def check_visibility(state: QueueState, settings: Settings) -> None:
    """Refuse a queue that delivers again while the first delivery's lease may still run."""
    is_llm = state.lane is Lane.LLM
    lease_s = settings.llm_lease_s if is_llm else settings.fast_lease_s
    if state.visibility_s < lease_s:
        variable = "CARELANE_LLM_LEASE_S" if is_llm else "CARELANE_FAST_LEASE_S"
        raise QueueMisconfigured(
            f"the queue {queue_name(settings.queue_prefix, state.lane)} shows a message again "
            f"after {state.visibility_s} s, but a worker's lease lasts {lease_s:g} s. Raise its "
            f"visibility timeout in deploy/queues.yaml and run `carelane queues create`, or "
            f"lower {variable}."
        )


def wait_for_queues(
    settings: Settings, lanes: Sequence[Lane], clock: Clock, longest_s: float
) -> dict[Lane, str]:
    """`usable_queues`, waiting `longest_s` for a broker that is away."""
    until_s = clock.monotonic_s() + longest_s
    while True:
        try:
            return usable_queues(settings, lanes)
        except QueueUnavailable as error:
            if clock.monotonic_s() > until_s:
                raise
            logger.warning("broker away, waiting", extra={"reason": str(error)})
        clock.sleep(1.0)
