"""What an end-to-end run means: medians over its rounds, shares of time, a table to read."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.measure import median, quantile

if TYPE_CHECKING:
    from bench.end_to_end import Round

_PEER = "peer"


def machine() -> dict[str, Any]:
    """What it ran on."""
    model = "unknown"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "kernel": platform.release(),
    }


def summary(rounds: Sequence[Round]) -> dict[str, Any]:
    """Medians over rounds, by side; ratios; the machine's own spread."""
    names = sorted({r.side for r in rounds})
    by_side = {name: [r for r in rounds if r.side == name] for name in names}
    return {
        "sides": {name: _side_summary(turns) for name, turns in by_side.items()},
        "noise": _noise(rounds),
        "throughput_ratios": {
            name: _ratio(turns, by_side[_PEER])
            for name, turns in by_side.items()
            if name != _PEER and _PEER in by_side
        },
    }


def _ratio(turns: Sequence[Round], peers: Sequence[Round]) -> dict[str, Any]:
    """Throughput in each round over the peer's in the same round."""
    each = [
        turn.burst.messages_per_s / peer.burst.messages_per_s
        for turn, peer in zip(turns, peers, strict=True)
    ]
    return {"median": median(each), "each_round": each}


def _side_summary(turns: Sequence[Round]) -> dict[str, Any]:
    trickles = [label for turn in turns for label in turn.trickle.label_ms]
    tiers = sorted({tier for turn in turns for tier in turn.trickle.settle_ms_by_tier})
    by_tier = {
        tier: [ms for turn in turns for ms in turn.trickle.settle_ms_by_tier.get(tier, [])]
        for tier in tiers
    }
    bursts = [turn.burst.summary() for turn in turns]
    return {
        "rounds": len(turns),
        "start_s": median([turn.start_s for turn in turns]),
        "trickle": {
            "messages": len(trickles),
            "label_p50_ms": quantile(trickles, 0.5),
            "label_p95_ms": quantile(trickles, 0.95),
            "settle_by_tier": {
                tier: {
                    "messages": len(values),
                    "p50_ms": quantile(values, 0.5),
                    "p95_ms": quantile(values, 0.95),
                }
                for tier, values in by_tier.items()
            },
        },
        "burst": {
            **{key: median([b[key] for b in bursts]) for key in _BURST_NUMBERS},
            "labelled_per_s_each_round": [b["labelled_per_s"] for b in bursts],
        },
        "cpu": _cpu(turns),
    }


_BURST_NUMBERS = (
    "messages",
    "labelled_per_s",
    "settled_per_s",
    "accepted_per_s",
    "label_p50_ms",
    "label_p95_ms",
    "model_median_ms",
    "model_total_s",
    "labelled_s",
    "settled_s",
)


def _cpu(turns: Sequence[Round]) -> dict[str, Any]:
    """CPU ms per message of the burst by part, medians, up to its last first label."""
    bursts = [turn.burst for turn in turns]
    cores = os.cpu_count() or 1

    def per_message(pick: Callable[[Any], float]) -> float:
        return median([pick(b) * 1000 / b.messages for b in bursts])

    parts = {
        part: median([b.cpu_s_by_part[part] * 1000 / b.messages for b in bursts])
        for part in bursts[0].cpu_s_by_part
    }
    return {
        "ms_per_message_by_part": parts,
        # What others took meanwhile is not in it, so it holds on a busy machine too.
        "own_ms_per_message": sum(parts.values()),
        "machine_ms_per_message": per_message(lambda b: b.cpu_machine_s),
        "other_ms_per_message": per_message(
            lambda b: b.cpu_machine_s - sum(b.cpu_s_by_part.values())
        ),
        "cores_busy": median([b.cpu_machine_s / b.cpu_over_s for b in bursts]),
        "cores": cores,
    }


def _noise(rounds: Sequence[Round]) -> dict[str, float]:
    """The same loop's time before and after every phase: what of a difference is the machine."""
    samples = [ms for r in rounds for ms in (*r.trickle.calibration_ms, *r.burst.calibration_ms)]
    middle = median(samples)
    return {
        "samples": len(samples),
        "median_ms": middle,
        "p5_to_p95_share": (quantile(samples, 0.95) - quantile(samples, 0.05)) / middle,
        "worst_over_median": max(samples) / middle,
    }


