"""Run the loads: `make load`. Writes results/load.json, load.md and load.html."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final

import click
from sqlalchemy import Engine, text

from bench.ground import Ground, common_ground
from bench.load.page import html, markdown
from bench.load.portal import Portal
from bench.load.samples import Sampler, growth, times
from bench.report import machine
from bench.stack import Stack
from bench.texts import message_texts
from bench.waiting import wait_until
from shared.database import make_engine, transaction
from shared.settings import Settings

_RESULTS: Final = Path(__file__).parents[1] / "results"
_PATIENCE_S: Final = 3600
_PER_CALL: Final = 100
_CALLERS: Final = 16


@dataclass(frozen=True, kw_only=True)
class Options:
    """One run."""

    rate_per_s: float
    steady_s: float
    burst: int
    soak_minutes: float
    workers: int
    llm_latency_s: float
    max_backlog: int  # small enough that the burst meets it
    danger_every_s: float
    seed: int


@dataclass(frozen=True, kw_only=True)
class Field:
    """What a phase works with."""

    options: Options
    stack: Stack
    engine: Engine
    texts: Iterator[str]


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--rate", "rate_per_s", default=5.0, show_default=True, help="Messages a second.")
@click.option("--steady", "steady_s", default=120.0, show_default=True, help="Seconds; 0: none.")
@click.option("--burst", default=10_000, show_default=True, help="Messages at once; 0: none.")
@click.option("--soak", "soak_minutes", default=30.0, show_default=True, help="Minutes; 0: none.")
@click.option("--workers", default=1, show_default=True, help="Fast worker processes.")
@click.option("--llm-latency", "llm_latency_s", default=1.0, show_default=True)
@click.option("--max-backlog", default=4000, show_default=True, help="CARELANE_MAX_BACKLOG.")
@click.option("--danger-every", "danger_every_s", default=2.0, show_default=True)
@click.option("--seed", default=1, show_default=True)
@click.option("--name", default="load", show_default=True, help="Name of the result files.")
def main(name: str, **values: Any) -> None:
    """Steady load, a burst, a soak; fails where a message is lost or a 5xx comes."""
    options = Options(**values)
    started = datetime.now(UTC)
    with tempfile.TemporaryDirectory(prefix="carelane-load-") as folder, ExitStack() as exits:
        ground = exits.enter_context(common_ground(Path(folder), options.llm_latency_s))
        field = _start(ground, options, exits)
        phases = [_phase(field, *each) for each in _loads(field)]
    result = {
        "started_at": started.isoformat(timespec="seconds"),
        "options": asdict(options),
        "machine": machine(),
        "phases": phases,
    }
    _RESULTS.mkdir(exist_ok=True)
    (_RESULTS / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n")
    (_RESULTS / f"{name}.md").write_text(markdown(result))
    (_RESULTS / f"{name}.html").write_text(html(result))
    click.echo(markdown(result))
    if wrong := [each for phase in phases for each in phase["wrong"]]:
        raise click.ClickException("; ".join(wrong))


def _start(ground: Ground, options: Options, exits: ExitStack) -> Field:
    settings = Settings(
        database_url=ground.database("load").render_as_string(hide_password=False),
        queue_prefix="load",
        sqs_endpoint_url=ground.sqs_endpoint,
        secret_key="x" * 32,
        hmac_key="y" * 32,
        openai_api_key="standin",
        openai_base_url=ground.llm_base_url,
        llm_simulated=True,
        max_backlog=options.max_backlog,
        max_messages_per_minute=10_000_000,
    )
    stack = Stack(settings, ground.folder / "stack", fast_processes=options.workers)
    exits.callback(stack.stop)
    stack.prepare()
    stack.start()
    engine = make_engine(stack.settings, "load-bench", pool_size=2)
    exits.callback(engine.dispose)
    return Field(options=options, stack=stack, engine=engine, texts=message_texts(options.seed))


def _loads(field: Field) -> Iterator[tuple[str, float, Callable[[Portal], None]]]:
    """Each load's name, how often is looked, and what the portal does."""
    options = field.options

    def at_rate(seconds: float) -> Callable[[Portal], None]:
        return lambda portal: portal.at_rate(
            field.texts, options.rate_per_s, seconds, danger_every_s=options.danger_every_s
        )

    def burst(portal: Portal) -> None:
        sending = [True]
        dangers = portal.dangers_while(
            lambda: sending[0] or _any(field.engine, _BACKLOG), options.danger_every_s
        )
        many = list(islice(field.texts, options.burst))
        portal.at_once(many, per_call=_PER_CALL, callers=_CALLERS)
        sending[0] = False
        dangers.join()

    if options.steady_s:
        yield "steady", 1.0, at_rate(options.steady_s)
    if options.burst:
        yield "burst", 1.0, burst
    if options.soak_minutes:
        yield "soak", 5.0, at_rate(60 * options.soak_minutes)


def _phase(
    field: Field, name: str, every_s: float, load: Callable[[Portal], None]
) -> dict[str, Any]:
    with transaction(field.engine) as connection:
        since = str(connection.execute(text("SELECT clock_timestamp()")).scalar_one())
    portal = Portal(field.stack.settings.intake_url, field.stack.headers())
    processes = field.stack.processes
    sampler = Sampler(
        field.engine, lambda: {each: processes.pid(each) for each in processes.names()}, every_s
    )
    sampler.start()
    begun = time.monotonic()
    load(portal)
    wait_until(lambda: not _any(field.engine, _PROCESSING), _PATIENCE_S, "all settled", every_s=0.5)
    settled_in_s = time.monotonic() - begun
    sampler.stop()
    portal.close()
    lost = _lost(field.engine, portal.accepted)
    failed = {n: c for n, c in portal.answers.items() if not n.isdecimal() or int(n) >= 500}
    wrong = [f"{name}: {lost} accepted messages are lost"] if lost else []
    wrong += [f"{name}: answers {failed}"] if failed else []
    wrong += [f"{name}: a 429 without Retry-After"] if portal.without_a_time else []
    return {
        "name": name,
        "accepted": len(portal.accepted),
        "dangers": len(portal.dangers),
        "answers": dict(portal.answers),
        "waited_s": portal.waited_s,
        "accepted_in_s": portal.sent_in_s,
        "settled_in_s": settled_in_s,
        "per_s": len(portal.accepted) / settled_in_s,
        "lost": lost,
        "wrong": wrong,
        "times": times(field.engine, since),
        "memory_growth_mb": growth(sampler.rows, "memory_mb"),
        "connection_growth": growth(sampler.rows, "connections"),
        "samples": sampler.rows,
    }


_PROCESSING: Final = "SELECT 1 FROM messages WHERE status IN ('queued', 'escalated') LIMIT 1"
_BACKLOG: Final = "SELECT 1 FROM messages WHERE status = 'queued' AND red_flags = '[]' LIMIT 1"


def _any(engine: Engine, statement: str) -> bool:
    with transaction(engine) as connection:
        return connection.execute(text(statement)).first() is not None


def _lost(engine: Engine, accepted: list[str]) -> int:
    """Accepted messages that are not there with a label, or with a person and a reason."""
    statement = (
        "SELECT count(*) FROM messages WHERE id = ANY(CAST(:ids AS uuid[])) AND "
        "(current_label_id IS NOT NULL OR status_reason IS NOT NULL)"
    )
    with transaction(engine) as connection:
        kept = int(connection.execute(text(statement), {"ids": accepted}).scalar_one())
    return len(accepted) - kept


if __name__ == "__main__":
    main()
