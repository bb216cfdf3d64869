"""The Celery tasks: they decode, call a plain function of `triage` or `escalation`, and hand on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from celery import Celery
from celery.exceptions import Reject

from shared.contracts import TASK_FAST, TASK_LLM
from workers import runtime
from workers.chunk import Delivery, HeldElsewhere, read_ids
from workers.escalation import run_llm_chunk
from workers.triage import run_fast_chunk


def register(app: Celery) -> None:
    """Give `app` the tasks under the names that lie in queues."""
    app.task(name=TASK_FAST, bind=True)(fast)
    app.task(name=TASK_LLM, bind=True)(llm)


def fast(self: Any, ids: Sequence[str]) -> None:
    """Label a chunk by the fast tier."""
    _run(run_fast_chunk, self, ids)


def llm(self: Any, ids: Sequence[str]) -> None:
    """Label a chunk by the LLM tier."""
    _run(run_llm_chunk, self, ids)


def _run(work: Any, task: Any, ids: Sequence[str]) -> None:
    chunk: list[UUID] = read_ids(ids)
    delivery = Delivery.of(task.request)
    try:
        work(chunk, runtime.current(), delivery)
    except HeldElsewhere as error:
        # Left where it is: delivered again when the holder's lease has run out.
        raise Reject(str(error), requeue=False) from error
