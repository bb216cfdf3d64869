"""`make bench-all [QUICK=1]`: every benchmark, one report (HTML with plots, and JSON).

Each runs as its own command in its own environment, one after the other; one that fails or whose
environment is missing is named in the report with the reason, and the others go on.
"""

from __future__ import annotations

import html
import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import click

from bench.measure import calibration_ms, median
from bench.report import machine

_CHECKOUT: Final = Path(__file__).parent.parent
RESULTS: Final = Path(__file__).parent / "results"
_VERSIONS: Final = (
    "celery", "kombu", "boto3", "sqlalchemy", "onnxruntime", "tokenizers", "openai", "flask",
)  # fmt: skip
#: No benchmark takes longer, in s.
_LONGEST_S: Final = 4 * 3600


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """One command, in full and in short, and the file that it writes."""

    name: str
    against: str  # what runs beside it
    environment: str  # under .venvs/
    full: str
    quick: str
    result: str  # under bench/results/, without .json; NAME is the run's own name
    before: str = ""  # what stands before the interpreter


BENCHMARKS: Final = (
    Benchmark(
        name="fast tier",
        against="LitServe with the same ONNX model over HTTP",
        environment="bench-serving",
        full="bench.serving --messages 2000 --name NAME_serving",
        quick="bench.serving --messages 200 --name NAME_serving",
        result="NAME_serving",
    ),
    Benchmark(
        name="de-identification",
        against="presidio-analyzer",
        environment="bench-deid",
        full="bench.deid --test training/data/test.jsonl",
        quick="bench.deid --test training/data/test.jsonl --rounds 20",
        result="",
        before="taskset -c 0",
    ),
    Benchmark(
        name="cascade",
        against="one LLM call per message; a plain cascade",
        environment="runtime",
        full="bench.cascade --name NAME_cascade",
        quick="bench.cascade --quick --name NAME_cascade",
        result="NAME_cascade",
    ),
    Benchmark(
        name="end to end",
        against="a Celery task per message with transformers.pipeline",
        environment="runtime",
        full="bench.end_to_end --name NAME_end_to_end",
        quick="bench.end_to_end --rounds 1 --trickle 5 --burst 200 --name NAME_end_to_end",
        result="NAME_end_to_end",
    ),
    Benchmark(
        name="bulk",
        against="one process of transformers.pipeline",
        environment="bulk",
        full="bench.bulk --name NAME_bulk",
        quick="bench.bulk --quick --name NAME_bulk",
        result="NAME_bulk",
    ),
    Benchmark(
        name="load",
        against="its own limits",
        environment="runtime",
        full="bench.load --name NAME_load",
        quick="bench.load --steady 10 --burst 300 --soak 0 --name NAME_load",
        result="NAME_load",
    ),
    Benchmark(
        name="dashboard, pages",
        against="its own limits",
        environment="test",
        full="bench.dashboard pages",
        quick="bench.dashboard pages --messages 5000 --open 500 --repeats 3",
        result="",
    ),
    Benchmark(
        name="dashboard, live",
        against="its own limits",
        environment="test",
        full="bench.dashboard live",
        quick="bench.dashboard live --viewers 20 --rate 20 --seconds 5",
        result="",
    ),
)


@dataclass(frozen=True, kw_only=True)
class Ran:
    """How one went."""

    name: str
    against: str
    command: str
    took_s: float
    failed: str  # why, in words; empty when it did not
    output: str  # its last lines
    numbers: Mapping[str, float]  # what its file holds, flattened
    load_average: float  # when it started


def run_one(benchmark: Benchmark, *, quick: bool, results: Path = RESULTS) -> Ran:
    """Run it; never raises for what went wrong inside."""
    name = "quick" if quick else "all"
    words = shlex.split((benchmark.quick if quick else benchmark.full).replace("NAME", name))
    python = _CHECKOUT / ".venvs" / benchmark.environment / "bin/python"
    command = [*shlex.split(benchmark.before), str(python), "-m", *words]
    started, load = time.perf_counter(), os.getloadavg()[0]
    failed, output = "", ""
    if not python.exists():
        failed = f"its environment .venvs/{benchmark.environment} is not built"
    else:
        failed, output = _call(command)
    numbers: dict[str, float] = {}
    if benchmark.result and not failed:
        path = results / f"{benchmark.result.replace('NAME', name)}.json"
        numbers = dict(flat(json.loads(path.read_text()))) if path.exists() else {}
    elif not failed:
        with suppress(json.JSONDecodeError):  # some print words
            numbers = dict(flat(json.loads(output)))
    return Ran(
        name=benchmark.name,
        against=benchmark.against,
        command=shlex.join(["python", "-m", *words]),
        took_s=round(time.perf_counter() - started, 1),
        failed=failed,
        output=output[-4000:],
        numbers=numbers,
        load_average=load,
    )


def _call(command: list[str]) -> tuple[str, str]:
    try:
        done = subprocess.run(
            command,
            cwd=_CHECKOUT,
            check=False,
            text=True,
            capture_output=True,
            timeout=_LONGEST_S,
        )
    except subprocess.TimeoutExpired:
        return f"it took longer than {_LONGEST_S} s", ""
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no words"]
        return f"it ended with {done.returncode}: {lines[-1][:300]}", done.stdout
    return "", done.stdout


