"""Smaller, faster graphs of the same model: every way that ONNX Runtime offers on CPU."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One way to quantise."""

    name: str
    static: bool = False
    per_channel: bool = False
    symmetric: bool = True  # weights; static activations are u8, so asymmetric, unless s8
    activation_s8: bool = False
    percentile: bool = False  # static ranges by percentile, not by min and max


#: What ships: the fastest of those that keep the scores (see docs/model.md).
SHIPPED: Final = Variant(name="dynamic int8 per tensor")

VARIANTS: Final[Mapping[str, Variant]] = {
    v.name: v
    for v in (
        SHIPPED,
        Variant(name="dynamic int8 per channel", per_channel=True),
        Variant(name="dynamic uint8 per tensor", symmetric=False),
        Variant(name="dynamic uint8 per channel", per_channel=True, symmetric=False),
        Variant(name="static u8s8 per tensor", static=True),
        Variant(name="static u8s8 per channel", static=True, per_channel=True),
        Variant(
            name="static u8s8 per channel, percentile",
            static=True,
            per_channel=True,
            percentile=True,
        ),
        Variant(name="static s8s8 per channel", static=True, per_channel=True, activation_s8=True),
        Variant(name="static u8u8 per tensor", static=True, symmetric=False),
    )
}

#: The heads stay in float32: 23 columns cost nothing, and their error would be the whole error.
_KEEP: Final = ("/heads/",)


def quantise(
    source: Path, target: Path, variant: Variant, samples: Sequence[Sequence[int]] = ()
) -> Path:
    """Write a quantised copy of a float32 graph; static variants need sample token ids."""
    logging.getLogger().setLevel(logging.ERROR)
    target.parent.mkdir(parents=True, exist_ok=True)
    weights = QuantType.QInt8 if variant.symmetric else QuantType.QUInt8
    options: dict[str, Any] = {
        "per_channel": variant.per_channel,
        "weight_type": weights,
        "op_types_to_quantize": ["MatMul", "Gather"],  # Gather: the word embeddings, half the file
        "nodes_to_exclude": _kept_nodes(source),
    }
    extra: dict[str, Any] = {
        "MatMulConstBOnly": True,
        "WeightSymmetric": variant.symmetric,
        "ActivationSymmetric": variant.activation_s8,
    }
    if not variant.static:
        quantize_dynamic(str(source), str(target), extra_options=extra, **options)
        return target
    if variant.percentile:
        samples = equal_lengths(samples)
    quantize_static(
        str(source),
        str(target),
        _Samples(samples),
        quant_format=QuantFormat.QDQ,
        activation_type=QuantType.QInt8 if variant.activation_s8 else QuantType.QUInt8,
        calibrate_method=CalibrationMethod.Percentile
        if variant.percentile
        else CalibrationMethod.MinMax,
        extra_options=extra,
        **options,
    )
    return target


def equal_lengths(
    samples: Sequence[Sequence[int]], tokens: int = 64, most: int = 64
) -> list[list[int]]:
    """The same tokens in rows of one length: percentile ranges are computed over one array."""
    chain = [token for row in samples for token in row]
    return [chain[i : i + tokens] for i in range(0, len(chain) - tokens + 1, tokens)][:most]


class _Samples(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime ships no types
    """Real messages, one per run, for the ranges of static quantisation."""

    def __init__(self, samples: Sequence[Sequence[int]]) -> None:
        self._rows: Iterator[Sequence[int]] = iter(samples)

    def get_next(self) -> dict[str, Any] | None:
        """The next message, or None at the end, as ONNX Runtime asks for it."""
        row = next(self._rows, None)
        return None if row is None else {"input_ids": np.array([row], dtype=np.int64)}


def _kept_nodes(source: Path) -> list[str]:
    import onnx

    graph = onnx.load(str(source), load_external_data=False).graph
    return [
        node.name
        for node in graph.node
        if node.op_type in ("MatMul", "Gemm")
        and (any(part in node.name for part in _KEEP) or "encoder" not in node.name)
    ]
