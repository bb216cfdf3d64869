"""What Carelane counts while it works, for Prometheus: every metric's name, in one place.

    metrics.LABELS.inc(tier="fast")
    metrics.TIER_SECONDS.observe(0.004, tier="fast")

Nothing is counted until a process's composition root calls `start`. From then on the processes
that share a folder (CARELANE_METRICS_DIR) count together, by prometheus-client's multi-process
mode: gunicorn's workers, a Celery worker's children, or everything on one machine. Labels hold
tiers, lanes, outcomes and reasons: a small known set, never an id and never text.
`shared.metrics_server` gives them out.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from shared.settings import Settings

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.core import Metric as Family

#: From a cache hit to a message that waited for a person.
_FAST_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)
_WAIT_S: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)
_READ_S: Final = (60, 300, 900, 1800, 3600, 7200, 14400, 28800, 86400, 172800)


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One metric; silent until `start`."""

    name: str
    kind: str  # counter, histogram or gauge
    about: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()

    def inc(self, amount: float = 1, **labels: str) -> None:
        """Count something (counters)."""
        if (made := _made.get(self.name)) is not None:
            _child(made, labels).inc(amount)

    def observe(self, value: float, **labels: str) -> None:
        """Note a duration in seconds (histograms)."""
        if (made := _made.get(self.name)) is not None:
            _child(made, labels).observe(max(0.0, value))

    def set(self, value: float, **labels: str) -> None:
        """Note how something stands; of several processes the last one counts (gauges)."""
        if (made := _made.get(self.name)) is not None:
            _child(made, labels).set(value)


def _child(made: Any, labels: Mapping[str, str]) -> Any:
    return made.labels(**labels) if labels else made


def _counter(name: str, about: str, *labels: str) -> Metric:
    return Metric(name=name, kind="counter", about=about, labels=labels)


def _histogram(name: str, about: str, buckets: tuple[float, ...], *labels: str) -> Metric:
    return Metric(name=name, kind="histogram", about=about, labels=labels, buckets=buckets)


def _gauge(name: str, about: str, *labels: str) -> Metric:
    return Metric(name=name, kind="gauge", about=about, labels=labels)


# The way in
ACCEPTED = _counter("carelane_accepted_total", "Messages that the intake committed.", "flagged")
REFUSED = _counter("carelane_refused_calls_total", "Intake calls answered 4xx or 5xx.", "status")
INTAKE_SECONDS = _histogram(
    "carelane_intake_seconds", "Time in which an intake call was answered.", _FAST_S, "status"
)
INTAKE_QUEUE_SECONDS = _histogram(
    "carelane_intake_queue_seconds", "Time that a letter lay in the intake queue.", _WAIT_S
)
# Outbox, relay, sweeper
OUTBOX_SECONDS = _histogram(
    "carelane_outbox_seconds", "Time from commit until the broker took it.", _WAIT_S, "lane"
)
SENT = _counter("carelane_sent_total", "Messages that the relay sent.", "lane")
SEND_FAILURES = _counter(
    "carelane_send_failures_total", "Relay steps that did not go through.", "lane"
)
SENT_AGAIN = _counter("carelane_sent_again_total", "Messages that the sweeper enqueued again.")
GIVEN_UP = _counter("carelane_given_up_total", "Messages that waited too long, given to people.")
# Workers
WAIT_SECONDS = _histogram(
    "carelane_wait_seconds", "Time from being enqueued to being claimed.", _WAIT_S, "tier"
)
TIER_SECONDS = _histogram(
    "carelane_tier_seconds", "Time that a tier took for one message.", _WAIT_S, "tier"
)
DEID_SECONDS = _histogram("carelane_deid_seconds", "Time to mask one message.", _FAST_S)
SETTLE_SECONDS = _histogram(
    "carelane_settle_seconds",
    "Time from accepted to labelled (by whom) or to a person (tier none).",
    _WAIT_S,
    "tier",
    "urgency",
)
LABELS = _counter("carelane_labels_total", "Final labels that tiers gave.", "tier")
ESCALATED = _counter("carelane_escalated_total", "Messages passed on to the LLM tier.")
NEEDS_REVIEW = _counter(
    "carelane_needs_review_total", "Messages given to a person, by reason.", "reason"
)
RETRIES = _counter("carelane_retries_total", "Claims of messages that were tried before.", "tier")
CACHE_LOOKUPS = _counter("carelane_cache_lookups_total", "Look-ups in the label cache.", "result")
POLL_FAILURES = _counter("carelane_poll_failures_total", "Receives that SQS did not answer.")
# LLM
LLM_CALL_SECONDS = _histogram(
    "carelane_llm_call_seconds", "Time of one call to the LLM.", _WAIT_S, "outcome"
)
LLM_MESSAGES = _counter(
    "carelane_llm_messages_total", "Messages asked about, by call's outcome.", "outcome"
)
LLM_TOKENS = _counter("carelane_llm_tokens_total", "Tokens paid for.", "kind")
LLM_COST_USD = _counter("carelane_llm_cost_usd_total", "What LLM calls cost, in US dollars.")
LLM_RETRIES = _counter("carelane_llm_retries_total", "LLM calls tried again.", "reason")
LLM_TURNED_AWAY = _counter(
    "carelane_llm_turned_away_total", "Calls that breaker, budget or rate limit stopped.", "reason"
)
LLM_SPECULATIONS = _counter(
    "carelane_llm_speculations_total",
    "Red-flagged messages asked about ahead of the fast tier: used, lost, not_made, timed_out.",
    "result",
)
# Is the small model still right?
DISAGREEMENT = _gauge(
    "carelane_model_disagreement_ratio", "Share of checked sure labels that the LLM contradicts."
)
STABILITY = _gauge(
    "carelane_model_stability_index", "Population stability index of the mix of categories."
)
CONFIDENCE_FALL = _gauge(
    "carelane_model_confidence_fall", "By how much the mean confidence has fallen."
)
DECISIONS = _counter(
    "carelane_decisions_total", "What people decided: accepted, corrected, done ...", "action"
)
# The way out
FIRST_READ_SECONDS = _histogram(
    "carelane_first_read_seconds", "Time from accepted to first read.", _READ_S, "urgency"
)
WEBHOOK_CALLS = _counter("carelane_webhook_calls_total", "Webhook calls made.", "result")

