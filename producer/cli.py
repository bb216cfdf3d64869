"""The producer's commands other than `submit`: keys, relay, sweeper."""

from __future__ import annotations

import os
import signal
import threading

import click

from producer import keys as api_keys
from producer import sweeper as sweeping
from producer.publisher import make_publisher
from producer.relay import Relay
from shared import logs, metrics_server, tracing
from shared.contracts import CHANNEL_OUTBOX
from shared.database import make_engine, transaction
from shared.notify import Listener
from shared.settings import Settings


@click.group()
def keys() -> None:
    """API keys: who may hand messages in."""


@keys.command("add")
@click.argument("source")
@click.option("--quiet", is_flag=True, help="Print the key and nothing else.")
def add_key(source: str, quiet: bool) -> None:
    """Make a key for SOURCE, e.g. city-clinic; it is shown this once.

    Messages that come with the key get this source, and only keys of the same source can ask
    for them. A source can have several keys: add the new one, then revoke the old.
    """
    settings = Settings.from_env(os.environ)
    with transaction(make_engine(settings, "carelane keys")) as connection:
        key = api_keys.add_key(connection, source, settings.require("hmac_key"))
    if not quiet:
        click.echo(f"The key of {source}; keep it safe, it is not shown again:", err=True)
    click.echo(key)


@keys.command("list")
def list_keys() -> None:
    """List the keys' numbers, sources and times; a key itself cannot be shown again."""
    settings = Settings.from_env(os.environ)
    with transaction(make_engine(settings, "carelane keys")) as connection:
        for record in api_keys.list_keys(connection):
            made = f"made {record.created_at:%Y-%m-%d %H:%M} UTC"
            revoked = record.revoked_at and f", revoked {record.revoked_at:%Y-%m-%d %H:%M} UTC"
            click.echo(f"{record.id:>5}  {record.source:<24} {made}{revoked or ''}")


@keys.command("revoke")
@click.argument("key_id", type=int)
def revoke_key(key_id: int) -> None:
    """Refuse the key with this number (see `carelane keys list`) from now on."""
    settings = Settings.from_env(os.environ)
    with transaction(make_engine(settings, "carelane keys")) as connection:
        record = api_keys.revoke_key(connection, key_id)
    click.echo(f"key {record.id} of {record.source} is revoked")


def stop_on_signals() -> threading.Event:
    """An event that SIGTERM and SIGINT set: the work in hand is finished, then the process ends."""
    stop = threading.Event()

    def handle(_number: int, _frame: object) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, handle)
    signal.signal(signal.SIGINT, handle)
    return stop


@click.command()
def relay() -> None:
    """Move accepted messages to the queues until stopped; run as many as you like."""
    settings = Settings.from_env(os.environ)
    logs.configure("relay", settings.log_level)
    tracing.start(settings, "relay")
    metrics_server.begin(settings)
    Relay(
        make_engine(settings, "carelane relay", pool_size=1),
        make_publisher(settings),
        Listener(settings, "carelane relay listener", CHANNEL_OUTBOX),
    ).run(stop_on_signals())


@click.command()
def sweeper() -> None:
    """Send again, or to a person, what waits too long, until stopped; several may run."""
    settings = Settings.from_env(os.environ)
    logs.configure("sweeper", settings.log_level)
    metrics_server.begin(settings)
    engine = make_engine(settings, "carelane sweeper", pool_size=1)
    sweeping.run(engine, settings, stop_on_signals())
