"""Distributions from measured times. Pure.

Waiting and model times get a log-normal, from nothing or from just below the smallest value,
whichever is nearer to what was measured: its deviation from the lower half, its mean as measured.
What grows with a chunk's size gets a straight line through the medians at one message and at full
chunks. How far a fit is from what was measured is its Kolmogorov-Smirnov distance, and is written
beside it.

Wall-clock times hold what other processes took of the cores meanwhile, which the model adds by
itself. So the fast worker's CPU time, which does not, sets the scale: a phase's times are divided
by how much longer the small model took in it than its CPU time says.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from random import Random
from statistics import NormalDist, fmean
from typing import Any

from bench.capacity.reality import Message, Recorded
from bench.measure import median, quantile

_LEAST_MS = 0.01


@dataclass(frozen=True, kw_only=True)
class LogNormal:
    """exp(N(mu, sigma)) + shift, in ms."""

    shift_ms: float
    mu: float
    sigma: float
    ks: float = 0.0  # distance to what was measured
    samples: int = 0

    @classmethod
    def of(cls, values_ms: Sequence[float]) -> LogNormal:
        """The fit to these values."""
        if not values_ms:
            raise ValueError("nothing to fit: the run recorded no values; was it too short?")
        fits = [cls._shifted(values_ms, share * max(min(values_ms), 0.0)) for share in (0, 0.95)]
        return min(fits, key=lambda fit: fit.ks)

    @classmethod
    def _shifted(cls, values_ms: Sequence[float], shift_ms: float) -> LogNormal:
        """Deviation by the lower half, because a busy machine only adds; mean as measured."""
        rest = [max(value - shift_ms, _LEAST_MS) for value in values_ms]
        sigma = math.log(quantile(rest, 0.5) / quantile(rest, 0.16))
        mu = math.log(fmean(rest)) - sigma**2 / 2
        fit = cls(shift_ms=shift_ms, mu=mu, sigma=sigma, samples=len(rest))
        return replace(fit, ks=fit.distance(values_ms))

    @property
    def mean_ms(self) -> float:
        """Its mean."""
        return self.shift_ms + math.exp(self.mu + self.sigma**2 / 2)

    def sample(self, random: Random) -> float:
        """One value in ms."""
        return self.shift_ms + random.lognormvariate(self.mu, self.sigma)

    def below(self, value_ms: float) -> float:
        """The share below a value."""
        if value_ms <= self.shift_ms:
            return 0.0
        if not self.sigma:
            return float(math.log(value_ms - self.shift_ms) >= self.mu)
        return NormalDist(self.mu, self.sigma).cdf(math.log(value_ms - self.shift_ms))

    def distance(self, values_ms: Sequence[float]) -> float:
        """Kolmogorov-Smirnov: the widest gap between this and the values' own distribution."""
        ordered, count = sorted(values_ms), len(values_ms)
        gaps = [
            max(abs(self.below(v) - place / count), abs(self.below(v) - (place + 1) / count))
            for place, v in enumerate(ordered)
        ]
        return max(gaps, default=0.0)


@dataclass(frozen=True, kw_only=True)
class Line:
    """base + each x n, in ms."""

    base_ms: float
    each_ms: float

    def at(self, count: float) -> float:
        """For so many messages."""
        return self.base_ms + self.each_ms * count

    @classmethod
    def through(cls, one_ms: float, many: float, many_ms: float) -> Line:
        """Through one message's time and that of many; neither part below nothing."""
        each = max(0.0, (many_ms - one_ms) / (many - 1)) if many > 1 else 0.0
        return cls(base_ms=max(0.0, one_ms - each), each_ms=each)


@dataclass(frozen=True, kw_only=True)
class ServiceTimes:
    """Everything that the model draws from."""

    wake: LogNormal  # commit to the relay's step
    relay: Line  # a relay's step
    pickup: LogNormal  # sent until a fast worker has claimed it
    model: LogNormal  # the small model, a message
    chunk: Line  # what a fast worker does around the model before it writes
    write: Line  # its writing
    gap_ms: float  # acknowledging and claiming the next, while there is a next
    llm_call: LogNormal  # a call's answer
    stretch: float  # wall-clock over CPU time while messages came one by one
    llm_cpu_ms: float  # of the LLM worker, an escalated message
    side_one_ms: float  # of intake, Postgres, SQS, a message that comes alone
    side_full_ms: float  # the same in full chunks
    intake_one_ms: float  # CPU of the intake, a call with one message
    idle_cores: float  # that polling takes, all processes together
    escalated: float  # share of messages
    flagged: float  # share of messages
    tokens_in: Line  # of a prompt, by its messages; "ms" are tokens here
    tokens_out: float  # a message
    cpu_ms: dict[str, float]  # in full chunks, by part
    cached_share: float  # of a prompt's tokens, as the (simulated) provider counts them
    commits: float  # of Postgres, a message in full chunks, the intake's own left out
    wal_bytes: float  # a message in full chunks
    table_bytes: float  # a message, with its labels, words and indexes

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> ServiceTimes:
        """What `asdict` wrote."""
        made: dict[str, Any] = {}
        for name, value in found.items():
            if isinstance(value, dict) and "mu" in value:
                made[name] = LogNormal(**value)
            elif isinstance(value, dict) and "each_ms" in value:
                made[name] = Line(**value)
            else:
                made[name] = value
        return cls(**made)


