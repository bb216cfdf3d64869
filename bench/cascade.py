"""What the cascade saves: the LLM alone, a plain cascade, Carelane, and Carelane less one measure.

    make bench-cascade [BENCH="--count 2000 --rate 20"]      (BENCH=--quick: 400 messages, a to c)

The LLM is the stand-in: its latency is log-normal with a mean of 2.3 s to the first token plus
10 ms per output token, its labels are right 95 % of the time. Everything else is real: intake,
Postgres, SQS protocol, workers, openai client. bench/README.md says how to read the table.
"""

from __future__ import annotations

import json
import os
import secrets
import statistics
import tempfile
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Self

import click
import httpx
from sqlalchemy import Engine, create_engine, text

from bench import llm_alone
from bench.cascade_table import Row, heading, row_of, table
from bench.cascade_texts import Case, cases
from bench.ground import Ground, common_ground
from bench.stack import Stack
from bench.waiting import wait_until
from shared.settings import Settings
from training.corpus import SPLITS

RESULTS = Path(__file__).parent / "results"
_PROCESSES = ("intake", "relay", "sweeper", "fast", "llm")
KNOBS = {"latency_mean_s": 2.3, "latency_sigma": 0.5, "output_token_s": 0.01, "accuracy": 0.95}
_WARM_UP = 64

#: Carelane with one measure, or all of the cascade's measures, switched off.
VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "b: plain cascade": {
        "llm_cache_days": 0.0,
        "llm_batch_messages": 1,
        "llm_stream": False,
        "llm_quick_calls": 32,
    },
    "c: Carelane": {},
    "c less cache": {"llm_cache_days": 0.0},
    "c less batching": {"llm_batch_messages": 1, "llm_quick_calls": 32},
    "c less streaming": {"llm_stream": False},
    "c less gathering": {"llm_quick_calls": 32},
    "c, LLM down": {},
}
_DOWN = "c, LLM down"
#: Seconds that starting and stopping a variant's processes takes, about, on two cores.
_AROUND_S = 25.0
_QUICK = {"count": 400, "rate": 10.0}


# --- (b), (c) the cascade on its real processes -------------------------------------------------

_TIMES = """
    SELECT m.external_id, m.status, l.tier, l.categories[1] AS category, l.urgency, l.latency_ms,
           extract(epoch FROM m.settled_at - m.received_at) * 1000 AS ms,
           extract(epoch FROM least(m.settled_at, (
               SELECT min(created_at) FROM labels WHERE message_id = m.id
           )) - m.received_at) * 1000 AS shown_ms
    FROM messages m LEFT JOIN labels l ON l.id = m.current_label_id
"""
_CALLS = """
    SELECT count(*) AS calls, coalesce(sum(messages), 0) AS to_llm,
           coalesce(sum(prompt_tokens), 0) AS tokens_in,
           coalesce(sum(cached_tokens), 0) AS tokens_cached,
           coalesce(sum(completion_tokens), 0) AS tokens_out,
           coalesce(sum(cost_usd), 0) AS cost_usd
    FROM llm_calls
"""


class Cascade:
    """Carelane's own processes, with some settings changed."""

    def __init__(self, ground: Ground, name: str, changes: Mapping[str, Any]) -> None:
        self._name = name
        url = ground.database(f"cascade_{secrets.token_hex(4)}")
        self._engine: Engine = create_engine(url)
        settings = Settings(
            database_url=url.render_as_string(hide_password=False),
            queue_prefix=f"bench-{secrets.token_hex(4)}",
            sqs_endpoint_url=ground.sqs_endpoint,
            secret_key=secrets.token_hex(32),
            hmac_key=secrets.token_hex(32),
            openai_api_key="standin",
            openai_base_url=ground.llm_base_url,
            llm_simulated=True,
            llm_check_share=0.0,
        )
        logs = ground.folder / "logs" / name.replace(" ", "-").replace(":", "")
        self._stack = Stack(replace(settings, **changes), logs)

    def __enter__(self) -> Self:
        self._stack.prepare()
        self._stack.start(*_PROCESSES)
        self._portal = httpx.Client(
            base_url=self._stack.settings.intake_url, headers=self._stack.headers(), timeout=60
        )
        self._post([{"external_id": uuid.uuid4().hex, "text": "Warm up."}] * _WARM_UP)
        self._wait(1)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.stop()
        self._portal.close()
        self._engine.dispose()

    def measure(self, load: str, messages: Sequence[Case], rate_per_s: float) -> Row:
        """Run the load; latency is from the intake's transaction to the label's."""
        with self._engine.begin() as connection:
            connection.execute(text("TRUNCATE messages, llm_calls, label_cache CASCADE"))
        rows = [
            {"external_id": str(place), "text": case.text} for place, case in enumerate(messages)
        ]
        started = time.perf_counter()
        if load == "burst":
            self._post(rows)
        else:
            for place, row in enumerate(rows):
                time.sleep(max(0.0, place / rate_per_s - (time.perf_counter() - started)))
                self._post([row])
        # Nothing is settled that waits for an LLM that is down; a label in grey is all it gets.
        self._wait(len(messages), "provisional_label_id" if self._name == _DOWN else "settled_at")
        return self._read(load, messages, time.perf_counter() - started)

    def _post(self, rows: Sequence[Mapping[str, str]]) -> None:
        answer_ = self._portal.post("/v1/messages", json={"messages": list(rows)})
        answer_.raise_for_status()

    def _wait(self, count: int, column: str = "settled_at") -> None:
        there = f"settled_at IS NOT NULL OR {column} IS NOT NULL"
        statement = text(f"SELECT count(*) FROM messages WHERE {there}")  # noqa: S608

        def settled() -> bool:
            with self._engine.connect() as connection:
                return int(connection.execute(statement).scalar_one()) >= count

        wait_until(settled, 900, f"{count} messages settled", every_s=0.5)

    def _read(self, load: str, messages: Sequence[Case], took_s: float) -> Row:
        with self._engine.connect() as connection:
            found = connection.execute(text(_TIMES)).all()
            calls = connection.execute(text(_CALLS)).one()
        labelled = [row for row in found if row.status == "labelled"]
        shown = sorted(float(row.shown_ms) for row in found)
        gold = {str(place): case for place, case in enumerate(messages)}
        asked = [row for row in labelled if row.tier == "llm"]
        by_llm = [float(row.latency_ms) for row in asked]
        before = [float(row.ms) - float(row.latency_ms) for row in asked]
        return row_of(
            self._name,
            load,
            [float(row.ms) for row in found if row.ms is not None],
            messages=len(messages),
            to_llm=int(calls.to_llm),
            calls=int(calls.calls),
            tokens_in=int(calls.tokens_in),
            tokens_cached=int(calls.tokens_cached),
            tokens_out=int(calls.tokens_out),
            cost_usd=float(calls.cost_usd),
            shown_ms=statistics.fmean(shown),
            shown_p95_ms=shown[int(len(shown) * 0.95)],
            first_label_ms=statistics.median(by_llm) if by_llm else 0.0,
            before_call_ms=statistics.fmean(before) if before else 0.0,
            right_category=statistics.fmean(
                row.category == gold[row.external_id].category for row in labelled
            ),
            right_urgency=statistics.fmean(
                row.urgency == gold[row.external_id].urgency for row in labelled
            ),
            to_people=sum(row.status == "needs_review" for row in found),
            took_s=took_s,
        )


