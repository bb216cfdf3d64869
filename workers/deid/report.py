"""Run the de-identifier over marked messages, and say how it did."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from shared.errors import DeidError
from workers.deid.deidentifier import Deidentifier
from workers.deid.evaluation import Score, Tally, quantile
from workers.deid.files import Marked
from workers.deid.spans import TYPES


@dataclass(slots=True)
class Evaluation:
    """Everything measured on one set."""

    tally: Tally = field(default_factory=Tally)
    refused: list[tuple[str, str]] = field(default_factory=list)  # id, reason
    latencies_ms: list[float] = field(default_factory=list)


def evaluate(
    deidentifier: Deidentifier, messages: Iterable[Marked], budget_ms: float
) -> Evaluation:
    """Mask every message once, and time it."""
    result = Evaluation()
    for message in messages:
        began = time.perf_counter()
        try:
            masked = deidentifier.mask(message.text, budget_ms)
        except DeidError as error:
            result.refused.append((message.id, error.reason))
            continue
        result.latencies_ms.append(1000 * (time.perf_counter() - began))
        result.tally.add(message.id, message.text, message.marks, masked.spans)
    return result


def as_dict(result: Evaluation) -> dict[str, Any]:
    """The measures as plain data, for --json."""
    tally = result.tally
    return {
        "any": _score(tally.score("any")),
        "any_by_type": {kind: _score(tally.score("any", kind)) for kind in TYPES},
        "exact": {kind: _score(tally.score("exact", kind)) for kind in TYPES},
        "partial": {kind: _score(tally.score("partial", kind)) for kind in TYPES},
        "clean_texts": tally.clean_texts,
        "clean_texts_losing_a_clinical_word": tally.clean_texts_losing,
        "clean_texts_touched": tally.clean_texts_touched,
        "clinical_words_lost": dict(tally.lost_words),
        "leaked": [list(entry) for entry in tally.leaked],
        "wrongly_masked": [list(entry) for entry in tally.wrong],
        "refused": [list(entry) for entry in result.refused],
        "latency_ms": {
            name: round(quantile(result.latencies_ms, share), 2)
            for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))
        },
    }


def _score(score: Score) -> dict[str, float | int]:
    return {
        "precision": round(score.precision, 4),
        "recall": round(score.recall, 4),
        "f1": round(score.f1, 4),
        "wanted": score.wanted,
        "found": score.found,
    }


def lines(result: Evaluation) -> Iterator[str]:
    """The report that a person reads."""
    tally = result.tally
    total = tally.score("any")
    yield f"{len(result.latencies_ms)} messages, {total.wanted} marked values"
    yield (
        f"any type: recall {total.recall:.4f} (fully covered), precision {total.precision:.4f}, "
        f"F1 {total.f1:.4f}"
    )
    yield ""
    yield f"{'':8} {'covered':>8} {'exact':>23} {'partial':>23}"
    measures = " ".join(f"{name:>7}" for name in ("P", "R", "F1", "P", "R", "F1"))
    yield f"{'type':8} {'recall':>8} {measures} {'n':>6}"
    for kind in TYPES:
        yield _type_line(tally, kind)
    yield ""
    yield from _harm(tally)
    yield (
        "latency ms: "
        + ", ".join(
            f"{name} {quantile(result.latencies_ms, share):.2f}"
            for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))
        )
    )
    if result.refused:
        reasons = Counter(reason for _, reason in result.refused)
        yield "refused: " + ", ".join(f"{name} {count}" for name, count in reasons.most_common())
        yield "  " + ", ".join(name for name, _ in result.refused[:20])
    yield f"leaked values: {len(tally.leaked)}"
    for name, kind, value in tally.leaked:
        yield f"  {name}  {kind}  {value!r}"


def _type_line(tally: Tally, kind: str) -> str:
    exact, partial = tally.score("exact", kind), tally.score("partial", kind)
    return (
        f"{kind:8} {tally.score('any', kind).recall:8.4f} "
        f"{exact.precision:7.4f} {exact.recall:7.4f} {exact.f1:7.4f} "
        f"{partial.precision:7.4f} {partial.recall:7.4f} {partial.f1:7.4f} {exact.wanted:6}"
    )


def _harm(tally: Tally) -> Iterator[str]:
    clean = max(1, tally.clean_texts)
    yield (
        f"messages without identifiers: {tally.clean_texts}; with a clinical word masked "
        f"{tally.clean_texts_losing} ({tally.clean_texts_losing / clean:.1%}), with anything "
        f"masked {tally.clean_texts_touched} ({tally.clean_texts_touched / clean:.1%})"
    )
    lost = sum(tally.lost_words.values())
    words = ", ".join(f"{word} {count}" for word, count in tally.lost_words.most_common(20))
    yield f"clinical words lost: {lost}" + (f" ({words})" if lost else "")
