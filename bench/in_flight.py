"""How many calls one LLM worker process keeps in flight, and what that takes.

    python -m bench.in_flight [--calls 8,32,64]

The tier with its batcher, one thread per call, one message per call, against the stand-in at a
log-normal 2.3 s. Each number of calls runs in a process of its own. Beside throughput stand what
the calls would allow were the process free (calls / mean call), memory, and CPU time per call.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import click

from bench.ground import common_ground
from shared.errors import LanguageModelError
from shared.settings import Settings
from shared.taxonomy import Taxonomy
from workers.llm_tier.answer import label_codes
from workers.llm_tier.batcher import Batcher, Pace
from workers.llm_tier.call import Answered, CallRecord, Result
from workers.llm_tier.client import OpenAIChat
from workers.llm_tier.price import Prices
from workers.llm_tier.prompt import load_examples, make_prompt
from workers.llm_tier.tier import LlmTier, Question, Request
from workers.patience import SystemClock

_KNOBS = {"latency_mean_s": 2.3, "latency_sigma": 0.5, "output_token_s": 0.01}
_ROUNDS = 12  # calls one after the other in each slot


class _Open:
    """Lets every call pass, and keeps what each took. In a worker that is Postgres's part."""

    def __init__(self) -> None:
        self.took_ms: list[float] = []
        self._lock = threading.Lock()

    def admit(self, tokens: int, longest_wait_s: float) -> float:  # noqa: ARG002
        return 0.0

    def withdrawn(self) -> None:
        """Nothing to do."""

    def succeeded(self) -> None:
        """Nothing to close."""

    def failed(self, error: LanguageModelError) -> None:
        """The result says so."""

    def start(self, model: str, prompt_version: str, messages: int) -> int:  # noqa: ARG002
        return 0

    def end(self, call_id: int, record: CallRecord) -> None:  # noqa: ARG002
        with self._lock:
            self.took_ms.append(record.latency_ms)


def measure(base_url: str, calls: int) -> dict[str, float]:
    """Throughput of one process with so many calls in flight."""
    settings = Settings(
        openai_api_key="standin",
        openai_base_url=base_url,
        llm_concurrency=calls,
        llm_timeout_s=60.0,
    )
    taxonomy, desk = Taxonomy.load(), _Open()
    tier = LlmTier(
        model=OpenAIChat.from_settings(settings),
        prompt=make_prompt(taxonomy, load_examples(taxonomy)),
        taxonomy=taxonomy,
        codes=label_codes(taxonomy),
        prices=Prices.from_settings(settings),
        calls=desk,
        gate=desk,
        clock=SystemClock(),
        timeout_s=60.0,
        batch_messages=1,
    )
    pace = Pace(most_messages=1, quick_calls=calls, most_calls=calls)
    batcher = Batcher(tier, SystemClock(), pace)
    answered = 0

    def on_result(_: int, result: Result) -> None:
        nonlocal answered
        answered += isinstance(result, Answered)

    texts = [f"Please refill drug number {number}" for number in range(calls * _ROUNDS)]
    before, started = _cpu_s(), time.perf_counter()
    batcher.ask(
        Request(
            questions=[Question(text=text) for text in texts],
            on_result=on_result,
            budget_s=600.0,
            still_ours=lambda: True,
        )
    )
    took_s = time.perf_counter() - started
    mean_s = sum(desk.took_ms) / len(desk.took_ms) / 1000
    return {
        "calls": calls,
        "answered": answered,
        "per_s": answered / took_s,
        "possible_per_s": calls / mean_s,
        "mean_call_s": mean_s,
        "cpu_ms_per_call": (_cpu_s() - before) / answered * 1000,
        "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


@click.command()
@click.option("--calls", default="8,32,64", show_default=True, help="Calls in flight.")
@click.option("--one", hidden=True, help="The address to measure against, in this process.")
def main(calls: str, one: str | None) -> None:
    """Print the table."""
    if one is not None:
        click.echo(json.dumps(measure(one, int(calls))))
        return
    click.echo(
        "| calls in flight | messages/s | were the process free | call, mean | CPU per call "
        "| memory |\n| --- | --- | --- | --- | --- | --- |"
    )
    with (
        tempfile.TemporaryDirectory(prefix="in-flight-") as folder,
        common_ground(Path(folder), 0.0) as ground,
    ):
        ground.llm("knobs", _KNOBS)
        for each in calls.split(","):
            command = [sys.executable, "-m", "bench.in_flight", "--calls", each]
            done = subprocess.run(
                [*command, "--one", ground.llm_base_url],
                check=True,
                capture_output=True,
                text=True,
            )
            found = json.loads(done.stdout)
            click.echo(
                f"| {found['calls']} | {found['per_s']:.1f} | {found['possible_per_s']:.1f} | "
                f"{found['mean_call_s']:.2f} s | {found['cpu_ms_per_call']:.0f} ms | "
                f"{found['memory_mb']:.0f} MB |"
            )
    click.echo(f"\nload average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
