"""`python -m bench.readme`: writes README's measured figures from what the runs wrote.

A test compares the two, so that a figure in README is always one of a file under bench/results.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from bench.generated import put

RESULTS: Final = Path(__file__).parent / "results"
README: Final = Path(__file__).parent.parent / "README.md"
NAME: Final = "figures"
_CARELANE: Final = "carelane"
_FAST_ONLY: Final = "carelane, LLM workers elsewhere"
_PEER: Final = "peer"


def figures(results: Path = RESULTS) -> str:
    """The table, from the files of a folder."""
    lines = ["| | | |", "| --- | --- | --- |"]
    return "\n".join(lines + [f"| {' | '.join(row)} |" for row in _rows(results)])


def _rows(results: Path) -> Iterator[tuple[str, str, str]]:
    yield from _end_to_end(quietest(results))
    yield from _cascade(_read(results / "cascade.json"))
    yield from _dashboard(_read(results / "dashboard.json"))
    if (results / "hosts_cut.json").exists():
        yield from _hosts(_read(results / "hosts_cut.json"))


def quietest(results: Path) -> dict[str, Any]:
    """Of the end-to-end runs kept, the one beside which the machine wobbled least."""
    paths = [results / f"{name}.json" for name in ("end_to_end", "idle")]
    runs = [_read(path) for path in paths if path.exists()]
    return min(runs, key=lambda run: float(run["summary"]["noise"]["p5_to_p95_share"]))


def _read(path: Path) -> Any:
    return json.loads(path.read_text())


def _end_to_end(run: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    sides, options = run["summary"]["sides"], run["options"]
    tiers = sides[_CARELANE]["trickle"]["settle_by_tier"]
    fast = tiers["fast"]
    where = "[performance](docs/performance.md)"
    yield (
        f"accepted to label, {options['rate_per_s']:g} messages a second",
        (
            f"fast tier {fast['p50_ms']:.0f} ms median, {fast['p95_ms']:.0f} ms p95; "
            f"through the simulated LLM {tiers['llm']['p50_ms'] / 1000:.1f} s median "
            f"({options['rounds'] * options['trickle_s'] * options['rate_per_s']:.0f} messages)"
        ),
        where,
    )
    rate = {name: side["burst"]["labelled_per_s"] for name, side in sides.items()}
    yield (
        "burst, labels per second",
        (
            f"{rate[_FAST_ONLY]:.0f} ({rate[_CARELANE]:.0f} with the LLM tier on the same two "
            f"cores), against {rate[_PEER]:.0f} for a Celery task per message with "
            "`transformers.pipeline`"
        ),
        where,
    )


def _cascade(rows: list[dict[str, Any]]) -> Iterator[tuple[str, str, str]]:
    by_name = {row["name"]: row for row in rows if row["load"] == "steady"}
    alone, ours = by_name["a: LLM alone"], by_name["c: Carelane"]
    yield (
        "the LLM against one call per message",
        f"{1 - ours['calls'] / alone['calls']:.0%} fewer calls, "
        f"{1 - ours['cost_usd'] / alone['cost_usd']:.0%} less cost".replace("%", " %"),
        "[LLM tier](docs/llm_tier.md)",
    )


def _dashboard(run: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    pages, live = run["pages_3000_open"], run["live"]
    paint = pages["first paint in Chromium"]["median_ms"]
    yield (
        "dashboard",
        (
            f"{pages['messages']:,} messages: first paint {paint:.0f} ms median; {live['viewers']} "
            f"viewers at {live['messages_per_s']:g} messages a second see a change after "
            f"{live['delay_ms']['p95'] / 1000:.2f} s (p95)"
        ),
        "[dashboard](docs/dashboard.md)",
    )


def _hosts(run: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    rows, options = run["rows"], run["options"]
    names = ", ".join(row["host"] for row in rows)
    yield (
        "several hosts, one cut off and back",
        (
            f"{sum(row['accepted'] for row in rows)} messages while {names} were cut off in "
            f"turn for {options['cut_s']:g} s: {sum(row['lost'] for row in rows)} lost, "
            f"{sum(row['labelled_twice'] for row in rows)} labelled twice"
        ),
        "[hosts](bench/hosts/README.md)",
    )


def main() -> None:
    """Write the table into README."""
    README.write_text(put(README.read_text(), NAME, figures()))


if __name__ == "__main__":
    main()
