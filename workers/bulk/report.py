"""What became of a file: counted from the parts' marks, as JSON and in words."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

from shared.contracts import Status
from workers.bulk.manifest import Manifest
from workers.bulk.part import REJECTS, marks
from workers.bulk.places import Folder
from workers.bulk.questions import Spending
from workers.bulk.tally import Tally

NAME: Final = "report.json"
REJECTS_NAME: Final = "rejects.jsonl"
_TITLES: Final = (
    ("status", "Status"),
    ("tier", "Label by"),
    ("status_reason", "To people because"),
)
_SLICES: Final = ("urgency", "category", "language", "length", "red flags")


def make_report(folder: Folder, manifest: Manifest, run: Mapping[str, Any]) -> dict[str, Any]:
    """Add up the marks. `run`: engine, seconds and what else this process knows."""
    tally = Tally()
    rejected, parts, work_s = 0, 0, 0.0
    for mark in marks(folder):
        tally.add_all(Tally.from_dict(mark["counts"]))
        rejected += mark["rejected"]
        work_s += mark["seconds"]
        parts += 1
    counts = tally.as_dict()
    return {
        "messages": sum(counts.get("status", {}).values()),
        "rejected": rejected,
        "parts": {"done": parts, "of": len(manifest.plan.parts)},
        "work_s": round(work_s, 1),
        "versions": dict(manifest.versions),
        "ambiguous": manifest.job.ambiguous,
        "run": dict(run),
        "llm": Spending.read(folder).as_dict(),
        "status": counts.get("status", {}),
        "tier": counts.get("tier", {}),
        "status_reason": counts.get("status_reason", {}),
        "reasons": counts.get("reasons", {}),
        "slices": {name: dict(_slice(counts, name)) for name in _SLICES},
    }


def _slice(
    counts: Mapping[str, Mapping[str, int]], name: str
) -> Iterator[tuple[str, dict[str, int]]]:
    labelled = counts.get(f"labelled: {name}", {})
    for value, count in counts.get(f"slice: {name}", {}).items():
        yield value, {"messages": count, "labelled": labelled.get(value, 0)}


def write_report(folder: Folder, report: Mapping[str, Any]) -> None:
    """report.json, and the rejects of all parts in one file."""
    lines = b"".join(folder.read(name) or b"" for name in folder.names(REJECTS))
    if lines:
        folder.write(REJECTS_NAME, lines)
    folder.write(NAME, json.dumps(report, indent=1, ensure_ascii=False).encode())


def in_words(report: Mapping[str, Any]) -> Iterator[str]:
    """The report's lines for a person."""
    messages, run = report["messages"], report["run"]
    yield f"{messages:,} messages, {report['rejected']:,} rows rejected"
    if run.get("rows"):
        yield (
            f"{run['rows']:,} of them now, in {run['seconds']:,.0f} s: "
            f"{run['rows'] / max(run['seconds'], 0.001):,.0f} a second ({run['engine']})"
        )
    for name, title in _TITLES:
        if report[name]:
            yield f"{title}: " + _shares(report[name], messages)
    if report["reasons"]:
        yield "Not accepted because: " + _shares(report["reasons"], messages)
    if report["llm"]["calls"]:
        yield _spent(report["llm"], simulated=bool(run.get("llm_simulated")))
    yield from _table(report["slices"])


def _shares(counts: Mapping[str, int], total: int) -> str:
    return ", ".join(
        f"{name} {count:,} ({100 * count / max(total, 1):.1f} %)"
        for name, count in Counter(counts).most_common()
    )


def _spent(llm: Mapping[str, Any], *, simulated: bool) -> str:
    name = "LLM (simulated)" if simulated else "LLM"
    return (
        f"{name}: {llm['calls']:,} calls about {llm['messages']:,} messages, {llm['failed']:,} "
        f"failed; {llm['prompt_tokens']:,} tokens in ({llm['cached_tokens']:,} cached), "
        f"{llm['completion_tokens']:,} out; {float(llm['cost_usd']):.4f} USD"
    )


def _table(slices: Mapping[str, Mapping[str, Mapping[str, int]]]) -> Iterator[str]:
    yield f"{'':28} {'messages':>10} {'labelled':>10}"
    for name, values in slices.items():
        for value, counts in sorted(values.items(), key=lambda each: -each[1]["messages"]):
            share = 100 * counts["labelled"] / counts["messages"]
            yield f"{name + ' ' + value:28} {counts['messages']:>10,} {share:>8.1f} %"


def is_open(report: Mapping[str, Any]) -> int:
    """Messages that still wait for the LLM."""
    return int(report["status"].get(Status.ESCALATED, 0))
