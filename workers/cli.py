"""`carelane worker fast|llm`: starts a Celery worker, and nothing that can be left to it."""

from __future__ import annotations

import logging
import mmap
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

import click

from shared import logs, metrics, metrics_server, tracing
from shared.database import make_engine
from shared.settings import Settings

if TYPE_CHECKING:
    from celery import Celery

    from workers.liveness import Liveness
    from workers.runtime import Build, Runtime

logger = logging.getLogger(__name__)

#: How long a worker waits at start for a broker that is away.
_QUEUE_WAIT_S = 60.0
#: Deliveries in hand per LLM call in flight: what gathers for the next prompts.
_IN_HAND = 2
#: How often, a tenth of a second apart, a child looks whether its last result was read.
_RESULT_LOOKS = 10
#: What a warm shutdown may take before a silent worker ends without it.
_GRACE_S = 30.0


@click.group()
def worker() -> None:
    """Start workers. Stop them by SIGTERM: what they have in hand is finished first."""


@worker.command()
@click.option("--concurrency", type=click.IntRange(1), help="Processes; by default one per core.")
def fast(concurrency: int | None) -> None:
    """Label by the small model; the priority lane first."""
    sys.exit(run("fast", Settings.from_env(os.environ), concurrency or os.cpu_count() or 1))


@worker.command()
@click.option("--concurrency", type=click.IntRange(1), help="Deliveries in hand at once.")
def llm(concurrency: int | None) -> None:
    """Label by the LLM what the small model was unsure of."""
    settings = Settings.from_env(os.environ)
    settings.require("openai_api_key")
    sys.exit(run("llm", settings, concurrency or settings.llm_concurrency * _IN_HAND))


def run(kind: str, settings: Settings, concurrency: int, build: Build | None = None) -> int:
    """Run a worker until it is told to stop; returns its exit code."""
    from celery.signals import worker_ready

    from workers.celery_app import LANES, make_app
    from workers.composition import BUILDERS
    from workers.patience import SystemClock
    from workers.queue_check import wait_for_queues
    from workers.text_key_check import check_text_keys

    logs.configure(f"worker-{kind}", settings.log_level)
    metrics.start(settings)  # before the fork, so that the children count in the same folder
    # Before anything forks: a damaged bundle stops the process with a word, not its children.
    version = "" if build else model_version(kind, settings)
    urls = wait_for_queues(settings, LANES[kind], SystemClock(), _QUEUE_WAIT_S)
    check_text_keys(settings, kind)
    app = make_app(settings, kind, urls)
    failed = mmap.mmap(-1, 1)  # shared with the children, which set it

    def build_here() -> Runtime:
        tracing.start(settings, f"worker-{kind}")  # its thread would not survive a fork
        return (build or BUILDERS[kind])(settings, urls)

    _set_up_children(build_here, kind, failed)
    worker_ready.connect(lambda **_: metrics_server.serve(settings), weak=False)
    code = _start(app, kind, concurrency, _liveness(kind, settings, version))
    # To a supervisor, 0 is a worker that was told to stop; this one is to be started again.
    return code or failed[0]


def model_version(kind: str, settings: Settings) -> str:
    """The model that a worker of this kind runs; BundleError when it must not."""
    if kind == "llm":
        return settings.llm_model
    from workers.fast_tier.manifest import read_manifest
    from workers.fast_tier.tier import SHIPPED

    return read_manifest(settings.bundle_path or SHIPPED).policy.model_version


def _set_up_children(build: Any, kind: str, failed: mmap.mmap) -> None:
    """Build the runtime where the work is done: in each forked child, or here for threads."""
    from celery.signals import worker_init, worker_process_init

    def set_up(**_: Any) -> None:
        from workers import runtime

        try:
            runtime.install(build())
        except Exception:
            # Celery would log it and go on with a child that fails every task.
            logger.critical("worker could not be set up", exc_info=True)
            if kind == "fast":
                failed[0] = 1
                os.kill(os.getppid(), signal.SIGTERM)
            os._exit(1)

    signal_of = worker_process_init if kind == "fast" else worker_init
    signal_of.connect(set_up, weak=False)


def _start(app: Celery, kind: str, concurrency: int, liveness: Liveness) -> int:
    from billiard import pool
    from celery.signals import setup_logging, worker_ready

    # A child that ends waits for its parent to read its last result, which a parent that is told to
    # stop does not do any more. By default it waits for 30 s, and so long what the worker had not
    # begun stays out of the queue.
    pool.GUARANTEE_MESSAGE_CONSUMPTION_RETRY_LIMIT = _RESULT_LOOKS
    # With a receiver, Celery leaves the handlers and levels of shared.logs alone.
    setup_logging.connect(lambda **_: None, weak=False)
    worker_ready.connect(lambda **_: liveness.start(), weak=False)
    celery_worker = app.Worker(
        hostname=f"{kind}-{os.getpid()}@%h",
        concurrency=concurrency,
        pool="prefork" if kind == "fast" else "threads",
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
        loglevel=None,
        quiet=True,
    )
    celery_worker.start()
    liveness.close()
    return int(celery_worker.exitcode or 0)


def _liveness(kind: str, settings: Settings, version: str) -> Liveness:
    from celery.worker import state

    from shared.queues import check_queues
    from workers.lease import ProcessName
    from workers.liveness import Identity, Liveness, end_process
    from workers.sqs_guard import POLLS

    def ask_nicely(code: int) -> None:
        state.should_stop = code  # type: ignore[assignment]  # its stub says None only

    def end(code: int) -> None:
        threading.Thread(
            target=end_process,
            args=(code,),
            kwargs={"ask_nicely": ask_nicely, "grace_s": _GRACE_S},
            daemon=True,
        ).start()

    return Liveness(
        Identity(process=ProcessName.of_pid(os.getpid()), lane=kind, model_version=version),
        POLLS if settings.broker_url is None else None,
        # Made here, used only by one thread of this process, never by a forked child.
        make_engine(settings, f"carelane-{kind}-liveness", pool_size=1),
        broker_answers=lambda: bool(check_queues(settings)),
        silent_after_s=60.0,
        end=end,
        in_hand=lambda: len(state.reserved_requests),
    )
