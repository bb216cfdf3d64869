"""Writes the plan: plots as SVG, and the tables of docs/scale.md between their marks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any, Final

from bench.capacity.check import table
from bench.capacity.plan import Felt, Hour, Limit
from bench.generated import put_into
from bench.plots import axes, save

_DOCS: Final = Path(__file__).parent.parent.parent / "docs"
_RESULT: Final = Path(__file__).parent.parent / "results" / "scale.json"


def write_pages(plan: dict[str, Any], measured: dict[str, Any]) -> None:
    """Plots, tables and bench/results/scale.json."""
    _RESULT.write_text(json.dumps(plan, indent=1, default=_plain) + "\n")
    folder = _DOCS / "scale"
    folder.mkdir(exist_ok=True)
    _plot_limits(plan["limits"], plan, folder / "limits.svg")
    _plot_knee(plan["knee"], folder / "latency.svg")
    _plot_day(plan["hours"], folder / "monday.svg")
    page = _DOCS / "scale.md"
    put_into(page, "check", _measured_on(measured) + "\n\n" + table(measured["check"]))
    put_into(page, "peak", _peak(plan))
    put_into(page, "limits", _limits(plan["limits"], plan["peak_per_s"]))
    put_into(page, "cost", _cost(plan["cost"]))
    put_into(page, "monday", _monday(plan["hours"]))
    put_into(page, "writes", _writes(measured["writes"]))


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    raise TypeError(f"cannot write {type(value).__name__} as JSON")


def _measured_on(found: dict[str, Any]) -> str:
    load = ", ".join(f"{value:.1f}" for value in found["load_average_at_start"])
    machine = found["machine"]
    return (
        f"{found['started_at']}, {machine['cpu']}, {machine['cores']} cores, load average at start "
        f"{load}; {found['options']['fast_processes']} fast worker process. *Slowness* is how much "
        "longer a fixed loop took than its CPU time: 1 on an idle machine."
    )


def _peak(plan: dict[str, Any]) -> str:
    felt, deployment = plan["felt"], plan["deployment"]
    rows = [
        ("messages a second: busiest hour / busiest minute",
         f"{plan['hour_peak_per_s']:,.0f} / {plan['peak_per_s']:,.0f}"),
        ("fast worker processes, one core each", f"{deployment.fast_processes}"),
        ("LLM worker processes, 32 calls each", f"{deployment.llm_processes}"),
        ("relays", f"{deployment.relays}"),
        ("accepted to label in the busiest minute, p50 / p95",
         f"{felt.label_p50_ms:,.0f} / {felt.label_p95_ms:,.0f} ms"),
        ("settled by the LLM, p50 / p95",
         f"{felt.llm_p50_ms / 1000:,.1f} / {felt.llm_p95_ms / 1000:,.1f} s"),
        ("fast workers busy", f"{felt.busy:.0%}"),
        ("messages per chunk / per LLM call",
         f"{felt.messages_per_chunk:.1f} / {felt.messages_per_call:.1f}"),
        ("LLM calls in flight, most", f"{felt.most_calls}"),
        ("SQS deliveries in flight, most (quota 120,000)",
         f"{felt.most_in_flight} ({plan['in_flight_share']:.2%})"),
        ("SQS calls a message", f"{felt.sqs_calls_per_message:.2f}"),
        ("write-ahead log: busiest minute / mean day",
         f"{plan['wal_mb_per_s_at_peak']:.1f} MB/s / {plan['wal_gb_a_day']:,.0f} GB"),
        ("tables and indexes grow, mean day", f"{plan['table_gb_a_day']:,.0f} GB"),
    ]  # fmt: skip
    return _rows(("", ""), rows)


def _limits(limits: Sequence[Limit], peak_per_s: float) -> str:
    rows = [
        (f"{each.part}, one {each.unit}", f"{each.per_s:,.0f}", f"{each.needed(peak_per_s):,.1f}",
         each.then)
        for each in limits
    ]  # fmt: skip
    head = ("part", "ends at, messages/s", "needed in the busiest minute", "what to change")
    return _rows(head, rows)


def _cost(cost: dict[str, Any]) -> str:
    ours, alone = cost["carelane"], cost["llm_alone"]
    rows = [
        ("LLM", f"{ours.llm:.4f}", f"{alone.llm:.4f}"),
        ("SQS", f"{ours.sqs:.4f}", "–"),
        ("worker processes", f"{ours.workers:.4f}", "not counted"),
        ("together", f"**{ours.whole:.4f}**", f"**{alone.whole:.4f}**"),
    ]
    words = f"\n\nCarelane costs {ours.whole / alone.whole:.0%} of one call per message."
    return _rows(("US dollars for 1,000 messages", "Carelane", "LLM alone"), rows) + words


def _monday(hours: Sequence[Hour]) -> str:
    busiest = max(hours, key=lambda hour: hour.asked_per_s)
    people = sum(hour.to_people for hour in hours)
    asked = sum(hour.asked_per_s for hour in hours) * 3600
    most = max(hour.waiting for hour in hours)
    return (
        f"In the busiest hour {busiest.asked_per_s:,.0f} messages a second want the LLM and its "
        f"limits let {busiest.room_per_s:,.0f} through. At most {most:,.0f} wait at an hour's end; "
        f"{people:,.0f} of {asked:,.0f} ({people / asked:.1%}) wait longer than 15 minutes and go "
        "to people with the small model's label."
    )


def _writes(writes: Sequence[dict[str, Any]]) -> str:
    clients = sorted({each["clients"] for each in writes})
    rates = {(each["clients"], each["notify"]): each["commits_per_s"] for each in writes}
    rows = [
        (str(count), f"{rates[count, True]:,.0f}", f"{rates[count, False]:,.0f}")
        for count in clients
    ]
    return _rows(("connections", "commits/s with NOTIFY", "without"), rows)


def _rows(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(head)} |", "|" + " --- |" * len(head)]
    return "\n".join(lines + [f"| {' | '.join(row)} |" for row in rows])


# --- Plots ----------------------------------------------------------------------------------------


def _plot_limits(limits: Sequence[Limit], plan: dict[str, Any], path: Path) -> None:
    figure, axis = axes(3.8)
    ordered = list(reversed(limits))
    names = [f"{each.part}\n(one {each.unit})" for each in ordered]
    axis.barh(names, [each.per_s for each in ordered], color="#2b6cb0")
    axis.axvline(plan["peak_per_s"], color="#c53030", label="busiest minute")
    axis.axvline(plan["hour_peak_per_s"], color="#c53030", linestyle=":", label="busiest hour")
    axis.set_xscale("log")
    axis.tick_params(axis="y", labelsize=7)
    axis.set_xlabel("messages a second at which one of it ends")
    axis.legend(frameon=False, loc="upper right")
    save(figure, path)


def _plot_knee(knee: Sequence[Felt], path: Path) -> None:
    figure, axis = axes()
    for count in sorted({each.fast_processes for each in knee}):
        mine = [each for each in knee if each.fast_processes == count]
        axis.plot(
            [each.per_s for each in mine],
            [each.label_p95_ms for each in mine],
            marker="o",
            label=f"{count} fast worker processes",
        )
    axis.set_yscale("log")
    axis.set_xlabel("messages a second")
    axis.set_ylabel("accepted to label, p95 in ms")
    axis.legend(frameon=False)
    save(figure, path)


def _plot_day(hours: Sequence[Hour], path: Path) -> None:
    figure, axis = axes()
    at = [hour.hour for hour in hours]
    axis.bar(at, [hour.asked_per_s for hour in hours], color="#90cdf4", label="want the LLM")
    axis.plot(at, [hour.room_per_s for hour in hours], color="#c53030", label="its limits")
    axis.set_xlabel("hour of a Monday")
    axis.set_ylabel("messages a second")
    axis.legend(frameon=False)
    save(figure, path)
