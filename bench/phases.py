"""The two loads: a trickle, where latency shows, and a burst, where throughput does."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bench.measure import CpuMeter, calibration_ms, median, quantile
from bench.sides import Side, Timeline
from bench.waiting import wait_until

#: Long enough for the slowest side on a slow machine; past it the run is broken.
_PATIENCE_S = 600


@dataclass(frozen=True, kw_only=True)
class Trickle:
    """Latencies at a low rate, in ms."""

    messages: int
    rate_per_s: float
    label_ms: list[float]  # accepted to the first label, each message
    settle_ms_by_tier: dict[str, list[float]]
    calibration_ms: list[float]

    def summary(self) -> dict[str, Any]:
        """Quantiles only."""
        return {
            "label_p50_ms": quantile(self.label_ms, 0.5),
            "label_p95_ms": quantile(self.label_ms, 0.95),
            "settle_by_tier": {
                tier: {
                    "messages": len(values),
                    "p50_ms": quantile(values, 0.5),
                    "p95_ms": quantile(values, 0.95),
                }
                for tier, values in sorted(self.settle_ms_by_tier.items())
            },
        }


@dataclass(frozen=True, kw_only=True)
class Burst:
    """How a side works off many messages that come at once."""

    messages: int
    labelled_s: float  # from the first hand-in to the last first label, by a clock outside
    settled_s: float
    accepted_s: float  # until the side had taken them all
    label_ms: list[float]
    model_ms: list[float]
    cpu_s_by_part: dict[str, float]
    cpu_machine_s: float
    cpu_over_s: float
    calibration_ms: list[float]

    @property
    def messages_per_s(self) -> float:
        """First labels per second."""
        return self.messages / self.labelled_s

    def summary(self) -> dict[str, Any]:
        """Rates, quantiles and sums."""
        return {
            "labelled_per_s": self.messages_per_s,
            "settled_per_s": self.messages / self.settled_s,
            "accepted_per_s": self.messages / self.accepted_s,
            "label_p50_ms": quantile(self.label_ms, 0.5),
            "label_p95_ms": quantile(self.label_ms, 0.95),
            "model_median_ms": median(self.model_ms),
            "model_total_s": sum(self.model_ms) / 1000,
            **{
                name: value
                for name, value in asdict(self).items()
                if name not in ("label_ms", "model_ms", "calibration_ms")
            },
        }


def trickle(side: Side, texts: Sequence[str], rate_per_s: float, seed: int) -> Trickle:
    """Hand in one message after the other at an uneven low rate, and wait for all."""
    wobble = random.Random(seed)
    calibration = calibration_ms()
    side.clear()
    due = time.perf_counter()
    for text in texts:
        # Uneven, so that no poll interval is met always at the same place.
        due += wobble.uniform(0.5, 1.5) / rate_per_s
        time.sleep(max(0.0, due - time.perf_counter()))
        side.submit(text)
    lines = _all_settled(side, len(texts))
    by_tier: dict[str, list[float]] = {}
    for line in lines:
        by_tier.setdefault(line.tier, []).append(line.settle_ms)
    return Trickle(
        messages=len(texts),
        rate_per_s=rate_per_s,
        label_ms=[line.label_ms for line in lines],
        settle_ms_by_tier=by_tier,
        calibration_ms=calibration + calibration_ms(),
    )


def burst(side: Side, texts: Sequence[str]) -> Burst:
    """Hand in all messages at once and work them off."""
    calibration = calibration_ms()
    side.clear()
    meter = CpuMeter(side.parts())
    started = time.perf_counter()
    side.submit_burst(texts)
    accepted_s = time.perf_counter() - started
    wait_until(lambda: side.labelled() >= len(texts), _PATIENCE_S, f"{side.name}'s labels")
    labelled_s = time.perf_counter() - started
    used = meter.stop()
    lines = _all_settled(side, len(texts))
    settled_s = time.perf_counter() - started
    return Burst(
        messages=len(texts),
        labelled_s=labelled_s,
        settled_s=settled_s,
        accepted_s=accepted_s,
        label_ms=[line.label_ms for line in lines],
        model_ms=[line.model_ms for line in lines],
        cpu_s_by_part=dict(used.by_part),
        cpu_machine_s=used.machine,
        cpu_over_s=used.seconds,
        calibration_ms=calibration + calibration_ms(),
    )


def _all_settled(side: Side, messages: int) -> list[Timeline]:
    wait_until(lambda: side.settled() >= messages, _PATIENCE_S, f"{side.name} to settle all")
    return side.timelines()
