"""OpenTelemetry: one trace for a message from the portal's call to the dashboard's line.

Off, and without cost, until a process's composition root calls `start` with an endpoint set. The
trace crosses Postgres and SQS by the message's row: the intake stores its W3C trace context there,
and whoever handles the message hangs its span below it, so a second delivery belongs to the same
trace as the first. Spans are written when the work is done, because the work is done in chunks and
a trace belongs to one message. They hold ids, counts and codes, never text.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from sqlalchemy import Connection, text

from shared.settings import Settings

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

#: A call with more messages than this is no live call, and would make a trace of thousands.
MOST_TRACED: Final = 32
_EXPORT_EVERY_MS: Final = 1000

_provider: TracerProvider | None = None

_PARENTS: Final = text(
    "SELECT id, trace_parent FROM messages "
    "WHERE id = ANY(CAST(:ids AS uuid[])) AND trace_parent IS NOT NULL"
)


def start(settings: Settings, process: str) -> None:
    """Trace from now on if an endpoint is set; call it after any fork.

    The SDK's own variables (OTEL_TRACES_SAMPLER, OTEL_EXPORTER_OTLP_HEADERS ...) hold as well.
    """
    global _provider
    if settings.otlp_endpoint is None or _provider is not None:
        return
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=Resource.create({"service.name": f"carelane-{process}"}))
    exporter = OTLPSpanExporter(endpoint=f"{settings.otlp_endpoint.rstrip('/')}/v1/traces")
    provider.add_span_processor(
        BatchSpanProcessor(exporter, schedule_delay_millis=_EXPORT_EVERY_MS)
    )
    _provider = provider


def is_on() -> bool:
    """Whether there is anybody to tell."""
    return _provider is not None


def stop() -> None:
    """Send what is left and be silent again."""
    global _provider
    provider, _provider = _provider, None
    if provider is not None:
        provider.shutdown()


@contextmanager
def root(name: str, incoming: str | None = None) -> Iterator[None]:
    """A span around the way in; below the caller's own trace, if it sent a `traceparent`."""
    if _provider is None:
        yield
        return
    tracer = _provider.get_tracer("carelane")
    # An error's text may quote what it is about, as Postgres does a row: it stays here.
    with tracer.start_as_current_span(
        name,
        context=_context(incoming),
        record_exception=False,
        set_status_on_exception=False,
    ):
        yield


def current() -> str | None:
    """The `traceparent` of the span that is open here; None where nothing is traced."""
    if _provider is None:
        return None
    from opentelemetry import trace

    context = trace.get_current_span().get_span_context()
    if not context.is_valid or not context.trace_flags.sampled:
        return None
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-01"


def record(
    name: str,
    parent: str | None,
    started_ns: int,
    *,
    inner: tuple[str, float] | None = None,
    **attributes: str | float | bool,
) -> None:
    """A span of work on one message, from `started_ns` (time.time_ns) until now.

    `inner` is the name and the milliseconds of what took its time at the end of that.
    """
    if _provider is None or parent is None:
        return
    tracer, now_ns = _provider.get_tracer("carelane"), time.time_ns()
    span = tracer.start_span(
        name, context=_context(parent), start_time=started_ns, attributes=attributes
    )
    if inner is not None:
        from opentelemetry import trace

        inside = trace.set_span_in_context(span)
        begun_ns = max(started_ns, now_ns - int(inner[1] * 1e6))
        tracer.start_span(inner[0], context=inside, start_time=begun_ns).end(now_ns)
    span.end(now_ns)


def parents(connection: Connection, ids: Sequence[UUID]) -> Mapping[UUID, str]:
    """The trace contexts of these messages, of those that are traced; none when tracing is off."""
    if _provider is None or not ids:
        return {}
    rows = connection.execute(_PARENTS, {"ids": [str(each) for each in ids]})
    return {row.id: row.trace_parent for row in rows}


def _context(parent: str | None) -> Any:
    if parent is None:
        return None
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator().extract({"traceparent": parent})
