"""All faults at random: every accepted message ends with one label, or with a person."""

from __future__ import annotations

import os
import random
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from sqlalchemy import create_engine, make_url

from bench.stack import Stack
from bench.texts import message_texts
from localstack.postgres import EmbeddedPostgres
from shared.contracts import LLM_CHUNK, Lane
from shared.queues import check_queues
from shared.settings import Settings
from tests.faults.books import paid, wrong
from tests.faults.mischief import Mischief, wait_for_quiet
from tests.services import LocalStackForTests, StandinForTests
from tests.tcp_proxy import TcpProxy, proxy_to
from tests.whole import Whole

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(0)]

#: `make faults SEED=7 MINUTES=10` sets them; without, a short mix with a seed of its own each time.
_SEED = int(os.environ.get("SEED") or random.SystemRandom().randrange(1_000_000))
_MINUTES = float(os.environ.get("MINUTES") or 0.6)
_MESSAGES_PER_S = 30
_LLM_CONCURRENCY = 4


@dataclass
class Portal:
    """A portal that hands messages in, and asks again until each is accepted."""

    url: Callable[[], str]
    headers: dict[str, str]
    accepted: list[str] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self, rate_per_s: float) -> None:
        texts = message_texts(_SEED)
        while not self.stop.is_set():
            batch = [
                {"external_id": str(uuid.uuid4()), "text": next(texts)}
                for _ in range(int(rate_per_s))
            ]
            self._until_accepted(batch)
            self.stop.wait(1.0)

    def _until_accepted(self, batch: list[dict[str, str]]) -> None:
        # The same external ids again, whatever happened to the answer: that is the contract.
        while True:
            try:
                answer = httpx.post(
                    f"{self.url()}/v1/messages",
                    json={"messages": batch},
                    headers=self.headers,
                    timeout=20,
                )
                if answer.status_code in (200, 202):
                    self.accepted += [each["id"] for each in answer.json()["messages"]]
                    return
                assert answer.status_code in (429, 500, 502, 503), answer.text[:300]
            except httpx.TransportError:
                pass
            time.sleep(0.3)


@pytest.fixture
def postgres_to_hurt(tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    """A server that keeps what it committed through a crash, unlike the other tests'."""
    # Few connections, so that taking all of them is quick.
    options = {"fsync": "off", "max_connections": "100"}
    server = EmbeddedPostgres(tmp_path / "postgres", options)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def sqs_to_hurt(localstack: LocalStackForTests) -> Iterator[TcpProxy]:
    with proxy_to(localstack.port) as proxy:
        yield proxy


@pytest.fixture
def hurt(
    postgres_to_hurt: EmbeddedPostgres,
    sqs_to_hurt: TcpProxy,
    standin_llm: StandinForTests,
    tmp_path: Path,
) -> Iterator[Whole]:
    postgres_to_hurt.create_database("carelane")
    url = make_url(postgres_to_hurt.url("carelane")).set(drivername="postgresql+psycopg2")
    settings = Settings(
        database_url=url.render_as_string(hide_password=False),
        queue_prefix=f"faults-{uuid.uuid4().hex[:8]}",
        sqs_endpoint_url=sqs_to_hurt.url,
        secret_key="x" * 32,
        hmac_key="y" * 32,
        openai_api_key="standin",
        openai_base_url=standin_llm.base_url,
        llm_simulated=True,
        llm_concurrency=_LLM_CONCURRENCY,
        llm_timeout_s=5.0,
        fast_lease_s=3.0,
        llm_lease_s=5.0,
        sweep_every_s=1.0,
        sweep_after_s=8.0,
    )
    engine = create_engine(url, pool_pre_ping=True)
    stack = Stack(settings, tmp_path / "logs")
    stack.prepare()
    yield Whole(stack, engine)
    stack.stop()
    engine.dispose()


def test_every_accepted_message_is_kept_whatever_breaks(
    hurt: Whole,
    localstack: LocalStackForTests,
    postgres_to_hurt: EmbeddedPostgres,
    standin_llm: StandinForTests,
    sqs_to_hurt: TcpProxy,
) -> None:
    print(f"\nSEED={_SEED} MINUTES={_MINUTES}")
    mischief = Mischief(
        hurt, localstack, postgres_to_hurt, standin_llm, sqs_to_hurt, random.Random(_SEED)
    )
    mischief.start()
    portal = Portal(lambda: hurt.settings.intake_url, hurt.stack.headers())
    feeding = threading.Thread(target=portal.run, args=[_MESSAGES_PER_S], daemon=True)
    feeding.start()

    until = time.monotonic() + 60 * _MINUTES
    while time.monotonic() < until:
        time.sleep(mischief.chance.uniform(0.2, 2.0))
        print(f"{until - time.monotonic():6.1f} s left: {mischief.once()}", flush=True)
        mischief.revive()
    portal.stop.set()
    mischief.make_good()
    feeding.join(timeout=60)
    assert not feeding.is_alive(), "the portal never got its last messages in"
    quiet_from = time.monotonic()
    wait_for_quiet(mischief, timeout_s=180)
    quiet_s = time.monotonic() - quiet_from

    costs = paid(hurt, standin_llm.requests())
    print(
        f"{len(portal.accepted)} accepted, {dict(hurt.statuses())}, quiet after {quiet_s:.0f} s, "
        f"{sum(mischief.done.values())} faults: {dict(mischief.done)}\n{costs}\n"
        f"{_reasons(hurt)}"
    )
    assert wrong(hurt, portal.accepted) == [], f"SEED={_SEED}"
    # One call may be lost to each worker thread whenever its process or its database goes.
    in_flight = 2 * _LLM_CONCURRENCY
    lost_calls = in_flight * (mischief.llm_disruptions + mischief.done["deliver again"])
    assert costs.calls_by_its_record - costs.calls_by_ours <= lost_calls
    assert costs.asked_by_its_record - costs.labels <= lost_calls * LLM_CHUNK
    assert sum(mischief.done.values()) > 3
    assert {state.lane for state in check_queues(hurt.settings)} == set(Lane)


def _reasons(whole: Whole) -> str:
    rows = whole.rows(
        "SELECT status_reason, count(*) AS n FROM messages WHERE status = 'needs_review' GROUP BY 1"
    )
    return f"needs review: { {row.status_reason: row.n for row in rows} }"
