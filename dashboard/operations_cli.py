"""`carelane workers`, `scale`, `rerun`, `dead-letters`: the operations page, by command."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from uuid import UUID

import click
from sqlalchemy import Connection, Engine, func, select

from dashboard import dead_letters, operations_queries, rerun, scale, steering
from dashboard.words import reason_words, span_words
from shared.database import make_engine, transaction
from shared.errors import InvalidInput
from shared.settings import Settings

_ACTOR = "command line"


def _engine() -> Engine:
    return make_engine(Settings.from_env(os.environ), "carelane operations", pool_size=1)


@click.group()
def workers() -> None:
    """Workers: see them, pause, drain and resume them. Orders are read within five seconds."""


@workers.command("list")
def list_workers() -> None:
    """Every worker seen in the last hour, and what tiers are told."""
    with transaction(_engine()) as connection:
        found = operations_queries.read(connection, ("workers", "orders"))
    for row in found["orders"]:
        click.echo(f"{row['target']}: {row['wanted']} since {row['created_at']:%Y-%m-%d %H:%M} UTC")
    for row in found["workers"]:
        silent = "  SILENT" if row["silent_s"] > 30 else ""
        click.echo(
            f"{row['lane']:5} {row['state']:9} {row['in_hand']:>3} in hand  "
            f"heartbeat {row['silent_s']:.0f} s ago  {row['id']}{silent}"
        )
    if not found["workers"]:
        click.echo("No worker has been seen in the last hour.")


def _steer(act: Callable[[Connection, str, str], object], target: str) -> object:
    with transaction(_engine()) as connection:
        return act(connection, target, _ACTOR)


@workers.command("pause")
@click.argument("target")
def pause(target: str) -> None:
    """Have TARGET (fast, llm, or a worker of the list) take nothing new until resumed.

    What is in hand is finished. A paused tier stays paused for workers that start later. Its
    messages wait; after CARELANE_GIVE_UP_AFTER_S they go to people.
    """
    steering.check_broker(Settings.from_env(os.environ))
    _steer(steering.pause, target)
    click.echo(f"{target} is told to pause; `carelane workers resume {target}` takes it back.")


@workers.command("drain")
@click.argument("target")
def drain(target: str) -> None:
    """Have TARGET (a worker, or all that a tier has now) finish what it holds and end with 0."""
    told = _steer(steering.drain, target)
    click.echo(f"{told} worker(s) told to finish and end.")


@workers.command("resume")
@click.argument("target")
def resume(target: str) -> None:
    """Take back what TARGET was told."""
    changed = _steer(steering.resume, target)
    click.echo(f"{target} runs again." if changed else f"{target} had no order.")


@click.command("scale")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def scale_command(as_json: bool) -> None:
    """How many workers each tier wants just now, and why.

    A fast worker counts as one process on one core (--concurrency 1), an LLM worker as one process
    with CARELANE_LLM_CONCURRENCY calls in flight. /metrics tells the same as
    carelane_workers_wanted.
    """
    settings = Settings.from_env(os.environ)
    with transaction(_engine()) as connection:
        found = scale.advice(connection, settings)
    if as_json:
        click.echo(json.dumps([asdict(each) for each in found], indent=2))
        return
    for each in found:
        click.echo(f"{each.load.tier:5} {each.wanted} wanted, {each.load.alive} alive: {each.why}")


@click.command("rerun")
@click.argument("ids", nargs=-1, type=click.UUID)
@click.option("--reason", help="All that failed for this reason, e.g. llm_timeout.")
@click.option("--all", "everything", is_flag=True, help="All that failed.")
def rerun_command(ids: tuple[UUID, ...], reason: str | None, everything: bool) -> None:
    """Send messages that the machine gave up through their tier again.

    Without anything, lists how many failed and why. What a person has decided is left alone.
    """
    engine = _engine()
    if not (ids or reason or everything):
        _list_failed(engine)
        return
    if ids and (reason or everything):
        raise InvalidInput("name messages, or a reason, or --all: not several of these")
    total, begun = 0, None
    while True:
        with transaction(engine) as connection:
            begun = begun or connection.execute(select(func.now())).scalar_one()
            again = rerun.run_again(
                connection, _ACTOR, ids=list(ids) or None, reason=reason, begun=begun
            )
        total += len(again)
        if len(again) < rerun.MOST_AT_ONCE:
            break
    click.echo(f"{total} message(s) run again.")
    if ids and total < len(set(ids)):
        click.echo(f"{len(set(ids)) - total} left alone: not failed, or decided by a person.")


def _list_failed(engine: Engine) -> None:
    with transaction(engine) as connection:
        found = rerun.reasons(connection)
    for row in found:
        before = f", {row['run_before']} run before" if row["run_before"] else ""
        click.echo(
            f"{row['messages']:>6}  {row['reason']:24} {reason_words(row['reason'])}{before}"
        )
    click.echo(
        "`carelane rerun --reason REASON` or `--all` runs them again." if found else "None failed."
    )


@click.group("dead-letters")
def dead_letters_command() -> None:
    """Dead letters of the queues: list, run again, discard."""


_QUEUE = click.argument("queue", type=click.Choice(dead_letters.QUEUES))


@dead_letters_command.command("list")
@click.argument("queue", type=click.Choice(dead_letters.QUEUES), required=False)
def list_letters(queue: str | None) -> None:
    """Why they are there, the oldest first; up to 50 of a queue."""
    settings = Settings.from_env(os.environ)
    now = datetime.now(UTC)
    for each in [queue] if queue else dead_letters.QUEUES:
        letters = dead_letters.read(settings, each)
        click.echo(f"{each}: {len(letters) or 'none'}")
        for letter in letters:
            age = span_words(max(now - letter.sent_at, timedelta(0)))
            about = f"{len(letter.ids)} message(s), " if letter.ids else ""
            click.echo(
                f"  {letter.id}  {about}sent {age} ago, "
                f"{letter.deliveries} deliveries: {letter.why}"
            )
            for message_id in letter.ids:
                click.echo(f"    {message_id}")


@dead_letters_command.command("rerun")
@_QUEUE
def rerun_letters(queue: str) -> None:
    """Send again what QUEUE's dead letters were about, and remove these letters."""
    done = dead_letters.run_again(_engine(), Settings.from_env(os.environ), queue, _ACTOR)
    click.echo(f"{done.letters} letter(s) settled, {done.messages} message(s) sent again.")
    if done.left:
        click.echo(f"{done.left} cannot be read and stay; `carelane dead-letters discard {queue}`.")


@dead_letters_command.command("discard")
@_QUEUE
@click.confirmation_option(prompt="Remove them for good?")
def discard_letters(queue: str) -> None:
    """Remove QUEUE's dead letters for good. Messages of a lane are untouched by that."""
    done = dead_letters.discard(_engine(), Settings.from_env(os.environ), queue, _ACTOR)
    click.echo(f"{done.letters} letter(s) removed.")
