"""Structured logs: one JSON object a line, with ids, counts and durations, never message text.

    logger = logging.getLogger(__name__)
    logger.info("chunk labelled", extra={"messages": 32, "duration_ms": 120})

`extra` may hold numbers, flags, UUIDs and short codes. An exception is logged by its type and
our own error text, not by a traceback of a foreign library, whose text may quote its input.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from shared.errors import CarelaneError

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
#: Celery hangs a failed task's error and traceback here; foreign error texts may quote their input.
_QUOTING = frozenset({"data"})
_about: ContextVar[UUID | None] = ContextVar("message_id", default=None)


#: Ids on one line of a log.
_IDS_PER_LINE = 100


def with_ids(logger: logging.Logger, event: str, ids: Sequence[UUID], **extra: Any) -> None:
    """Log an event of many messages so that each can be found by its id: so many ids a line."""
    for start in range(0, len(ids), _IDS_PER_LINE):
        part = [str(each) for each in ids[start : start + _IDS_PER_LINE]]
        logger.info(event, extra={"messages": len(part), **extra, "message_ids": part})


@contextmanager
def about(message_id: UUID) -> Iterator[None]:
    """Every line logged in this block is about this message, also where the code knows no id."""
    token = _about.set(message_id)
    try:
        yield
    finally:
        _about.reset(token)


class JsonFormatter(logging.Formatter):
    """A log record as one line of JSON."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        """Time, level, process, event and the record's extras."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "process": self._process,
            "logger": record.name,
            "event": _event(record),
        }
        if (message_id := _about.get()) is not None:
            line["message_id"] = message_id
        line.update({k: v for k, v in vars(record).items() if k not in _STANDARD | _QUOTING})
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            line.update(kind_of(error))
            if isinstance(error, CarelaneError):
                line["error_text"] = str(error)
        return json.dumps(line, default=str)


def _event(record: logging.LogRecord) -> str:
    """The event's text; of a failed Celery task without the error and traceback that it quotes."""
    if isinstance(record.args, Mapping) and "traceback" in record.args:
        return f"task {record.args.get('name')} {record.args.get('description', 'failed')}"
    return record.getMessage()


def kind_of(error: BaseException) -> dict[str, str]:
    """An error's class and place, without its text, as extras of a line."""
    return {"error": type(error).__name__, "at": _innermost(error)}


def _innermost(error: BaseException) -> str:
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    if trace is None:
        return "unknown"
    return f"{trace.tb_frame.f_globals.get('__name__')}:{trace.tb_lineno}"


def configure(process: str, level: str) -> None:
    """Send all logs of this process to standard error, as JSON."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(process))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # Clients that would log request bodies at DEBUG never do so here.
    for name in ("openai", "httpx", "httpcore", "botocore", "boto3", "urllib3", "kombu"):
        logging.getLogger(name).setLevel(max(logging.INFO, logging.getLevelName(level.upper())))
    # At INFO these say the same at every start, or at every readiness probe.
    for name in ("alembic", "botocore.credentials"):
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLevelName(level.upper())))