# --- The run ------------------------------------------------------------------------------------


@click.command()
@click.option("--count", default=2000, show_default=True, help="Messages per run.")
@click.option("--rate", default=20.0, show_default=True, help="Messages per second, steady.")
@click.option("--repeats", default=0.1, show_default=True, help="Share that repeats another.")
@click.option("--threads", default=64, show_default=True, help="Calls at once of (a).")
@click.option("--seed", default=1, show_default=True)
@click.option("--only", multiple=True, help="Only variants whose name has this in it.")
@click.option("--loads", default="steady,burst", show_default=True)
@click.option("--quick", is_flag=True, help="400 messages, 10 a second, without switching off.")
@click.option("--name", default="cascade", show_default=True, help="Name of the result files.")
def main(
    count: int,
    rate: float,
    repeats: float,
    threads: int,
    seed: int,
    only: tuple[str, ...],
    loads: str,
    quick: bool,
    name: str,
) -> None:
    """Measure all variants and write the table to bench/results."""
    if quick:
        count, rate = int(_QUICK["count"]), _QUICK["rate"]
    started = time.perf_counter()
    planned = [(load, each) for load in loads.split(",") for each in variants(load, only, quick)]
    click.echo(f"about {about_s(planned, count, rate, threads) / 60:.0f} minutes", err=True)
    os.environ["STANDIN_CORPUS"] = f"{SPLITS['train']}:{SPLITS['dev']}"
    messages = cases(count, repeats=repeats, seed=seed)
    rows: list[Row] = []
    with (
        tempfile.TemporaryDirectory(prefix="cascade-") as folder,
        common_ground(Path(folder), 0.0) as ground,
    ):
        for load, variant in planned:
            rows.append(_measure(ground, variant, load, messages, rate, threads))
            click.echo(f"{variant}, {load}: {rows[-1].mean_ms:.0f} ms", err=True)
    RESULTS.mkdir(exist_ok=True)
    report = heading(count, time.perf_counter() - started) + table(rows, rate)
    (RESULTS / f"{name}.json").write_text(json.dumps([asdict(r) for r in rows], indent=1) + "\n")
    (RESULTS / f"{name}.md").write_text(report)
    click.echo(report)


def variants(load: str, only: Sequence[str], quick: bool) -> list[str]:
    """What is measured at a load; measures are switched off one by one at the steady rate only."""
    names = [llm_alone.NAME, *VARIANTS]
    if load == "burst" or quick:
        names = [each for each in names if " less " not in each]
    return [each for each in names if not only or any(part in each for part in only)]


def about_s(planned: Sequence[tuple[str, str]], count: int, rate: float, threads: int) -> float:
    """How long that takes, about, on two cores that are free."""
    seconds = 60.0  # the ground
    for load, variant in planned:
        alone = variant == llm_alone.NAME
        seconds += 0.0 if alone else _AROUND_S
        if load == "steady":
            seconds += count / rate + 10
        else:
            # The LLM takes about 2.5 s a call; the rest labels about 50 messages a second.
            calls = 1 if alone or VARIANTS[variant].get("llm_batch_messages") == 1 else 0.15
            seconds += max(count * calls * 2.5 / (threads if alone else 32), count / 50)
    return seconds


def _measure(
    ground: Ground,
    variant: str,
    load: str,
    messages: Sequence[Case],
    rate: float,
    threads: int,
) -> Row:
    if variant == llm_alone.NAME:
        ground.llm("knobs", {**KNOBS, "fault_rates": {}})
        return llm_alone.LlmAlone(ground, threads).measure(load, messages, rate)
    ground.llm("knobs", {"latency_mean_s": 0.0, "fault_rates": {}})
    with Cascade(ground, variant, VARIANTS[variant]) as cascade:
        down = {"server_error": 1.0} if variant == _DOWN else {}
        ground.llm("knobs", {**KNOBS, "fault_rates": down})
        return cascade.measure(load, messages, rate)


if __name__ == "__main__":
    main()
