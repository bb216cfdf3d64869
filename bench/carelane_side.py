"""Runs Carelane's own processes as deployed: intake, relay, sweeper, fast workers, LLM worker."""

from __future__ import annotations

import os
import secrets
import uuid
from collections.abc import Mapping, Sequence

import httpx
from sqlalchemy import Engine, create_engine, text

from bench.ground import Ground
from bench.sides import Timeline
from bench.stack import Stack
from bench.waiting import wait_until
from shared.settings import Settings

#: The dashboard is left out: the peer has none.
_PROCESSES = ("intake", "relay", "sweeper", "fast", "llm")
_TIMELINES = """
    SELECT m.received_at, coalesce(m.settled_at, first.created_at) AS settled_at,
           first.created_at, coalesce(last.tier, m.status) AS tier, fast.latency_ms
    FROM messages m
    JOIN LATERAL (SELECT created_at FROM labels WHERE message_id = m.id ORDER BY id LIMIT 1) first
        ON true
    LEFT JOIN LATERAL (SELECT latency_ms FROM labels WHERE message_id = m.id AND tier = 'fast'
        ORDER BY id LIMIT 1) fast ON true
    LEFT JOIN labels last ON last.id = m.current_label_id
"""


class CarelaneSide:
    """Carelane's processes and times.

    Its acceptance is the start of the transaction that commits the message (`received_at`), a
    little before the portal has its answer.
    """

    def __init__(self, ground: Ground, processes: int, *, llm_here: bool = True) -> None:
        """With `llm_here` False the LLM's workers do not run on this machine.

        Ambiguous messages then end with the small model's provisional label, which is as much as
        the peer ever gives.
        """
        self.name = "carelane" if llm_here else "carelane, LLM workers elsewhere"
        self._llm_here = llm_here
        self._names = _PROCESSES if llm_here else tuple(set(_PROCESSES) - {"llm"})
        url = ground.database("carelane")
        self._ground = ground
        self._engine: Engine = create_engine(url)
        self._stack = Stack(
            Settings(
                database_url=url.render_as_string(hide_password=False),
                queue_prefix=f"bench-{secrets.token_hex(4)}",
                sqs_endpoint_url=ground.sqs_endpoint,
                secret_key=secrets.token_hex(32),
                hmac_key=secrets.token_hex(32),
                openai_api_key="standin",
                openai_base_url=ground.llm_base_url,
                llm_simulated=True,
            ),
            ground.folder / "logs" / "carelane",
            fast_processes=processes,
        )
        self._fast_processes = processes
        self._portal: httpx.Client | None = None

    def start(self) -> None:
        """Start all but the dashboard, and see messages through every process."""
        self._stack.prepare()
        self.clear()
        self._stack.start(*self._names)
        self._portal = httpx.Client(
            base_url=self._stack.settings.intake_url, headers=self._stack.headers(), timeout=60
        )
        warm_up = ["A message that warms the model up."] * 64 * self._fast_processes
        self.submit_burst(warm_up)
        wait_until(lambda: self.settled() == len(warm_up), 120, "Carelane's first labels")
        self.clear()

    def stop(self) -> None:
        """Stop them."""
        self._stack.stop()
        if self._portal is not None:
            self._portal.close()

    def clear(self) -> None:
        """Empty the tables."""
        with self._engine.begin() as connection:
            connection.execute(text("TRUNCATE messages, llm_calls, label_cache CASCADE"))

    def submit(self, text: str) -> None:
        """One call of a portal, one message."""
        self._post({"external_id": str(uuid.uuid4()), "text": text})

    def submit_burst(self, texts: Sequence[str]) -> None:
        """One call of a portal with all of them."""
        rows = [{"external_id": str(uuid.uuid4()), "text": each} for each in texts]
        self._post({"messages": rows})

    def _post(self, body: Mapping[str, object]) -> None:
        assert self._portal is not None
        answer = self._portal.post("/v1/messages", json=body)
        answer.raise_for_status()
        assert answer.json().get("refused") == 0, answer.text[:300]

    def labelled(self) -> int:
        """Messages with a label, be it provisional."""
        return self._count("current_label_id IS NOT NULL OR provisional_label_id IS NOT NULL")

    def settled(self) -> int:
        """Messages that are labelled or a person's."""
        return self._count("settled_at IS NOT NULL") if self._llm_here else self.labelled()

    def _count(self, condition: str) -> int:
        with self._engine.connect() as connection:
            statement = text(f"SELECT count(*) FROM messages WHERE {condition}")  # noqa: S608
            return int(connection.execute(statement).scalar_one())

    def timelines(self) -> list[Timeline]:
        """Times of every settled message."""
        with self._engine.connect() as connection:
            rows = connection.execute(text(_TIMELINES)).all()
        return [
            Timeline(
                accepted_at=row.received_at,
                labelled_at=row.created_at,
                settled_at=row.settled_at,
                tier=row.tier,
                model_ms=row.latency_ms or 0.0,
            )
            for row in rows
        ]

    def parts(self) -> Mapping[str, Sequence[int]]:
        """Process ids by name."""
        own = {name: [self._stack.processes.pid(name)] for name in self._names}
        shared = {name: [pid] for name, pid in self._ground.pids.items()}
        return {**own, "sender": [os.getpid()], **shared}
