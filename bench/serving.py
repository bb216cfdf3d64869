"""Serving the small model: a Carelane worker's own call against LitServe over HTTP, same model.

    .venvs/bench-serving/bin/python -m bench.serving [--messages 1000]

Both run the shipped bundle's FastTier, one process with one ONNX thread, on the same texts, in
turns. LitServe is asked by some clients at once, one message a request: what somebody would build
who takes a serving framework instead of a queue. Carelane's side is the worker's scoring alone;
what queue and database add to it is measured end to end (`make bench`).
"""

from __future__ import annotations

import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import click

from bench.measure import CpuMeter, calibration_ms, median, quantile
from bench.processes import Processes
from bench.report import machine
from bench.texts import message_texts
from bench.waiting import wait_until
from localstack.stack import free_port
from workers.fast_tier.tier import SHIPPED, FastTier

_RESULTS: Final = Path(__file__).parent / "results"


def _ask(port: int, text: str) -> None:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/predict",
        data=json.dumps({"text": text}).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310  our own server
        json.load(answer)


def _timed(
    each: Callable[[str], object], texts: Sequence[str], clients: int, pid: int
) -> dict[str, float]:
    """Rate and times, and the CPU time of the process that does the work, its children included."""
    times: list[float] = []

    def one(text: str) -> None:
        began = time.perf_counter()
        each(text)
        times.append((time.perf_counter() - began) * 1000)

    meter = CpuMeter({"own": [pid]})
    started = time.perf_counter()
    if clients == 1:
        for text in texts:
            one(text)
    else:
        with ThreadPoolExecutor(clients) as pool:
            list(pool.map(one, texts))
    took_s = time.perf_counter() - started
    return {
        "messages_per_s": len(texts) / took_s,
        "p50_ms": quantile(times, 0.5),
        "p95_ms": quantile(times, 0.95),
        "cpu_ms_per_message": meter.stop().by_part["own"] * 1000 / len(texts),
    }


def _answers(port: int) -> bool:
    try:
        _ask(port, "Is anybody there?")
    except (OSError, urllib.error.URLError):
        return False
    return True


def _sides(
    port: int, pid: int, texts: Iterator[str], messages: int, rounds: int, clients: int
) -> dict[str, list[dict[str, float]]]:
    """Both in turns, each round with texts of its own."""
    tier = FastTier.load(SHIPPED)
    tier.score("A message that warms the model up.")
    sides: dict[str, list[dict[str, float]]] = {"carelane": [], "litserve": []}
    for _ in range(rounds):
        batch = list(islice(texts, messages))
        sides["carelane"].append(_timed(tier.score, batch, 1, os.getpid()))
        sides["litserve"].append(_timed(lambda text: _ask(port, text), batch, clients, pid))
    return sides


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--messages", default=1000, show_default=True, help="Per round and side.")
@click.option("--rounds", default=3, show_default=True)
@click.option("--clients", default=4, show_default=True, help="At once, of LitServe.")
@click.option("--name", default="serving", show_default=True, help="Name of the result file.")
def main(messages: int, rounds: int, clients: int, name: str) -> None:
    """Measure both in turns; writes bench/results/NAME.json."""
    port, texts = free_port(), message_texts(1)
    started, load = datetime.now(UTC), os.getloadavg()
    with TemporaryDirectory(prefix="carelane-serving-") as folder:
        server = Processes(os.environ, Path(folder))
        pid = server.start("litserve", "python", "-m", "bench.serving_peer", str(port))
        try:
            wait_until(lambda: _answers(port), 120, "LitServe's first answer", every_s=0.5)
            sides = _sides(port, pid, texts, messages, rounds, clients)
        finally:
            server.kill("litserve")
    found: dict[str, Any] = {
        "started_at": started.isoformat(timespec="seconds"),
        "machine": machine(),
        "load_average_at_start": load,
        "fixed_loop_ms": median(calibration_ms()),
        "options": {"messages": messages, "rounds": rounds, "clients": clients},
        "sides": {
            side: {key: median([each[key] for each in runs]) for key in runs[0]}
            for side, runs in sides.items()
        },
    }
    ours, theirs = found["sides"]["carelane"], found["sides"]["litserve"]
    found["cpu_ratio"] = theirs["cpu_ms_per_message"] / ours["cpu_ms_per_message"]
    found["throughput_ratio"] = ours["messages_per_s"] / theirs["messages_per_s"]
    (_RESULTS / f"{name}.json").write_text(json.dumps(found, indent=1) + "\n")
    for side, numbers in found["sides"].items():
        click.echo(side + ", " + ", ".join(f"{key} {value:.1f}" for key, value in numbers.items()))
    click.echo(
        f"Carelane / LitServe: {found['throughput_ratio']:.1f} times as many a second; LitServe "
        f"takes {found['cpu_ratio']:.1f} times the CPU time, which holds on a busy machine too"
    )


if __name__ == "__main__":
    main()
