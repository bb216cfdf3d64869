"""The whole path as a discrete-event model: outbox, relay, SQS, fast workers, LLM calls.

The rules are the processes' own: chunk sizes from shared.contracts, when an LLM call starts from
`workers.llm_tier.batcher.due`. Times are drawn from what measured runs gave. `cores` puts all
processes on one machine's cores, which all share fairly; None gives each a core of its own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

import simpy

from bench.capacity.fit import ServiceTimes
from shared.contracts import Lane
from workers.llm_tier.batcher import Pace, due

Events = Generator[simpy.Event, Any, Any]
_SLICE_MS = 4.0
#: Tasks in one SendMessageBatch, and so in one step of a relay.
_TASKS_PER_CALL = 10
#: Deliveries that an LLM worker holds per call in flight, as its command line sets it.
_IN_HAND = 2
_BURST_S = 5.0
#: Deliveries that a fast process has in hand: `worker_prefetch_multiplier` of the fast lanes.
_PREFETCH = 2


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """What runs, and where."""

    fast_processes: int = 1
    llm_processes: int = 1
    llm_calls: int = 32  # in flight, a process
    relays: int = 1
    cores: int | None = None  # of the one machine for all; None: as many as it takes
    others: float = 0.0  # programs of others that want one of them, at any time
    hop_ms: float = 0.0  # more per call to SQS than was measured: another machine's network
    llm_requests_per_minute: float = 0.0  # 0: no limit
    llm_tokens_per_minute: float = 0.0


@dataclass(eq=False)
class Passage:
    """One message on its way; times in ms."""

    came_ms: float
    flagged: bool
    escalated: bool
    labelled_ms: float = -1.0
    settled_ms: float = -1.0


@dataclass(kw_only=True)
class Outcome:
    """What a run of the model came to."""

    messages: list[Passage]
    sends: int = 0  # SendMessageBatch calls
    chunks: dict[str, int] = field(default_factory=dict)  # deliveries, by lane
    llm_calls: int = 0
    llm_messages: int = 0
    most_in_flight: int = 0  # deliveries that are neither waiting nor acknowledged
    most_waiting: int = 0  # chunks for the fast workers
    most_calls: int = 0  # LLM calls at once
    fast_busy_ms: float = 0.0


class Model:
    """One run."""

    def __init__(
        self,
        times: ServiceTimes,
        deployment: Deployment,
        arrivals_ms: Sequence[float],
        *,
        seed: int,
        in_burst: bool = False,
    ) -> None:
        self.times, self.deployment = times, deployment
        self.env = simpy.Environment()
        self.random = Random(seed)
        self._working = 0  # of our processes, at this moment
        self._outbox: dict[Lane, deque[Passage]] = {lane: deque() for lane in Lane}
        self._asleep: list[simpy.Event] = []
        self._fast: simpy.PriorityStore = simpy.PriorityStore(self.env)
        self._llm: simpy.Store = simpy.Store(self.env)
        self._side_ms = times.side_full_ms if in_burst else times.side_one_ms
        self._in_flight = self._calls = self._number = 0
        self._slot_ms: dict[str, float] = {}
        self.outcome = Outcome(messages=[])
        self._arrivals = arrivals_ms
        self._left = len(arrivals_ms)
        self._done = self.env.event()

    def run(self) -> Outcome:
        """Until every message is settled."""
        self.env.process(self._arrive())
        for _ in range(self.deployment.relays):
            self.env.process(self._relay())
        for _ in range(self.deployment.fast_processes):
            self.env.process(self._fast_worker())
        for _ in range(self.deployment.llm_processes):
            _LlmWorker(self).start()
        self.env.run(until=self._done)
        return self.outcome

    # --- The machine --------------------------------------------------------------------------

    def work(self, amount_ms: float) -> Events:
        """Compute for so long; where cores are shared, slice by slice, each by the share then."""
        cores = self.deployment.cores
        if cores is None:
            yield self.env.timeout(amount_ms)
            return
        self._working += 1
        while amount_ms > 0:
            slice_ms = min(_SLICE_MS, amount_ms)
            wanted = self._working + self.deployment.others
            yield self.env.timeout(slice_ms * max(1.0, wanted / cores))
            amount_ms -= slice_ms
        self._working -= 1

    # --- Intake and relay ---------------------------------------------------------------------

    def _arrive(self) -> Events:
        for at_ms in self._arrivals:
            yield self.env.timeout(max(0.0, at_ms - self.env.now))
            message = Passage(
                came_ms=self.env.now,
                flagged=self.random.random() < self.times.flagged,
                escalated=self.random.random() < self.times.escalated,
            )
            self.outcome.messages.append(message)
            if self.deployment.cores is not None:
                self.env.process(self.work(self._side_ms))
            self.enqueue(Lane.PRIORITY if message.flagged else Lane.FAST, [message])

    def enqueue(self, lane: Lane, messages: Sequence[Passage]) -> None:
        """Outbox rows, committed; wakes a relay that sleeps."""
        self._outbox[lane].extend(messages)
        if self._asleep:
            self._asleep.pop().succeed()

    def _relay(self) -> Events:
        while True:
            if not any(self._outbox.values()):
                woken = self.env.event()
                self._asleep.append(woken)
                yield woken
                yield from self.work(self.times.wake.sample(self.random))
            for lane in (Lane.PRIORITY, Lane.LLM, Lane.FAST):
                if self._outbox[lane]:
                    yield from self._step(lane)

    def _step(self, lane: Lane) -> Events:
        rows = self._outbox[lane]
        taken = [rows.popleft() for _ in range(min(len(rows), _TASKS_PER_CALL * lane.chunk))]
        yield from self.work(self.times.relay.at(len(taken)))
        yield self.env.timeout(self.deployment.hop_ms)
        self.outcome.sends += 1
        for start in range(0, len(taken), lane.chunk):
            self.env.process(self._deliver(lane, taken[start : start + lane.chunk]))

    def _deliver(self, lane: Lane, chunk: list[Passage]) -> Events:
        yield from self.work(self.times.pickup.sample(self.random))
        yield self.env.timeout(self.deployment.hop_ms)
        self.outcome.chunks[lane.value] = self.outcome.chunks.get(lane.value, 0) + 1
        self._number += 1
        if lane is Lane.LLM:
            yield self._llm.put(chunk)
        else:
            rank = 0 if lane is Lane.PRIORITY else 1
            yield self._fast.put(simpy.PriorityItem((rank, self._number), chunk))
            self.outcome.most_waiting = max(self.outcome.most_waiting, len(self._fast.items))

    # --- Fast tier ----------------------------------------------------------------------------

    def _fast_worker(self) -> Events:
        """One pool process with its parent, which acknowledges, one call at a time."""
        times = self.times
        in_hand = simpy.Resource(self.env, _PREFETCH)
        parent = simpy.Resource(self.env, 1)
        while True:
            place = in_hand.request()
            yield place
            chunk: list[Passage] = (yield self._fast.get()).item
            self.took()
            began_ms = self.env.now
            models_ms = sum(times.model.sample(self.random) for _ in chunk)
            yield from self.work(models_ms + times.chunk.at(len(chunk)))
            for message in chunk:
                message.labelled_ms = self.env.now
            yield from self.work(times.write.at(len(chunk)))
            self.settle([m for m in chunk if not m.escalated])
            if doubtful := [m for m in chunk if m.escalated]:
                self.enqueue(Lane.LLM, doubtful)
            yield from self.work(times.gap_ms)
            self.env.process(self._acknowledge(in_hand, place, parent))
            self.outcome.fast_busy_ms += self.env.now - began_ms

    def _acknowledge(self, in_hand: Any, place: Any, parent: Any) -> Events:
        with parent.request() as turn:
            yield turn
            yield self.env.timeout(self.deployment.hop_ms)
        self.gave_back()
        in_hand.release(place)

    def settle(self, messages: Sequence[Passage]) -> None:
        """Nothing more will happen to these by itself."""
        for message in messages:
            message.settled_ms = self.env.now
        self._left -= len(messages)
        if not self._left and not self._done.triggered:
            self._done.succeed()

    def took(self) -> None:
        """A delivery is in flight."""
        self._in_flight += 1
        self.outcome.most_in_flight = max(self.outcome.most_in_flight, self._in_flight)

    def gave_back(self) -> None:
        """It was acknowledged."""
        self._in_flight -= 1

    # --- LLM tier -----------------------------------------------------------------------------

    def call(self, batch: Sequence[Passage]) -> Events:
        """One LLM call: the gate's wait, then the answer."""
        count = len(batch)
        tokens = self.times.tokens_in.at(count) + self.times.tokens_out * count
        limits = self.deployment
        wait_ms = max(
            self._slot("requests", 1, limits.llm_requests_per_minute),
            self._slot("tokens", tokens, limits.llm_tokens_per_minute),
        )
        self.outcome.llm_calls += 1
        self.outcome.llm_messages += count
        yield self.env.timeout(wait_ms)
        self._calls += 1
        self.outcome.most_calls = max(self.outcome.most_calls, self._calls)
        yield self.env.timeout(self.times.llm_call.sample(self.random))
        self._calls -= 1
        self.settle(batch)

    def _slot(self, name: str, amount: float, per_minute: float) -> float:
        """ms to wait for `amount` of a rate: the gate's own rule (generic cell rate)."""
        if not per_minute:
            return 0.0
        now_ms: float = self.env.now
        earliest_ms = now_ms - _BURST_S * 1000
        start_ms = max(self._slot_ms.get(name, earliest_ms), earliest_ms)
        self._slot_ms[name] = start_ms + amount * 60_000 / per_minute
        return max(0.0, start_ms - now_ms)

    def next_llm_chunk(self) -> simpy.Event:
        """The next delivery of the LLM lane."""
        return self._llm.get()


