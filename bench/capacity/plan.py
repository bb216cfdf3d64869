"""From measured times to a plan for a day of ten million messages. What is assumed stands in `Day`.

`limits` works out at which rate each part ends; the model says what a rate feels like before that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any, Final

from bench.capacity.fit import ServiceTimes
from bench.capacity.model import Deployment, Model, Outcome
from bench.measure import quantile

#: Shares of a Monday's messages by hour: nights are quiet, people write before and at work.
HOURS: Final = (
    *(0.006, 0.004, 0.003, 0.003, 0.005, 0.012, 0.030, 0.065),
    *(0.110, 0.105, 0.090, 0.075, 0.065, 0.060, 0.055, 0.052),
    *(0.048, 0.042, 0.038, 0.036, 0.034, 0.028, 0.020, 0.014),
)
#: A worker process that is busier than this has no room for a bad minute.
MOST_BUSY: Final = 0.7
_SQS_IN_FLIGHT: Final = 120_000
_SQS_USD_PER_MILLION: Final = 0.40
_VCPU_USD_PER_HOUR: Final = 0.04048
_SLICE_S: Final = 40.0


@dataclass(frozen=True, kw_only=True)
class Day:
    """What is assumed, none of it measured here."""

    messages: int = 10_000_000  # on a mean day
    monday: float = 1.3  # a Monday's over a mean day's
    minute: float = 1.5  # the busiest minute's rate over its hour's mean
    api_ms: float = 13.5  # a call to SQS on AWS
    usd_per_million: tuple[float, float, float] = (0.15, 0.075, 0.60)  # tokens in, cached, out
    requests_per_minute: float = 10_000  # of the LLM's account
    tokens_per_minute: float = 10_000_000

    def hour_per_s(self, hour: int) -> float:
        """Messages a second in an hour of a Monday."""
        return self.messages * self.monday * HOURS[hour] / sum(HOURS) / 3600

    @property
    def hour_peak_per_s(self) -> float:
        """Mean of the busiest hour."""
        return max(self.hour_per_s(hour) for hour in range(24))

    @property
    def peak_per_s(self) -> float:
        """The busiest minute."""
        return self.hour_peak_per_s * self.minute


@dataclass(frozen=True, kw_only=True)
class Limit:
    """A part, and the messages a second at which it ends."""

    part: str
    per_s: float
    unit: str  # of what: one process, one account ...
    then: str  # what to change

    def needed(self, per_s: float) -> float:
        """How many units a rate takes."""
        return per_s / self.per_s


def fast_per_s(times: ServiceTimes) -> float:
    """Messages a second of one fast worker process, in full chunks."""
    full = 32
    chunk_ms = times.chunk.at(full) + times.write.at(full) + times.gap_ms
    return 1000 * full / (full * times.model.mean_ms + chunk_ms)


def limits(times: ServiceTimes, day: Day, writes: Sequence[dict[str, Any]]) -> list[Limit]:
    """Every part's end, the lowest first."""
    prompt = times.tokens_in.at(8) + 8 * times.tokens_out
    to_llm = max(times.escalated, 0.01)
    notify, plain = _commits(writes, notify=True), _commits(writes, notify=False)
    # A portal that sends one by one: its own, a full chunk's claim and settling, the LLM's answer.
    notifying = 1 + 1 / 32 + to_llm
    commits = 1 + times.commits
    found = [
        Limit(
            part="Postgres commits that NOTIFY",
            per_s=notify / notifying,
            unit="server",
            then="let intakes and LLM workers notify at most every 50 ms, not in every commit",
        ),
        Limit(
            part="Postgres commits without NOTIFY",
            per_s=plain / commits,
            unit="server",
            then="portals send lists; settle LLM answers by call; partition messages by month",
        ),
        Limit(
            part="Postgres CPU",
            per_s=1000 / (times.cpu_ms["Postgres"] or 0.01),
            unit="core",
            then="more cores; a read replica for the dashboard; words' index in a partition",
        ),
        Limit(
            part="fast worker",
            per_s=fast_per_s(times),
            unit="process (one core)",
            then="more processes, on any number of hosts",
        ),
        Limit(
            part="LLM worker: masking",
            per_s=1000 / (times.llm_cpu_ms * to_llm),
            unit="process (one core)",
            then="more processes",
        ),
        Limit(
            part="LLM worker: calls in flight",
            per_s=32 * 8 * 1000 / times.llm_call.mean_ms / to_llm,
            unit="process (32 calls)",
            then="more processes",
        ),
        Limit(
            part="LLM tokens a minute",
            per_s=day.tokens_per_minute / 60 / prompt * 8 / to_llm,
            unit="account",
            then="a higher limit, a second provider, or a surer small model",
        ),
        Limit(
            part="LLM requests a minute",
            per_s=day.requests_per_minute / 60 * 8 / to_llm,
            unit="account",
            then="fuller prompts; a second provider",
        ),
        Limit(
            part="relay, fast lane",
            per_s=320 * 1000 / (times.relay.at(320) + day.api_ms),
            unit="process",
            then="more relays: SKIP LOCKED shares the outbox; shard it by lane past that",
        ),
        Limit(
            part="relay, LLM lane",
            per_s=80 * 1000 / (times.relay.at(80) + day.api_ms) / to_llm,
            unit="process",
            then="more relays",
        ),
        Limit(
            part="intake",
            per_s=1000 / max(times.intake_one_ms, 0.01),
            unit="process (one core)",
            then="more processes behind the same address",
        ),
    ]
    return sorted(found, key=lambda limit: limit.per_s)


