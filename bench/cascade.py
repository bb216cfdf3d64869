"""What the cascade saves: the LLM alone, a plain cascade, Carelane, and Carelane less one measure.

    make bench-cascade [BENCH="--count 2000 --rate 20"]

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
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

import click
import httpx
from sqlalchemy import Engine, create_engine, text

from bench.cascade_texts import Case, cases
from bench.ground import Ground, common_ground
from bench.stack import Stack
from bench.waiting import wait_until
from shared.errors import LanguageModelError
from shared.settings import Settings
from shared.taxonomy import Taxonomy
from training.corpus import SPLITS
from workers.llm_tier import answer
from workers.llm_tier.chat import ChatRequest, Usage
from workers.llm_tier.client import OpenAIChat
from workers.llm_tier.price import Prices
from workers.llm_tier.prompt import Asked, load_examples, make_prompt, new_ids, question

RESULTS = Path(__file__).parent / "results"
_PROCESSES = ("intake", "relay", "sweeper", "fast", "llm")
_KNOBS = {"latency_mean_s": 2.3, "latency_sigma": 0.5, "output_token_s": 0.01, "accuracy": 0.95}
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
}


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table."""

    name: str
    load: str  # steady or burst
    messages: int
    to_llm: int  # messages that an LLM call was made for
    calls: int
    tokens_in: int
    tokens_cached: int
    tokens_out: int
    cost_usd: float
    mean_ms: float
    p50_ms: float
    p95_ms: float
    shown_ms: float  # mean until any label is shown, a provisional one in grey included
    first_label_ms: float  # of messages that the LLM labelled: call to label, median
    right_category: float  # of those that a machine labelled
    right_urgency: float
    to_people: int
    took_s: float