def fit(idle: Recorded, alone: Recorded, full: Recorded) -> ServiceTimes:
    """Service times from an idle time, messages that came one by one, and a burst."""
    idle_cores = {part: ms / 1000 / idle.over_s for part, ms in idle.cpu_ms.items()}
    wakes, pickups, chunk_ones, write_ones = _alone(alone)
    size, works, writes, gaps = _full(full)
    both = alone.messages + full.messages
    escalated = sum(m.escalated for m in both) / len(both)
    models = [m.model_ms for m in alone.messages if m.model_ms]
    full_model_ms = fmean(m.model_ms for m in full.messages if m.model_ms)
    around_ms = (median(works) + median(writes)) / size
    model_cpu_ms = full.cpu_ms["fast"] * full_model_ms / (full_model_ms + around_ms)
    slow, full_slow = fmean(models) / model_cpu_ms, full_model_ms / model_cpu_ms
    return ServiceTimes(
        wake=LogNormal.of([value / slow for value in wakes]),
        relay=_relay(alone, full, slow, full_slow),
        pickup=LogNormal.of([value / slow for value in pickups]),
        model=LogNormal.of([value / slow for value in models]),
        chunk=Line.through(median(chunk_ones) / slow, size, median(works) / full_slow),
        write=Line.through(median(write_ones) / slow, size, median(writes) / full_slow),
        gap_ms=median(gaps) / full_slow,
        stretch=slow,
        llm_call=LogNormal.of([c[1] for c in alone.calls + full.calls]),
        llm_cpu_ms=full.cpu_ms["llm"] / max(escalated, 0.01),
        side_one_ms=_side(alone, idle_cores),
        side_full_ms=_side(full, idle_cores),
        intake_one_ms=alone.cpu_ms["intake"],
        idle_cores=sum(idle_cores.values()),
        escalated=escalated,
        flagged=sum(m.flagged for m in both) / len(both),
        tokens_in=_tokens(alone.calls + full.calls),
        tokens_out=sum(c[4] for c in full.calls) / max(1, sum(c[0] for c in full.calls)),
        cpu_ms=full.cpu_ms,
        cached_share=sum(c[3] for c in full.calls) / max(1, sum(c[2] for c in full.calls)),
        commits=max(0.0, full.commits - 1 / full.load.messages),
        wal_bytes=full.wal_bytes,
        table_bytes=full.table_bytes,
    )


def _side(recorded: Recorded, idle_cores: Mapping[str, float]) -> float:
    """CPU beside the path's own steps: it takes cores, and nobody waits for it by itself.

    What polling takes while nothing happens is taken off.
    """
    parts = ("intake", "Postgres", "LocalStack", "stand-in LLM", "sender", "sweeper")
    each_s = recorded.over_s / recorded.load.messages
    return sum(
        max(0.0, recorded.cpu_ms.get(part, 0.0) - idle_cores.get(part, 0.0) * each_s * 1000)
        for part in parts
    )


def _alone(alone: Recorded) -> tuple[list[float], list[float], list[float], list[float]]:
    """Of each message that came alone: wake, pickup, work around the model, writing."""
    sent = [(end, ms) for lane, _, end, ms in alone.sent if lane != "llm"]
    wakes, pickups, around, writes = [], [], [], []
    for message in alone.messages:
        step = next(((end, ms) for end, ms in sent if end >= message.received_s), None)
        chunk = next(
            ((end, ms) for n, end, ms in alone.chunks if n == 1 and _wrote(message, end, ms)), None
        )
        if step is None or chunk is None:
            continue
        started = chunk[0] - chunk[1] / 1000
        wakes.append(max(_LEAST_MS, (step[0] - message.received_s) * 1000 - step[1]))
        pickups.append(max(_LEAST_MS, (started - step[0]) * 1000))
        around.append(max(0.0, (message.labelled_s - started) * 1000 - message.model_ms))
        writes.append(max(0.0, (chunk[0] - message.labelled_s) * 1000))
    return wakes, pickups, around, writes


def _wrote(message: Message, end_s: float, duration_ms: float) -> bool:
    return end_s - duration_ms / 1000 - 0.002 <= message.labelled_s <= end_s + 0.002


def _full(full: Recorded) -> tuple[float, list[float], list[float], list[float]]:
    """Of full chunks: mean size, work around the model, writing, the gap to the next."""
    most = max(n for n, _, _ in full.chunks)
    chunks = sorted((end - ms / 1000, end, n) for n, end, ms in full.chunks if n > most / 2)
    works, writes = [], []
    for started, ended, _ in chunks:
        members = [m for m in full.messages if started - 0.002 <= m.labelled_s <= ended + 0.002]
        if members:
            label = median([m.labelled_s for m in members])
            models = sum(m.model_ms for m in members)
            works.append(max(0.0, (label - started) * 1000 - models))
            writes.append(max(0.0, (ended - label) * 1000))
    gaps = [(b[0] - a[1]) * 1000 for a, b in pairwise(chunks)]
    size = sum(n for _, _, n in chunks) / len(chunks)
    return size, works, writes, [max(0.0, gap) for gap in gaps] or [0.0]


def _relay(alone: Recorded, full: Recorded, slow: float, full_slow: float) -> Line:
    ones = [ms for _, n, _, ms in alone.sent if n == 1]
    n, many_ms = max((n, ms) for lane, n, _, ms in full.sent if lane != "llm")
    return Line.through(median(ones) / slow, n, many_ms / full_slow)


def _tokens(calls: Sequence[tuple[int, float, int, int, int]]) -> Line:
    """Tokens of a prompt by how many messages share it: least squares."""
    counts, tokens = [c[0] for c in calls], [c[2] for c in calls]
    middle, mean = fmean(counts), fmean(tokens)
    spread = sum((c - middle) ** 2 for c in counts)
    covered = sum((c - middle) * (t - mean) for c, t in zip(counts, tokens, strict=True))
    each = covered / spread if spread else 0.0
    return Line(base_ms=mean - each * middle, each_ms=each)