def _commits(writes: Sequence[dict[str, Any]], *, notify: bool) -> float:
    return float(max(each["commits_per_s"] for each in writes if each["notify"] is notify))


def arrivals_ms(per_s: float, seconds: float, seed: int) -> list[float]:
    """A Poisson stream."""
    random, at_ms, found = Random(seed), 0.0, []
    while (at_ms := at_ms + random.expovariate(per_s / 1000)) < seconds * 1000:
        found.append(at_ms)
    return found


@dataclass(frozen=True, kw_only=True)
class Felt:
    """What a rate feels like with a deployment."""

    per_s: float
    fast_processes: int
    llm_processes: int
    label_p50_ms: float
    label_p95_ms: float
    llm_p50_ms: float
    llm_p95_ms: float
    busy: float  # of the fast workers
    messages_per_chunk: float
    messages_per_call: float
    sqs_calls_per_message: float
    most_in_flight: int
    most_calls: int


def feel(times: ServiceTimes, deployment: Deployment, per_s: float, *, seed: int = 1) -> Felt:
    """Run the model at a rate for some seconds; the first quarter, while it fills, is left out."""
    out = Model(times, deployment, arrivals_ms(per_s, _SLICE_S, seed), seed=seed).run()
    steady = [m for m in out.messages if m.came_ms > _SLICE_S * 250]
    labels = [m.labelled_ms - m.came_ms for m in steady]
    by_llm = [m.settled_ms - m.came_ms for m in steady if m.escalated]
    ended_ms = max(m.labelled_ms for m in out.messages)
    fast_chunks = out.chunks.get("fast", 0) + out.chunks.get("priority", 0)
    return Felt(
        per_s=per_s,
        fast_processes=deployment.fast_processes,
        llm_processes=deployment.llm_processes,
        label_p50_ms=quantile(labels, 0.5),
        label_p95_ms=quantile(labels, 0.95),
        llm_p50_ms=quantile(by_llm, 0.5),
        llm_p95_ms=quantile(by_llm, 0.95),
        busy=out.fast_busy_ms / (ended_ms * deployment.fast_processes),
        messages_per_chunk=len(out.messages) / fast_chunks,
        messages_per_call=out.llm_messages / max(out.llm_calls, 1),
        sqs_calls_per_message=_sqs_calls(out) / len(out.messages),
        most_in_flight=out.most_in_flight,
        most_calls=out.most_calls,
    )


def _sqs_calls(out: Outcome) -> int:
    """Sends, and a receive and a delete for each chunk: nothing is gathered at the workers' end."""
    return out.sends + 2 * sum(out.chunks.values())


def sized(times: ServiceTimes, day: Day, per_s: float) -> Deployment:
    """As many processes as keep every one of them at most `MOST_BUSY`."""
    fast = per_s / fast_per_s(times)
    masking = per_s * times.escalated * times.llm_cpu_ms / 1000
    calling = per_s * times.escalated / 8 * times.llm_call.mean_ms / 1000 / 32
    return Deployment(
        fast_processes=_up(fast / MOST_BUSY),
        llm_processes=_up(max(masking, calling) / MOST_BUSY),
        relays=2,
        hop_ms=day.api_ms,
    )


