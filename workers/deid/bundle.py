"""The folder that holds the token classifier: what is in it, and whether it is what it says."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.errors import BundleError
from workers.deid.spans import TYPES

DEFAULT_BUNDLE = Path(__file__).resolve().parent.parent / "models" / "deid-v1"
FORMAT = 1
KIND = "token-classifier"
LABELS = ("O", *(f"{prefix}-{kind}" for kind in TYPES for prefix in ("B", "I")))


@dataclass(frozen=True, kw_only=True, slots=True)
class Thresholds:
    """Chosen on dev, recall first; each is a probability of being any identifier."""

    find: float  # a word from here on begins a span
    extend: float  # a word beside a found one joins it from here on
    rule: float  # an uncertain rule hit stands from here on
    protected: float  # a span made of clinical words alone is masked only from here on


@dataclass(frozen=True, kw_only=True, slots=True)
class DeidBundle:
    """A checked bundle folder."""

    folder: Path
    version: str
    window_tokens: int  # the most that one run of the model sees
    overlap_tokens: int  # shared by neighbouring windows of a long text
    thresholds: Thresholds


def open_bundle(folder: Path) -> DeidBundle:
    """Read and check a bundle. Raises BundleError with the mend in its text."""
    path = folder / "bundle.json"
    try:
        content: Any = json.loads(path.read_bytes())
    except OSError as error:
        raise BundleError(
            f"The de-identification bundle {folder} cannot be read ({error.strerror}): it needs "
            "bundle.json, model.onnx and tokenizer.json. Reinstall Carelane, or name a bundle."
        ) from error
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{path} is not JSON ({error}); copy the bundle again.") from error
    try:
        _check(content, path)
        bundle = _parse(content, folder)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise BundleError(
            f"{path} holds something that it cannot ({error!r}); copy the bundle again."
        ) from error
    for name, expected in content["files"].items():
        if Path(name).name != name or "\0" in name:
            raise BundleError(f"{path} names {name!r}, which lies outside the bundle; refused.")
        _check_hash(folder / name, expected)
    return bundle


def _parse(content: Mapping[str, Any], folder: Path) -> DeidBundle:
    thresholds = {name: float(value) for name, value in content["thresholds"].items()}
    return DeidBundle(
        folder=folder,
        version=str(content["version"]),
        window_tokens=int(content["window_tokens"]),
        overlap_tokens=int(content["overlap_tokens"]),
        thresholds=Thresholds(**thresholds),
    )


def _check(content: Any, path: Path) -> None:
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise BundleError(
            f"{path} is not a bundle of format {FORMAT}; this Carelane reads no other."
        )
    if content.get("kind") != KIND or tuple(content.get("labels", ())) != LABELS:
        raise BundleError(
            f"{path} holds no de-identification model with the labels of this version."
        )
    required = {"model.onnx", "tokenizer.json"}
    if not required <= set(content.get("files", ())):
        raise BundleError(
            f"{path} lists no hash for {', '.join(sorted(required))}; release it again."
        )
    if set(content.get("thresholds", ())) != set(Thresholds.__dataclass_fields__):
        raise BundleError(f"{path} lacks thresholds: {', '.join(Thresholds.__dataclass_fields__)}.")


def _check_hash(path: Path, expected: str) -> None:
    try:
        actual = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise BundleError(f"{path} is missing from the bundle ({error.strerror}).") from error
    if actual != expected:
        raise BundleError(
            f"{path} is not the file that the bundle was released with (its SHA-256 differs); "
            "copy the bundle again, and do not edit it by hand."
        )
