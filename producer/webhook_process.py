"""`carelane webhooks`: the process that makes the due calls, and the commands around it."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import click
from sqlalchemy import Engine

from producer import store, webhooks
from producer.api import describe
from producer.cli import stop_on_signals
from producer.outbound import Caller
from producer.webhooks import Due
from shared import logs
from shared.contracts import CHANNEL_MESSAGES
from shared.database import make_engine, transaction
from shared.errors import StoreError
from shared.notify import Listener
from shared.settings import Settings
from shared.taxonomy import Taxonomy

logger = logging.getLogger(__name__)

_THREADS = 8
_POLL_S = 2.0
_FORGET_EVERY_S = 3_600.0


class WebhookProcess:
    """Claims due calls and makes them, some at a time."""

    def __init__(self, engine: Engine, caller: Caller, settings: Settings) -> None:
        self._engine = engine
        self._caller = caller
        self._settings = settings
        self._taxonomy = Taxonomy.load(settings.taxonomy_path)
        self._hmac_key = settings.require("hmac_key")

    def step(self, pool: ThreadPoolExecutor) -> int:
        """Make the calls that are due now; returns how many were tried.

        Raises:
            StoreError: the database failed; claimed calls come back after two minutes.
        """
        with transaction(self._engine) as connection:
            due = webhooks.claim(connection)
        calls = [pool.submit(self._call, each) for each in due]
        for call in calls:
            call.result()
        return len(due)

    def _call(self, due: Due) -> None:
        with transaction(self._engine) as connection:
            standing = store.find_standing(connection, due.source, due.message_id)
        if standing is None:  # deleted meanwhile, and the call with it
            return
        started = time.monotonic()
        outcome, delivered = self._post(due, standing)
        with transaction(self._engine) as connection:
            webhooks.note(connection, due, outcome, delivered=delivered)
        logger.log(
            logging.INFO if delivered else logging.WARNING,
            "webhook called" if delivered else "webhook failed",
            extra={
                "webhook": due.webhook_id,
                "message_id": due.message_id,
                "attempt": due.attempts,
                "outcome": outcome,
                "duration_ms": round((time.monotonic() - started) * 1000, 1),
            },
        )

    def _post(self, due: Due, standing: dict[str, Any]) -> tuple[str, bool]:
        try:
            body = webhooks.body_of(due, describe(standing, self._taxonomy, self._settings))
            headers = webhooks.signed_headers(due, body, datetime.now(UTC), self._hmac_key)
            return self._caller.post(due.url, body, headers)
        except Exception:  # noqa: BLE001  whatever one call runs into must not end the others
            logger.exception("webhook broke", extra={"webhook": due.webhook_id})
            return "error", False

    def forget(self) -> None:
        """Delete what was settled long ago."""
        with transaction(self._engine) as connection:
            webhooks.forget_old(connection)


def run_process(process: WebhookProcess, listener: Listener, stop: threading.Event) -> None:
    """Make calls until `stop`; woken by every change of a message, and by the clock."""
    logger.info("webhooks started")
    forget_at = time.monotonic() + _FORGET_EVERY_S
    listening = False
    with ThreadPoolExecutor(_THREADS) as pool:
        while not stop.is_set():
            try:
                if not listening:
                    listener.connect()
                    listening = True
                while process.step(pool) and not stop.is_set():
                    pass
                if time.monotonic() > forget_at:
                    process.forget()
                    forget_at = time.monotonic() + _FORGET_EVERY_S
                if not stop.is_set():
                    list(listener.wait(_POLL_S))  # that something came is all it says
            except StoreError as error:
                logger.warning("database trouble", extra={"error_text": str(error)})
                listening = False
                stop.wait(_POLL_S)
    listener.close()
    logger.info("webhooks stopped")


@click.group("webhooks")
def commands() -> None:
    """Webhooks: call a portal when a message of its source gets a label."""


@commands.command("run")
def run_command() -> None:
    """Make the calls until stopped; several may run."""
    settings = Settings.from_env(os.environ)
    logs.configure("webhooks", settings.log_level)
    caller = Caller(allow_private=settings.webhooks_allow_private)
    engine = make_engine(settings, "carelane webhooks", pool_size=_THREADS + 1)
    listener = Listener(settings, "carelane webhooks listener", CHANNEL_MESSAGES)
    run_process(WebhookProcess(engine, caller, settings), listener, stop_on_signals())
    caller.close()


@commands.command("add")
@click.argument("source")
@click.argument("url")
def add_command(source: str, url: str) -> None:
    """Call URL about SOURCE's messages; prints the secret that verifies the calls."""
    settings = Settings.from_env(os.environ)
    hmac_key = settings.require("hmac_key")
    with transaction(make_engine(settings, "carelane webhooks")) as connection:
        made = webhooks.add(connection, source, url, allow_private=settings.webhooks_allow_private)
    click.echo(f"webhook {made.id}: {source} is called at {url}; verify calls with", err=True)
    click.echo(webhooks.signing_secret(made.id, made.salt, hmac_key))


@commands.command("list")
def list_command() -> None:
    """List the webhooks."""
    settings = Settings.from_env(os.environ)
    with transaction(make_engine(settings, "carelane webhooks")) as connection:
        found: Sequence[webhooks.Webhook] = webhooks.list_all(connection)
    for each in found:
        state = f"disabled: {each.disabled_reason}" if each.disabled_at else "active"
        click.echo(f"{each.id:>5}  {each.source:<24} {each.url}  {state}")


@commands.command("disable")
@click.argument("webhook_id", type=int)
def disable_command(webhook_id: int) -> None:
    """Make no more calls to the webhook with this number."""
    settings = Settings.from_env(os.environ)
    with transaction(make_engine(settings, "carelane webhooks")) as connection:
        webhooks.disable(connection, webhook_id, "by command")
    click.echo(f"webhook {webhook_id} is disabled")
