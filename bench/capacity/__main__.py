"""`python -m bench.capacity measure|plan`: see README.md."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import click

from bench.capacity.check import compare, table
from bench.capacity.fit import ServiceTimes, fit
from bench.capacity.model import Deployment
from bench.capacity.pages import write_pages
from bench.capacity.plan import Day, whole_plan
from bench.capacity.reality import Load, Reality, Recorded
from bench.capacity.writes import measure_writes
from bench.ground import common_ground
from bench.report import machine

RESULTS: Final = Path(__file__).parent.parent / "results"
MEASURED: Final = RESULTS / "capacity.json"


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """A model of the whole path, checked against reality, and what it says of more."""


@main.command()
@click.option("--alone", default=60, show_default=True, help="Messages one by one, for the fit.")
@click.option("--full", default=500, show_default=True, help="Messages at once, for the fit.")
@click.option("--rates", default="10,40", show_default=True, help="Messages/s of checked loads.")
@click.option("--seconds", default=15.0, show_default=True, help="Length of each of these.")
@click.option("--burst", default=800, show_default=True, help="Messages at once, checked.")
@click.option("--fast", default=1, show_default=True, help="Fast worker processes.")
@click.option("--llm-latency", default=2.3, show_default=True, help="Stand-in LLM's mean, in s.")
@click.option("--seed", default=1, show_default=True)
@click.option("--writes", default=5, show_default=True, help="Seconds of a pgbench run; 0: none.")
@click.option("--raw", type=click.Path(path_type=Path), help="Keep each message's times here.")
def measure(
    alone: int,
    full: int,
    rates: str,
    seconds: float,
    burst: int,
    fast: int,
    llm_latency: float,
    seed: int,
    writes: int,
    raw: Path | None,
) -> None:
    """Run the real processes; write fitted service times and the check to bench/results."""
    loads = [
        Load(name="idle", messages=0),
        Load(name="alone", messages=alone, rate_per_s=5, even=True),
        Load(name="full", messages=full),
        *(
            Load(name=f"{rate}/s", messages=round(float(rate) * seconds), rate_per_s=float(rate))
            for rate in rates.split(",")
        ),
        Load(name=f"burst of {burst}", messages=burst),
    ]
    started = datetime.now(UTC)
    load_average = os.getloadavg()
    with (
        tempfile.TemporaryDirectory(prefix="carelane-capacity-") as folder,
        common_ground(Path(folder), llm_latency) as ground,
        Reality(ground, fast, seed) as reality,
    ):
        recorded = []
        for load in loads:
            click.echo(f"{load.name}: {load.messages} messages", err=True)
            recorded.append(reality.take(load))
    commits = []
    if writes:
        click.echo("Postgres: commits a second", err=True)
        commits = [asdict(each) for each in measure_writes((1, 16, 64), writes)]
    if raw is not None:
        raw.write_text(json.dumps([each.to_json() for each in recorded]))
    head = {
        "started_at": started.isoformat(timespec="seconds"),
        "machine": machine(),
        "load_average_at_start": load_average,
        "options": {"fast_processes": fast, "llm_latency_s": llm_latency, "seconds": seconds},
        "writes": commits,
    }
    _write(head, recorded)


@main.command()
@click.option("--day", "messages", default=10_000_000, show_default=True, help="Messages a day.")
def plan(messages: int) -> None:
    """Plan for a day from what `measure` wrote; writes plots and the tables of docs/scale.md."""
    found = json.loads(MEASURED.read_text())
    if not found["writes"]:
        raise click.ClickException("capacity.json has no writes: run measure with --writes 5")
    times = ServiceTimes.from_json(found["times"])
    write_pages(whole_plan(times, Day(messages=messages), found["writes"]), found)


@main.command()
@click.argument("raw", type=click.Path(exists=True, path_type=Path))
def refit(raw: Path) -> None:
    """Fit and check anew from the file that `measure --raw` kept."""
    head = json.loads(MEASURED.read_text())
    recorded = [Recorded.from_json(each) for each in json.loads(raw.read_text())]
    _write({name: head[name] for name in head if name not in ("times", "check")}, recorded)


def _write(head: dict[str, Any], recorded: list[Recorded]) -> None:
    idle, alone, full, *loads = recorded
    times = fit(idle, alone, full)
    deployment = Deployment(
        fast_processes=head["options"]["fast_processes"], cores=head["machine"]["cores"]
    )
    rows = compare(loads, times, deployment)
    RESULTS.mkdir(exist_ok=True)
    found = {**head, "times": asdict(times), "check": rows}
    MEASURED.write_text(json.dumps(found, indent=1) + "\n")
    click.echo(table(rows))


if __name__ == "__main__":
    main()
