"""The quantisation scorecard: every variant of one model side by side, speed and worth.

Speed, memory and load time are measured in a process of its own per variant and thread count
(training.scorecard_run); worth by the worker's own code, with the variant in the model's
place, thresholds as the bundle has them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from training import network
from training.corpus import Example
from training.evaluate import Arrays, headline, judge_all
from training.export import Exported, export
from training.quantise import SHIPPED, VARIANTS, quantise
from training.thresholds import flags_of, score_all
from workers.fast_tier.blend import BlendedReader
from workers.fast_tier.linear import LinearReader
from workers.fast_tier.manifest import Manifest, read_manifest
from workers.fast_tier.runner import Reader
from workers.fast_tier.tier import FastTier
from workers.fast_tier.transformer import Run, TransformerReader, onnx_run, open_tokenizer

BASELINE: Final = "PyTorch fp32"
THREADS: Final = (1, 2)
Say = Callable[[str], None]


@dataclass(frozen=True)
class Candidate:
    """One variant as a file, and what runs it: torch, torchscript or onnx."""

    name: str
    kind: str
    path: Path


def make_candidates(
    work: Path,
    model: Path,
    samples: Sequence[Sequence[int]],
    say: Say,
    others: Mapping[str, Path],
) -> list[Candidate]:
    """Every variant of the float graph in the work folder, written beside it."""
    folder = work / "variants"
    folder.mkdir(parents=True, exist_ok=True)
    candidates = [
        Candidate(BASELINE, "torch", model),
        Candidate("TorchScript", "torchscript", torchscript(model, folder / "model.ts")),
        Candidate("ONNX fp32", "onnx", work / "fp32.onnx"),
    ]
    for number, variant in enumerate(VARIANTS.values()):
        say(f"quantising: {variant.name}")
        path = quantise(work / "fp32.onnx", folder / f"v{number}.onnx", variant, samples)
        candidates.append(Candidate(variant.name, "onnx", path))
    for name, trained in others.items():
        say(f"quantising: {name}")
        candidates.append(Candidate(name, "onnx", _shipped_way(trained, folder, len(candidates))))
    return candidates


def _shipped_way(trained: Path, folder: Path, number: int) -> Path:
    """Another trained model, quantised as the shipped one is."""
    loaded, _ = network.load(trained)
    # Worth is compared without familiarity, so the clusters can be left empty.
    blank = np.eye(1, loaded.encoder.config.hidden_size)
    graph = export(loaded, blank, folder / f"other{number}-fp32.onnx")
    return quantise(graph, folder / f"other{number}.onnx", SHIPPED)


def torchscript(model: Path, target: Path) -> Path:
    """Traced and frozen."""
    loaded, _ = network.load(model)
    wrapped = Exported(loaded, np.zeros((1, loaded.encoder.config.hidden_size))).eval()
    with torch.no_grad():
        traced = torch.jit.trace(wrapped, (torch.randint(1000, 2000, (2, 16)),))
        torch.jit.freeze(traced).save(str(target))
    return target


def speed(candidate: Candidate, threads: int) -> dict[str, Any]:
    """Load time, memory and latencies, from a fresh process."""
    env = {**os.environ, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    done = subprocess.run(
        [
            *(sys.executable, "-m", "training.scorecard_run"),
            *(candidate.kind, str(candidate.path), str(threads)),
        ],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        return {"error": done.stderr.strip().splitlines()[-1] if done.stderr else "failed"}
    result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def worth(candidate: Candidate, bundle: Path, examples: Sequence[Example]) -> Arrays:
    """What the tier says of messages with the candidate as its model."""
    manifest = read_manifest(bundle)
    tier = FastTier(manifest, _reader(candidate, bundle, manifest))
    scores = score_all(tier, [e.text for e in examples])
    # Familiarity is left out: only the shipped graph carries the clusters.
    policy = replace(manifest.policy, min_familiarity=-2.0)
    return judge_all(examples, scores, flags_of(examples), policy, manifest.categories).arrays()


def _reader(candidate: Candidate, bundle: Path, manifest: Manifest) -> Reader:
    if candidate.kind == "onnx":
        run = onnx_run(candidate.path.parent, candidate.path.name)
    else:
        run = _torch_run(candidate)
    reader = TransformerReader(open_tokenizer(bundle / "tokenizer.json"), run, manifest)
    if not manifest.linear_weights:
        return reader
    linear = LinearReader(bundle, manifest, model="linear.onnx")
    return BlendedReader(reader, linear, manifest.linear_weights)


def _torch_run(candidate: Candidate) -> Run:
    if candidate.kind == "torchscript":
        module: Any = torch.jit.load(str(candidate.path))
    else:
        loaded, _ = network.load(candidate.path)
        module = Exported(loaded, np.zeros((1, loaded.encoder.config.hidden_size))).eval()

    @torch.inference_mode()
    def run(ids: Sequence[int]) -> tuple[np.ndarray, float]:
        logits, _ = module(torch.tensor([list(ids)]))
        return logits[0].numpy(), 1.0

    return run


def scorecard(
    candidates: Sequence[Candidate], bundle: Path, examples: Sequence[Example], say: Say
) -> list[dict[str, Any]]:
    """One row per candidate; the first is what shifts are measured against."""
    rows: list[dict[str, Any]] = []
    base: Arrays | None = None
    for candidate in candidates:
        say(candidate.name)
        arrays = worth(candidate, bundle, examples)
        base = base or arrays
        figures = headline(arrays)
        rows.append(
            {
                "name": candidate.name,
                "size_mb": candidate.path.stat().st_size / 1e6,
                **{f"threads_{n}": speed(candidate, n) for n in THREADS},
                **{
                    k: figures[k]
                    for k in (
                        "category_accuracy",
                        "category_macro_f1",
                        "urgency_macro_f1",
                        "emergent_recall_argmax",
                        "emergent_recall_tier",
                        "llm_share",
                    )
                },
                "llm_share_shift": figures["llm_share"] - headline(base)["llm_share"],
                "labels_changed": float(
                    (
                        (arrays.category.argmax(1) != base.category.argmax(1))
                        | (arrays.urgency.argmax(1) != base.urgency.argmax(1))
                    ).mean()
                ),
                "probability_shift_max": float(np.abs(arrays.category - base.category).max()),
            }
        )
    return rows


def as_markdown(rows: Sequence[dict[str, Any]]) -> str:
    """The table for docs/model.md."""
    heads = (
        "| variant | MB | load s | RSS MB | 1×40, 1 thread p50 / p95 / p99 | 1×128 | 32×128 "
        "| 1×40, 2 threads | 32×128, 2 threads | category acc / F1 | urgency F1 "
        "| emergent | to the LLM | shift |"
    )
    lines = [heads, "| --- |" + " --- |" * 13]
    for row in rows:
        one, two = row["threads_1"], row["threads_2"]
        lines.append(
            f"| {row['name']} | {row['size_mb']:.1f} | {_cell(one, 'load_s', '.2f')} "
            f"| {_cell(one, 'rss_mb', '.0f')} | {_latency(one, '1x40')} "
            f"| {_latency(one, '1x128')} | {_latency(one, '32x128')} "
            f"| {_latency(two, '1x40')} | {_latency(two, '32x128')} "
            f"| {row['category_accuracy']:.3f} / {row['category_macro_f1']:.3f} "
            f"| {row['urgency_macro_f1']:.3f} | {row['emergent_recall_argmax']:.3f} "
            f"| {row['llm_share']:.1%} | {row['llm_share_shift']:+.1%} |"
        )
    return "\n".join(lines)


def _cell(speeds: dict[str, Any], name: str, form: str) -> str:
    return format(speeds[name], form) if name in speeds else "–"


def _latency(speeds: dict[str, Any], shape: str) -> str:
    found = speeds.get("latency_ms", {}).get(shape)
    return " / ".join(f"{x:.1f}" for x in found) if found else "–"
