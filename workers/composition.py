"""The composition root of a worker process: settings in, runtime out. Called after the fork."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError

from shared.contracts import Lane, queue_name
from shared.database import make_engine
from shared.errors import QueueUnavailable
from shared.queues import sqs_client
from shared.settings import Settings
from shared.taxonomy import Taxonomy
from workers.call_log import StoredCalls
from workers.chunk import Delivery
from workers.deid.deidentifier import Deidentifier
from workers.escalation import LlmLane
from workers.fast_tier.tier import FastTier
from workers.heartbeat import ExtendDelivery, Heartbeat
from workers.lease import ProcessName
from workers.llm_tier.client import OpenAIChat
from workers.llm_tier.price import Prices
from workers.llm_tier.prompt import make_prompt
from workers.llm_tier.tier import LlmTier
from workers.patience import SystemClock
from workers.runtime import Build, Runtime


def build_fast(settings: Settings, queue_urls: Mapping[Lane, str]) -> Runtime:  # noqa: ARG001
    """A pool child that runs the fast tier: one thread, so one connection."""
    taxonomy = Taxonomy.load(settings.taxonomy_path)
    return Runtime(
        settings=settings,
        engine=make_engine(settings, "carelane-fast", pool_size=1),
        process=ProcessName.of_pid(os.getpid()),
        clock=SystemClock(),
        labeller=FastTier.load(settings.bundle_path, taxonomy=taxonomy),
    )


def build_llm(settings: Settings, queue_urls: Mapping[Lane, str]) -> Runtime:
    """A process whose threads wait for the LLM."""
    clock = SystemClock()
    # One for the heartbeat; calls record themselves outside any claim's transaction.
    engine = make_engine(settings, "carelane-llm", pool_size=settings.llm_concurrency + 1)
    taxonomy = Taxonomy.load(settings.taxonomy_path)
    tier = LlmTier(
        model=OpenAIChat.from_settings(settings),
        prompt=make_prompt(taxonomy),
        taxonomy=taxonomy,
        prices=Prices.from_settings(settings),
        calls=StoredCalls(
            engine,
            clock,
            simulated=settings.llm_simulated,
            longest_wait_s=settings.llm_lease_s * 0.7,
        ),
        clock=clock,
        timeout_s=settings.llm_timeout_s,
    )
    lane = LlmLane(
        tier=tier,
        masker=Deidentifier.load(settings.deid_bundle_path),
        heartbeat=Heartbeat(engine, extender(settings, queue_urls), settings.llm_lease_s),
        budget_s=settings.llm_timeout_s * 3,
    )
    return Runtime(
        settings=settings,
        engine=engine,
        process=ProcessName.of_pid(os.getpid()),
        clock=clock,
        llm=lane,
    )


def extender(settings: Settings, queue_urls: Mapping[Lane, str]) -> ExtendDelivery:
    """ChangeMessageVisibility where the broker is SQS; nothing elsewhere."""
    if settings.broker_url is not None:
        return lambda delivery, seconds: None  # noqa: ARG005
    client = sqs_client(settings)
    urls = {queue_name(settings.queue_prefix, lane): url for lane, url in queue_urls.items()}

    def extend(delivery: Delivery, seconds: int) -> None:
        url = urls.get(delivery.queue or "")
        if url is None or delivery.receipt is None:
            return
        try:
            client.change_message_visibility(
                QueueUrl=url, ReceiptHandle=delivery.receipt, VisibilityTimeout=seconds
            )
        except (BotoCoreError, ClientError) as error:
            raise QueueUnavailable(f"SQS: visibility not prolonged: {error}") from error

    return extend


#: Who builds the runtime of a kind of worker.
BUILDERS: Final[Mapping[str, Build]] = {"fast": build_fast, "llm": build_llm}
