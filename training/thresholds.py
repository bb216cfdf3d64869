"""Calibrate a draft bundle: temperatures and thresholds from validation messages, written in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from shared.red_flags import RedFlag, RedFlags
from training import bundle as bundles
from training.calibrate import (
    Chosen,
    RiskOptions,
    choose_member_threshold,
    choose_policy,
    fit_temperatures,
    truth_of,
)
from training.corpus import Example
from training.metrics import sigmoid
from workers.drift import Mix
from workers.fast_tier import FastTier, language
from workers.fast_tier.manifest import Manifest
from workers.fast_tier.scores import Scores, merge, scores_of
from workers.routing import RoutingPolicy, decide

Progress = Callable[[int], None]


def _silent(_: int) -> None:
    """No progress to show."""


def calibrate(
    folder: Path,
    examples: Sequence[Example],
    options: RiskOptions,
    *,
    emergent_categories: Sequence[str],
    progress: Progress = _silent,
) -> Chosen:
    """Fit on validation messages, by the quantised model as the worker runs it."""
    tier = FastTier.load(folder)
    reads = []
    for example in examples:
        reads.append(tier.read(example.text))
        progress(1)
    merged = [merge(read.readings) for read in reads]
    truth = truth_of(examples, tier.manifest.categories)
    members = np.array([m.members for m in merged])
    primary = np.array([m.primary for m in merged])
    temperatures = fit_temperatures(primary, members, np.array([m.urgency for m in merged]), truth)
    manifest = replace(
        tier.manifest,
        temperatures=temperatures,
        member_threshold=choose_member_threshold(
            sigmoid(members / temperatures.members), primary.argmax(1), truth.members
        ),
    )
    scores = [
        scores_of(
            reading,
            manifest,
            n_tokens=read.n_tokens,
            truncated=read.truncated,
            language=language.detect(example.text, read.known_words),
        )
        for reading, read, example in zip(merged, reads, examples, strict=True)
    ]
    policy = replace(manifest.policy, emergent_categories=tuple(emergent_categories))
    flags = flags_of(examples)
    chosen = choose_policy(scores, flags, examples, policy, options)
    _write(folder, manifest, chosen, options, mix_of(scores, flags, chosen.policy))
    return chosen


def mix_of(
    scores: Sequence[Scores], flags: Sequence[Sequence[RedFlag]], policy: RoutingPolicy
) -> Mix:
    """What live messages are held against, to notice drift."""
    return Mix.of([decide(s, f, policy) for s, f in zip(scores, flags, strict=True)])


def measure_reference(
    folder: Path, examples: Sequence[Example], *, progress: Progress = _silent
) -> Mix:
    """Write a bundle's reference into it and leave its thresholds as they are."""
    tier = FastTier.load(folder)
    scores = score_all(tier, [example.text for example in examples], progress)
    found = mix_of(scores, flags_of(examples), tier.manifest.policy)
    data = bundles.load_manifest(folder)
    data["reference"] = found.as_dict()
    bundles.save_manifest(folder, data)
    return found


def flags_of(examples: Sequence[Example]) -> list[tuple[RedFlag, ...]]:
    """Red flags of each message."""
    rules = RedFlags.load()
    return [rules.find(example.text) for example in examples]


def score_all(tier: FastTier, texts: Sequence[str], progress: Progress = _silent) -> list[Scores]:
    """Scores of each text, one message per run."""
    scores = []
    for text in texts:
        scores.append(tier.score(text))
        progress(1)
    return scores


def _write(
    folder: Path, manifest: Manifest, chosen: Chosen, options: RiskOptions, reference: Mix
) -> None:
    data = bundles.load_manifest(folder)
    data["temperatures"] = asdict(manifest.temperatures)
    data["member_threshold"] = manifest.member_threshold
    data["routing"] = chosen.policy.as_dict()
    counts = {k: v for k, v in asdict(chosen).items() if k != "policy"}
    data["calibration"] = {"options": asdict(options), "validation": counts}
    data["reference"] = reference.as_dict()
    bundles.save_manifest(folder, data)