def _up(value: float) -> int:
    return max(1, int(-(-value // 1)))


@dataclass(frozen=True, kw_only=True)
class Cost:
    """US dollars for 1,000 messages."""

    llm: float
    sqs: float
    workers: float

    @property
    def whole(self) -> float:
        """Together. Postgres, network and people are not in it."""
        return self.llm + self.sqs + self.workers


def costs(times: ServiceTimes, day: Day, felt: Felt, deployment: Deployment) -> tuple[Cost, Cost]:
    """Of Carelane at this rate, and of one LLM call for every message."""
    together = felt.messages_per_call
    each = _call_usd(times, day, together) / together
    processes = deployment.fast_processes + deployment.llm_processes
    carelane = Cost(
        llm=1000 * times.escalated * each,
        sqs=1000 * felt.sqs_calls_per_message * _SQS_USD_PER_MILLION / 1e6,
        # Paid for by the hour at the size of the peak, used at the mean day's rate.
        workers=1000 * processes * _VCPU_USD_PER_HOUR / (day.messages / 24),
    )
    return carelane, Cost(llm=1000 * _call_usd(times, day, 1), sqs=0.0, workers=0.0)


def _call_usd(times: ServiceTimes, day: Day, messages: float) -> float:
    fresh, cached, out = (price / 1e6 for price in day.usd_per_million)
    tokens = times.tokens_in.at(messages)
    per_token = fresh * (1 - times.cached_share) + cached * times.cached_share
    return tokens * per_token + messages * times.tokens_out * out


@dataclass(frozen=True, kw_only=True)
class Hour:
    """An hour of a Monday with a limited LLM."""

    hour: int
    asked_per_s: float  # messages for the LLM
    room_per_s: float  # that its limits let through
    waiting: float  # at the hour's end
    to_people: float  # that waited too long in this hour


def limited_day(times: ServiceTimes, day: Day, patience_s: float = 900.0) -> list[Hour]:
    """What an account's limits do to a Monday: who cannot be served in time goes to a person.

    A plain balance minute by minute: what waits longer than `patience_s` (CARELANE_LLM_WAIT_S)
    leaves for the people's queue.
    """
    by_limit = {limit.part: limit.per_s for limit in limits(times, day, _NO_WRITES)}
    room = times.escalated * min(by_limit["LLM tokens a minute"], by_limit["LLM requests a minute"])
    waiting, hours = 0.0, []
    for hour in range(24):
        asked, gone = day.hour_per_s(hour) * times.escalated, 0.0
        for _ in range(60):
            waiting = max(0.0, waiting + 60 * (asked - room))
            over = max(0.0, waiting - room * patience_s)
            waiting, gone = waiting - over, gone + over
        hours.append(
            Hour(hour=hour, asked_per_s=asked, room_per_s=room, waiting=waiting, to_people=gone)
        )
    return hours


_NO_WRITES: Final = (
    {"commits_per_s": 1.0, "notify": True},
    {"commits_per_s": 1.0, "notify": False},
)


def whole_plan(times: ServiceTimes, day: Day, writes: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Everything that docs/scale.md shows."""
    deployment = sized(times, day, day.peak_per_s)
    felt = feel(times, deployment, day.peak_per_s)
    fewest = max(1, deployment.fast_processes // 2)
    knee = [
        feel(times, replace(deployment, fast_processes=count), share * day.peak_per_s)
        for count in sorted({fewest, deployment.fast_processes})
        for share in (0.25, 0.5, 0.65, 0.8, 0.9, 1.0)
    ]
    carelane, alone = costs(times, day, felt, deployment)
    return {
        "day": day,
        "peak_per_s": day.peak_per_s,
        "hour_peak_per_s": day.hour_peak_per_s,
        "deployment": deployment,
        "felt": felt,
        "knee": knee,
        "limits": limits(times, day, writes),
        "cost": {"carelane": carelane, "llm_alone": alone},
        "hours": limited_day(times, day),
        "in_flight_share": felt.most_in_flight / _SQS_IN_FLIGHT,
        "wal_gb_a_day": times.wal_bytes * day.messages / 1e9,
        "wal_mb_per_s_at_peak": times.wal_bytes * day.peak_per_s / 1e6,
        "table_gb_a_day": times.table_bytes * day.messages / 1e9,
    }
