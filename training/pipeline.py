"""The steps between a trained model and a bundle, each a function over files in a work folder."""

from __future__ import annotations

import platform
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np

from shared.taxonomy import Taxonomy
from training import bundle as bundles
from training import finetune, network
from training.augment import Augmenter, AugmentOptions
from training.composed import SKELETONS, compose, matching_skeletons
from training.corpus import Example, file_hash
from training.encode import load_tokenizer, token_ids
from training.export import centres_of, export
from training.finetune import TrainOptions
from training.linear import LinearModel, LinearOptions, export_linear, fit_linear
from training.quantise import SHIPPED, Variant, quantise
from training.resume import classifier_of
from workers.fast_tier.manifest import LinearWeights, read_manifest

Report = Callable[[int, int, float], None]

NAME: Final = "triage"
#: Shares of the linear model in a blended bundle: it knows dangers' words, and topics less.
LINEAR_WEIGHTS: Final = LinearWeights(category=0.25, urgency=0.45)
#: Wordings of each skeleton that the linear model sees.
_COMPOSED_FOR_LINEAR: Final = 3.0
_CALIBRATION_MESSAGES: Final = 256


def train_encoder(
    examples: Sequence[Example],
    taxonomy: Taxonomy,
    options: TrainOptions,
    target: Path,
    report: Report | None = None,
    start: network.Classifier | Path | None = None,
) -> network.Classifier:
    """Fine-tune and save; returns the model.

    `start`: a warmed-up encoder or a bundle's folder to begin with, instead of the base.
    """
    origin = {}
    if isinstance(start, Path):
        origin = {"start": read_manifest(start).policy.model_version}
        start = classifier_of(start, taxonomy.category_names, options.base, options.dropout)
    started = time.monotonic()
    model = finetune.train(examples, taxonomy.category_names, options, start=start, report=report)
    network.save(
        model,
        target,
        options=asdict(options),
        categories=list(taxonomy.category_names),
        **origin,
        minutes=round((time.monotonic() - started) / 60, 1),
    )
    return model


def train_linear(
    examples: Sequence[Example], taxonomy: Taxonomy, options: LinearOptions, target: Path
) -> LinearModel:
    """Fit the linear model, with the composed messages, and write its two files."""
    names = taxonomy.category_names
    rng = random.Random(options.seed)
    rows = [*examples, *compose(matching_skeletons(names), rng, _COMPOSED_FOR_LINEAR)]
    model = fit_linear(rows, names, options)
    target.mkdir(parents=True, exist_ok=True)
    export_linear(model, target / "linear.onnx")
    model.vocabulary.save(target / "ngrams.json")
    return model


def export_float(model_path: Path, examples: Sequence[Example], work: Path) -> Path:
    """The float32 graph with the clusters of the training data, and its tokenizer beside it."""
    model, about = network.load(model_path)
    options = TrainOptions(**_options(about["options"]))
    tokenizer = load_tokenizer(options.base)
    rows = random.Random(0).sample(list(examples), min(1500, len(examples)))
    read = finetune.predict(model, tokenizer, [e.text for e in rows], options.max_tokens)
    tokenizer.save(str(work / "tokenizer.json"))
    return export(model, centres_of(read.pooled), work / "fp32.onnx")


def _options(stored: Mapping[str, Any]) -> dict[str, Any]:
    augment = stored.get("augment")
    return {**stored, "augment": AugmentOptions(**augment) if augment else None}


def sample_ids(model_path: Path, examples: Sequence[Example]) -> list[list[int]]:
    """Token ids of some messages, for the ranges of static quantisation."""
    _, about = network.load(model_path)
    options = TrainOptions(**_options(about["options"]))
    rows = random.Random(0).sample(list(examples), min(_CALIBRATION_MESSAGES, len(examples)))
    return token_ids(load_tokenizer(options.base), [e.text for e in rows], options.max_tokens)


def assemble(
    work: Path,
    target: Path,
    *,
    model_path: Path,
    taxonomy: Taxonomy,
    version: str,
    data: Mapping[str, Path],
    variant: Variant = SHIPPED,
    linear_weights: LinearWeights = LINEAR_WEIGHTS,
    samples: Sequence[Sequence[int]] = (),
) -> Path:
    """Quantise the float graph of the work folder and write a draft bundle."""
    _, about = network.load(model_path)
    graph = quantise(work / "fp32.onnx", work / "quantised.onnx", variant, samples)
    files = {"model.onnx": graph, "tokenizer.json": work / "tokenizer.json"}
    if linear_weights:
        files |= {name: work / "linear" / name for name in ("linear.onnx", "ngrams.json")}
    return bundles.write_bundle(
        target,
        name=NAME,
        version=version,
        kind="transformer",
        taxonomy=taxonomy,
        files=files,
        max_tokens=about["options"]["max_tokens"],
        linear_weights=linear_weights,
        training=provenance(about, data)
        | {"about": _about(variant, linear_weights), "variant": variant.name},
    )


def assemble_linear(
    work: Path, target: Path, *, taxonomy: Taxonomy, version: str, data: Mapping[str, Path]
) -> Path:
    """The smallest bundle: the linear model alone."""
    return bundles.write_bundle(
        target,
        name=f"{NAME}-linear",
        version=version,
        kind="linear",
        taxonomy=taxonomy,
        files={
            "model.onnx": work / "linear" / "linear.onnx",
            "ngrams.json": work / "linear" / "ngrams.json",
        },
        max_tokens=100_000,
        training=provenance({"options": asdict(LinearOptions())}, data)
        | {"about": "TF-IDF n-grams with logistic regression."},
    )


def _about(variant: Variant, linear_weights: LinearWeights) -> str:
    text = f"A transformer encoder with mean pooling and three linear heads, {variant.name}"
    if linear_weights:
        text += (
            ", blended with a TF-IDF logistic regression (shares of the mean log-probability: "
            f"category {linear_weights.category}, urgency {linear_weights.urgency})"
        )
    return text + "."


def provenance(about: Mapping[str, Any], data: Mapping[str, Path]) -> dict[str, Any]:
    """What made a model: options, seeds, hashes of the data, versions, time."""
    versions = {"python": platform.python_version(), "numpy": np.__version__}
    for package in ("torch", "transformers", "onnxruntime", "sklearn"):
        try:
            versions[package] = __import__(package).__version__
        except ImportError:
            continue
    return {
        **{k: v for k, v in about.items() if k != "categories"},
        "data": {name: file_hash(path) for name, path in data.items()}
        | {"composed": file_hash(SKELETONS)},
        "versions": versions,
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def perturbed(examples: Sequence[Example], seed: int = 0) -> list[Example]:
    """The same messages with typos and other casing, for a look at robustness."""
    change = Augmenter(
        examples,
        AugmentOptions(typos=1.0, casing=0.5, identifiers=1.0, cut_off=0, sentence_drop=0, join=0),
        seed,
    )
    return [replace(change(e), id=e.id) for e in examples]