def flat(found: Any, path: str = "") -> Iterator[tuple[str, float]]:
    """Every number of a result under its path; lists only where they are of named rows."""
    if isinstance(found, bool):
        return
    if isinstance(found, int | float):
        yield path, float(found)
    elif isinstance(found, dict):
        for key, value in found.items():
            if key not in ("options", "machine", "rounds", "started_at"):
                yield from flat(value, f"{path} › {key}" if path else str(key))
    elif isinstance(found, list):
        for value in found:
            if isinstance(value, dict) and "name" in value:
                rest = {key: each for key, each in value.items() if key != "name"}
                yield from flat(rest, f"{path} › {value['name']}" if path else value["name"])


def head(*, quick: bool) -> dict[str, Any]:
    """Machine, versions, date, load: what a number means nothing without."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=_CHECKOUT,
        check=False,
        text=True,
        capture_output=True,
    )
    return {
        "started_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "quick": quick,
        "commit": commit.stdout.strip(),
        "machine": machine(),
        "load_average_at_start": os.getloadavg(),
        "fixed_loop_ms": round(median(calibration_ms()), 2),
        "versions": dict(_versions()),
    }


def _versions() -> Iterator[tuple[str, str]]:
    for package in _VERSIONS:
        try:
            yield package, version(package)
        except PackageNotFoundError:
            yield package, "not in this environment"


# --- The page -------------------------------------------------------------------------------------

_RATES: Final = ("labelled_per_s", "rows_per_s", "messages_per_s", "per_s")


def page(about: Mapping[str, Any], runs: list[Ran]) -> str:
    """The report as one HTML file, plots inside."""
    words = html.escape(json.dumps(about, indent=1))
    parts = [f"<h1>Carelane, benchmarks</h1><pre>{words}</pre>"]
    if about["quick"]:
        parts.append("<p><strong>Short runs: they show that all works, not how fast.</strong></p>")
    for ran in runs:
        parts.append(f"<h2>{html.escape(ran.name)}</h2>")
        parts.append(
            f"<p>Against: {html.escape(ran.against)}. <code>{html.escape(ran.command)}</code>, "
            f"{ran.took_s:.0f} s, load average {ran.load_average:.1f}.</p>"
        )
        if ran.failed:
            parts.append(f"<p class='failed'>No numbers: {html.escape(ran.failed)}.</p>")
            continue
        parts.append(_plot(ran))
        if ran.numbers:
            rows = "".join(
                f"<tr><td>{html.escape(name)}</td><td>{value:,.4g}</td></tr>"
                for name, value in ran.numbers.items()
            )
            parts.append(f"<details><summary>All numbers</summary><table>{rows}</table></details>")
        if ran.output:
            printed = html.escape(ran.output)
            parts.append(
                f"<details open><summary>What it printed</summary><pre>{printed}</pre></details>"
            )
    style = (
        "body{font:15px/1.5 system-ui;max-width:60rem;margin:2rem auto;padding:0 1rem}"
        "pre{overflow:auto;background:#f4f4f4;padding:.7rem;font-size:12px}"
        "td{padding:.1rem .8rem .1rem 0}.failed{color:#a00}svg{max-width:100%;height:auto}"
    )
    return (
        "<!doctype html><html lang='en'><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width'><title>Carelane, benchmarks</title>"
        f"<style>{style}</style><body>{''.join(parts)}</body></html>\n"
    )


def _plot(ran: Ran) -> str:
    """Its rates as bars; nothing where it has none, or where no plots can be made here."""
    rates = {
        name: value
        for name, value in ran.numbers.items()
        if name.endswith(_RATES) and "each_round" not in name
    }
    if not rates:
        return ""
    from bench.plots import axes, svg_of

    shown = dict(list(rates.items())[:12])
    figure, axis = axes(0.6 + 0.3 * len(shown))
    axis.barh(list(shown), list(shown.values()), color="#2b6cb0")
    axis.invert_yaxis()
    axis.tick_params(axis="y", labelsize=7)
    axis.set_xlabel("a second")
    return svg_of(figure)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--quick", is_flag=True, help="Short runs: minutes instead of hours.")
@click.option("--only", help="Only those whose name has this in it.")
def main(quick: bool, only: str | None) -> None:
    """Run all benchmarks; writes bench/results/all.html and .json (quick.html and .json)."""
    about = head(quick=quick)
    runs = []
    for benchmark in BENCHMARKS:
        if only is None or only in benchmark.name:
            click.echo(f"{benchmark.name} ...", err=True)
            runs.append(run_one(benchmark, quick=quick))
            click.echo(runs[-1].failed or f"{runs[-1].took_s:.0f} s", err=True)
    name = RESULTS / ("quick" if quick else "all")
    whole = {**about, "benchmarks": [asdict(ran) for ran in runs]}
    name.with_suffix(".json").write_text(json.dumps(whole, indent=1) + "\n")
    name.with_suffix(".html").write_text(page(about, runs))
    click.echo(f"{name}.html")
    sys.exit(any(ran.failed for ran in runs))


if __name__ == "__main__":
    main()