def _row(name: str, load: str, times_ms: Sequence[float], **values: Any) -> Row:
    ordered = sorted(times_ms)
    return Row(
        name=name,
        load=load,
        messages=len(ordered),
        mean_ms=statistics.fmean(ordered),
        p50_ms=ordered[len(ordered) // 2],
        p95_ms=ordered[int(len(ordered) * 0.95)],
        **values,
    )


# --- (a) every message to the LLM, one by one ---------------------------------------------------


class LlmAlone:
    """What one writes first: one call per message, as many at once as there are threads."""

    def __init__(self, ground: Ground, threads: int) -> None:
        self._taxonomy = Taxonomy.load()
        self._prompt = make_prompt(self._taxonomy, load_examples(self._taxonomy))
        self._codes = answer.label_codes(self._taxonomy)
        settings = Settings(
            openai_api_key="standin",
            openai_base_url=ground.llm_base_url,
            llm_concurrency=threads,
            llm_timeout_s=120.0,
            llm_stream=False,
        )
        self._prices = Prices.from_settings(settings)
        self._model = OpenAIChat.from_settings(settings)
        self._threads = threads
        self._lock = threading.Lock()

    def measure(self, load: str, messages: Sequence[Case], rate_per_s: float) -> Row:
        """Run the load; latency counts from the moment at which a message arrives."""
        times: list[float] = []
        right: list[tuple[bool, bool]] = []
        usages: list[Usage] = []
        started = time.perf_counter()

        def one(case: Case, due_s: float) -> None:
            said, usage = self._ask(case.text)
            with self._lock:
                times.append((time.perf_counter() - started - due_s) * 1000)
                usages.append(usage)
                if said is not None:
                    right.append(
                        (said.categories[0] == case.category, said.urgency.value == case.urgency)
                    )

        with ThreadPoolExecutor(self._threads) as pool:
            for place, case in enumerate(messages):
                due_s = place / rate_per_s if load == "steady" else 0.0
                time.sleep(max(0.0, due_s - (time.perf_counter() - started)))
                pool.submit(one, case, due_s)
        return _row(
            "a: LLM alone",
            load,
            times,
            to_llm=len(messages),
            calls=len(messages),
            tokens_in=sum(u.prompt_tokens for u in usages),
            tokens_cached=sum(u.cached_tokens for u in usages),
            tokens_out=sum(u.completion_tokens for u in usages),
            cost_usd=float(sum(self._prices.cost_usd(u) for u in usages)),
            shown_ms=statistics.fmean(times),
            first_label_ms=statistics.median(times),
            right_category=statistics.fmean(c for c, _ in right),
            right_urgency=statistics.fmean(u for _, u in right),
            to_people=len(messages) - len(right),
            took_s=time.perf_counter() - started,
        )

    def _ask(self, text_: str) -> tuple[answer.Answer | None, Usage]:
        (id_,) = new_ids(1)
        request = ChatRequest(
            system=self._prompt.prefix,
            user=question([Asked(id=id_, text=text_)]),
            schema=answer.schema(self._codes),
            max_tokens=answer.max_tokens(1),
        )
        try:
            reply = self._model.ask(request, timeout_s=120.0, on_text=lambda _: None)
            return answer.read(reply.text, [id_], self._codes)[id_], reply.usage
        except LanguageModelError:
            return None, Usage()


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
        self._wait(len(messages))
        return self._read(load, messages, time.perf_counter() - started)

    def _post(self, rows: Sequence[Mapping[str, str]]) -> None:
        answer_ = self._portal.post("/v1/messages", json={"messages": list(rows)})
        answer_.raise_for_status()

    def _wait(self, count: int) -> None:
        def settled() -> bool:
            with self._engine.connect() as connection:
                statement = text("SELECT count(*) FROM messages WHERE settled_at IS NOT NULL")
                return int(connection.execute(statement).scalar_one()) >= count

        wait_until(settled, 900, f"{count} messages settled", every_s=0.5)

    def _read(self, load: str, messages: Sequence[Case], took_s: float) -> Row:
        with self._engine.connect() as connection:
            found = connection.execute(text(_TIMES)).all()
            calls = connection.execute(text(_CALLS)).one()
        labelled = [row for row in found if row.status == "labelled"]
        gold = {str(place): case for place, case in enumerate(messages)}
        by_llm = [float(row.latency_ms) for row in labelled if row.tier == "llm"]
        return _row(
            self._name,
            load,
            [float(row.ms) for row in found],
            to_llm=int(calls.to_llm),
            calls=int(calls.calls),
            tokens_in=int(calls.tokens_in),
            tokens_cached=int(calls.tokens_cached),
            tokens_out=int(calls.tokens_out),
            cost_usd=float(calls.cost_usd),
            shown_ms=statistics.fmean(float(row.shown_ms) for row in found),
            first_label_ms=statistics.median(by_llm) if by_llm else 0.0,
            right_category=statistics.fmean(
                row.category == gold[row.external_id].category for row in labelled
            ),
            right_urgency=statistics.fmean(
                row.urgency == gold[row.external_id].urgency for row in labelled
            ),
            to_people=len(found) - len(labelled),
            took_s=took_s,
        )


# --- The run ------------------------------------------------------------------------------------


@click.command()
@click.option("--count", default=2000, show_default=True, help="Messages per run.")
@click.option("--rate", default=20.0, show_default=True, help="Messages per second, steady.")
@click.option("--repeats", default=0.1, show_default=True, help="Share that repeats another.")
@click.option("--threads", default=64, show_default=True, help="Calls at once of (a).")
@click.option("--seed", default=1, show_default=True)
@click.option("--only", help="Only variants whose name has this in it.")
@click.option("--loads", default="steady,burst", show_default=True)
@click.option("--name", default="cascade", show_default=True, help="Name of the result files.")
def main(
    count: int,
    rate: float,
    repeats: float,
    threads: int,
    seed: int,
    only: str | None,
    loads: str,
    name: str,
) -> None:
    """Measure all variants and write the table to bench/results."""
    os.environ["STANDIN_CORPUS"] = f"{SPLITS['train']}:{SPLITS['dev']}"
    messages = cases(count, repeats=repeats, seed=seed)
    rows: list[Row] = []
    with (
        tempfile.TemporaryDirectory(prefix="cascade-") as folder,
        common_ground(Path(folder), 0.0) as ground,
    ):
        for load in loads.split(","):
            rows += _measure(ground, load, messages, rate, threads, only)
    RESULTS.mkdir(exist_ok=True)
    report = table(rows, rate)
    (RESULTS / f"{name}.json").write_text(json.dumps([asdict(r) for r in rows], indent=1) + "\n")
    (RESULTS / f"{name}.md").write_text(report)
    click.echo(report)


def _measure(
    ground: Ground,
    load: str,
    messages: Sequence[Case],
    rate: float,
    threads: int,
    only: str | None,
) -> list[Row]:
    rows: list[Row] = []
    if only is None or only in "a: LLM alone":
        ground.llm("knobs", _KNOBS)
        rows.append(LlmAlone(ground, threads).measure(load, messages, rate))
        click.echo(f"{rows[-1].name}, {load}: {rows[-1].mean_ms:.0f} ms", err=True)
    for name, changes in VARIANTS.items():
        if only is not None and only not in name:
            continue
        if load == "burst" and " less " in name:
            continue
        ground.llm("knobs", {"latency_mean_s": 0.0})
        with Cascade(ground, name, changes) as cascade:
            ground.llm("knobs", _KNOBS)
            rows.append(cascade.measure(load, messages, rate))
        click.echo(f"{name}, {load}: {rows[-1].mean_ms:.0f} ms", err=True)
    return rows


def table(rows: Sequence[Row], rate: float) -> str:
    """The results as Markdown."""
    head = (
        "variant",
        "load",
        "messages to the LLM",
        "calls",
        "tokens in / cached / out",
        "out per message",
        "cost, USD",
        "mean / p50 / p95, ms",
        "mean to any label shown, ms",
        "call to label, ms",
        "category right",
        "urgency right",
        "to people",
    )
    lines = [f"| {' | '.join(head)} |", "|" + " --- |" * len(head)]
    for row in rows:
        cells = (
            row.name,
            f"{row.load} {rate:g}/s" if row.load == "steady" else f"burst, {row.took_s:.0f} s",
            f"{row.to_llm} of {row.messages}",
            str(row.calls),
            f"{row.tokens_in:,} / {row.tokens_cached:,} / {row.tokens_out:,}",
            f"{row.tokens_out / max(row.to_llm, 1):.1f}",
            f"{row.cost_usd:.4f}",
            f"{row.mean_ms:.0f} / {row.p50_ms:.0f} / {row.p95_ms:.0f}",
            f"{row.shown_ms:.0f}",
            f"{row.first_label_ms:.0f}",
            f"{row.right_category:.1%}",
            f"{row.right_urgency:.1%}",
            str(row.to_people),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
