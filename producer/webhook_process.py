"""`carelane webhooks`: the process that makes the due calls, and the commands around it."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import UTC, datetime

import click
from sqlalchemy import Engine

from producer import store, webhooks
from producer.api import describe
from producer.cli import stop_on_signals
from producer.outbound import Caller
from producer.webhooks import Due
from shared import logs, metrics, metrics_server
from shared.contracts import CHANNEL_MESSAGES
from shared.database import make_engine, transaction
from shared.errors import StoreError
from shared.notify import Listener
from shared.settings import Settings
from shared.taxonomy import Taxonomy

logger = logging.getLogger(__name__)

#: Portals that are called at once, and calls at once to each: one that hangs holds its own only.
_PORTALS = 8
_LANES = 4
_THREADS = _PORTALS * _LANES
#: Threads use the database for moments; they take turns.
_CONNECTIONS = 9
_POLL_S = 2.0
#: While calls are under way, the table is looked at so often.
_BUSY_POLL_S = 0.2
_FORGET_EVERY_S = 3_600.0


class WebhookProcess:
    """Claims due calls and makes them, some at a time.

    A webhook's next calls are claimed when its last ones are through, and only as many webhooks as
    there are threads for: nothing waits in line with its claim running out.
    """

    def __init__(
        self,
        engine: Engine,
        caller: Caller,
        settings: Settings,
        stop: threading.Event | None = None,
    ) -> None:
        self._engine = engine
        self._caller = caller
        self._settings = settings
        self._stop = stop or threading.Event()
        self._taxonomy = Taxonomy.load(settings.taxonomy_path)
        self._hmac_key = settings.require("hmac_key")
        self._running: dict[Future[None], int] = {}  # and the webhook that each one calls

    def step(self, pool: ThreadPoolExecutor) -> int:
        """Begin the calls that are due now, without waiting for any; returns how many.

        Raises:
            StoreError: the database failed; claimed calls come back after two minutes.
        """
        self._reap()
        busy = set(self._running.values())
        if len(busy) >= _PORTALS:
            return 0
        with transaction(self._engine) as connection:
            due = webhooks.claim(connection, busy, _PORTALS - len(busy))
        by_webhook: dict[int, list[Due]] = {}
        for each in due:
            by_webhook.setdefault(each.webhook_id, []).append(each)
        for webhook_id, calls in by_webhook.items():
            for lane in range(min(_LANES, len(calls))):
                self._running[pool.submit(self._calls, calls[lane::_LANES])] = webhook_id
        return len(due)

    def wait(self, timeout_s: float) -> bool:
        """Whether calls are under way; if so, after waiting a while for some to end."""
        if self._running:
            wait(self._running, timeout_s, FIRST_COMPLETED)
        return bool(self._running)

    def _reap(self) -> None:
        for ended in [future for future in self._running if future.done()]:
            del self._running[ended]

    def _calls(self, calls: Sequence[Due]) -> None:
        """Make these one after another."""
        try:
            for place, due in enumerate(calls):
                if self._stop.is_set():
                    with transaction(self._engine) as connection:
                        webhooks.release(connection, calls[place:])
                    return
                self._call(due)
        except StoreError as error:  # what was not noted down comes back after two minutes
            logger.warning("database trouble", extra={"error_text": str(error)})
        except Exception:
            logger.exception("webhook broke", extra={"webhook": calls[0].webhook_id})

    def _call(self, due: Due) -> None:
        with transaction(self._engine) as connection:
            standing = store.find_standing(connection, due.source, due.message_id)
        if standing is None:  # deleted meanwhile, and the call with it
            return
        started = time.monotonic()
        outcome, delivered = self._post(due, standing)
        with transaction(self._engine) as connection:
            webhooks.note(connection, due, outcome, delivered=delivered)
        metrics.WEBHOOK_CALLS.inc(result="delivered" if delivered else "failed")
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

    def _post(self, due: Due, standing: store.Standing) -> tuple[str, bool]:
        try:
            body = webhooks.body_of(due, describe(standing, self._taxonomy, self._settings))
            headers = webhooks.signed_headers(due, body, datetime.now(UTC), self._hmac_key)
            return self._caller.post(due.url, body, headers)
        except Exception:  # whatever one call runs into must not end the others
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
                process.step(pool)
                if time.monotonic() > forget_at:
                    process.forget()
                    forget_at = time.monotonic() + _FORGET_EVERY_S
                if not process.wait(_BUSY_POLL_S) and not stop.is_set():
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
    metrics_server.begin(settings)
    caller = Caller(allow_private=settings.webhooks_allow_private)
    engine = make_engine(settings, "carelane webhooks", pool_size=_CONNECTIONS)
    listener = Listener(settings, "carelane webhooks listener", CHANNEL_MESSAGES)
    stop = stop_on_signals()
    run_process(WebhookProcess(engine, caller, settings, stop), listener, stop)
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