class _LlmWorker:
    """One LLM worker process: masks under the interpreter's lock, gathers, calls."""

    def __init__(self, model: Model) -> None:
        self._model, self._env = model, model.env
        self._lock = simpy.Resource(self._env, 1)
        self._pace = Pace(most_calls=model.deployment.llm_calls)
        self._slots = simpy.Resource(self._env, model.deployment.llm_calls * _IN_HAND)
        self._waiting: list[tuple[float, Passage, simpy.Event]] = []
        self._in_flight = 0

    def start(self) -> None:
        """Take deliveries for ever."""
        self._env.process(self._receive())

    def _receive(self) -> Events:
        while True:
            slot = self._slots.request()
            yield slot
            chunk: list[Passage] = yield self._model.next_llm_chunk()
            self._model.took()
            self._env.process(self._hold(chunk, slot))

    def _hold(self, chunk: list[Passage], slot: Any) -> Events:
        answered = []
        for _ in chunk:
            with self._lock.request() as turn:
                yield turn
                yield from self._model.work(self._model.times.llm_cpu_ms)
        for message in chunk:
            told = self._env.event()
            answered.append(told)
            self._waiting.append((self._env.now, message, told))
        self._look()
        self._env.process(self._look_later())
        yield self._env.all_of(answered)
        self._model.gave_back()
        self._slots.release(slot)

    def _look_later(self) -> Events:
        yield self._env.timeout(self._pace.hold_s * 1000 + 1)
        self._look()

    def _look(self) -> None:
        """Start every call that is due."""
        while self._waiting:
            oldest_s = (self._env.now - self._waiting[0][0]) / 1000
            if not due(len(self._waiting), oldest_s, self._in_flight, self._pace):
                return
            batch = self._waiting[: self._pace.most_messages]
            self._waiting = self._waiting[len(batch) :]
            self._in_flight += 1
            self._env.process(self._ask(batch))

    def _ask(self, batch: Sequence[tuple[float, Passage, simpy.Event]]) -> Events:
        yield from self._model.call([message for _, message, _ in batch])
        self._in_flight -= 1
        for _, _, told in batch:
            told.succeed()
        self._look()