#: All of them; docs/operations.md lists the same, and a test compares.
ALL: Final = tuple(each for each in list(globals().values()) if isinstance(each, Metric))


class Collector(Protocol):
    """What gives numbers at the moment when they are asked for."""

    def collect(self) -> Iterable[Family]:
        """The numbers."""
        ...


_made: dict[str, Any] = {}
_folder: str | None = None
_registry: CollectorRegistry | None = None  # of a process that counts alone


def start(settings: Settings) -> None:
    """Count from now on, in this process and in those that it forks; call it once, early.

    Without a folder a process counts for itself; one that has children and serves its counters at
    a port of its own gets a temporary folder.
    """
    global _folder, _registry
    folder = _folder_for(settings)
    if _made and folder == _folder:
        return
    from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, values

    _folder = folder
    if folder is not None:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder  # where the library opens its files
    # It chooses between memory and files when it is imported, which is too early for us.
    values.ValueClass = values.MultiProcessValue() if folder else values.MutexValue  # type: ignore[no-untyped-call]
    _registry = None if folder else CollectorRegistry()
    for each in ALL:
        common: dict[str, Any] = {"labelnames": each.labels, "registry": _registry}
        if each.kind == "counter":
            _made[each.name] = Counter(each.name, each.about, **common)
        elif each.kind == "gauge":
            common["multiprocess_mode"] = "mostrecent"
            _made[each.name] = Gauge(each.name, each.about, **common)
        else:
            _made[each.name] = Histogram(each.name, each.about, buckets=each.buckets, **common)


def _folder_for(settings: Settings) -> str | None:
    if settings.metrics_dir is not None:
        settings.metrics_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        return str(settings.metrics_dir)
    if settings.metrics_port and _folder is None:
        folder = tempfile.mkdtemp(prefix="carelane-metrics-")
        atexit.register(_remove, folder, os.getpid())
        return folder
    return _folder if settings.metrics_port else None


def _remove(folder: str, owner: int) -> None:
    if os.getpid() == owner:  # not when a child ends
        shutil.rmtree(folder, ignore_errors=True)


def text(*more: Collector) -> bytes:
    """All that was counted, and what `more` tells now, in Prometheus' text format."""
    from prometheus_client import CollectorRegistry, generate_latest
    from prometheus_client.multiprocess import MultiProcessCollector

    registry = CollectorRegistry()
    for each in more:
        registry.register(each)
    if _folder is not None:
        MultiProcessCollector(registry, _folder)  # type: ignore[no-untyped-call]
        return generate_latest(registry)
    return (generate_latest(_registry) if _registry is not None else b"") + generate_latest(
        registry
    )


def stop() -> None:
    """Forget all that was counted here; for tests, which share a process."""
    global _folder, _registry
    from prometheus_client import values

    _made.clear()
    values.close_all_multiprocess_files()  # type: ignore[no-untyped-call]
    _folder = _registry = None