def markdown(result: dict[str, Any]) -> str:
    """The result as a page: numbers first, then where the time goes."""
    found, options = result["summary"], result["options"]
    sides = found["sides"]
    names = list(sides)
    head = (
        f"{result['started_at']}, {result['machine']['cpu']}, {result['machine']['cores']} cores, "
        f"Python {result['machine']['python']}. {options['rounds']} rounds of each side in turns; "
        f"{options['workers']} labelling processes on each side; medians over rounds."
    )
    lines = [
        "# Carelane and its peer, end to end",
        "",
        head,
        "",
        *_table(["", *names], _rows(sides, names)),
        "",
    ]
    for name, ratio in found["throughput_ratios"].items():
        each = ", ".join(f"{value:.1f}" for value in ratio["each_round"])
        words = f"Labels per second, {name} / peer: **{ratio['median']:.1f}** (rounds: {each})."
        lines += [words, ""]
    lines += [*_own_cpu(sides), ""]
    lines += ["## Settled, trickle, by who settled it", "", *_tiers(sides, names), ""]
    lines += ["## CPU time of the burst, ms per message", "", *_cpu_table(sides, names), ""]
    noise = found["noise"]
    wobble = (
        f"Noise: a fixed loop took {noise['median_ms']:.1f} ms (median of {noise['samples']:.0f}); "
        f"its 5th to 95th percentile spread by {noise['p5_to_p95_share']:.0%}, "
        f"the worst took {noise['worst_over_median']:.2f} times the median."
    )
    lines += [wobble, ""]
    return "\n".join(lines)


def _own_cpu(sides: dict[str, Any]) -> list[str]:
    own = {name: sum(s["cpu"]["ms_per_message_by_part"].values()) for name, s in sides.items()}
    words = ", ".join(f"{name} {ms:.1f} ms" for name, ms in own.items())
    lines = [f"CPU time of a side's own processes, a message of the burst: {words}."]
    if _PEER in own:
        times = ", ".join(
            f"{own[_PEER] / ms:.1f} (peer / {n})" for n, ms in own.items() if n != _PEER
        )
        lines.append(f"As ratios: {times}. They hold also where the machine has other work.")
    return lines


def _rows(sides: dict[str, Any], names: Sequence[str]) -> Iterable[list[str]]:
    wanted = (
        ("trickle: accepted to label, p50 ms", "trickle", "label_p50_ms", ".0f"),
        ("trickle: accepted to label, p95 ms", "trickle", "label_p95_ms", ".0f"),
        ("burst: labels per second", "burst", "labelled_per_s", ".0f"),
        ("burst: accepted to label, p50 ms", "burst", "label_p50_ms", ".0f"),
        ("burst: accepted to label, p95 ms", "burst", "label_p95_ms", ".0f"),
        ("burst: all settled, LLM tier included, per second", "burst", "settled_per_s", ".0f"),
        ("burst: messages taken in per second", "burst", "accepted_per_s", ".0f"),
        ("burst: the small model, median ms a message", "burst", "model_median_ms", ".1f"),
    )
    for words, phase, key, form in wanted:
        yield [words, *(format(sides[name][phase][key], form) for name in names)]


def _tiers(sides: dict[str, Any], names: Sequence[str]) -> list[str]:
    rows = [
        [name, tier, str(v["messages"]), f"{v['p50_ms']:.0f}", f"{v['p95_ms']:.0f}"]
        for name in names
        for tier, v in sides[name]["trickle"]["settle_by_tier"].items()
    ]
    return _table(["side", "by", "messages", "p50 ms", "p95 ms"], rows)


def _cpu_table(sides: dict[str, Any], names: Sequence[str]) -> list[str]:
    rows = []
    for name in names:
        cpu = sides[name]["cpu"]
        parts = {**cpu["ms_per_message_by_part"], "everything else": cpu["other_ms_per_message"]}
        whole = cpu["machine_ms_per_message"]
        rows += [
            [name, part, f"{ms:.2f}", f"{ms / whole:.0%}"]
            for part, ms in sorted(parts.items(), key=lambda item: -item[1])
        ]
        rows.append([name, f"all ({cpu['cores_busy']:.2f} of {cpu['cores']} cores busy)",
                     f"{whole:.2f}", "100%"])  # fmt: skip
    return _table(["side", "part", "ms", "share"], rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    out = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    out += [f"| {' | '.join(row)} |" for row in rows]
    return out
