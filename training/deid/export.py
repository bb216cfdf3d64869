"""From weights to ONNX int8: dynamic, per channel, graph as exported."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path

import onnx
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic

from training.deid.network import TokenClassifier


def export(model: TokenClassifier, path: Path, *, int8: bool = True) -> None:
    """Write `model` as one-text-per-run ONNX: ids, shapes, gaps (1, tokens) to logits."""
    model.eval()
    sample = torch.ones((1, 12), dtype=torch.long)
    axes = {name: {1: "tokens"} for name in ("ids", "shapes", "gaps", "logits")}
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plain = Path(folder) / "plain.onnx"
        torch.onnx.export(
            model,
            (sample, sample, sample),
            str(plain),
            dynamo=False,
            opset_version=17,
            input_names=["ids", "shapes", "gaps"],
            output_names=["logits"],
            dynamic_axes=axes,
        )
        if not int8:
            path.write_bytes(plain.read_bytes())
            return
        quantize_dynamic(
            plain,
            path,
            weight_type=QuantType.QInt8,
            per_channel=True,
            extra_options={"MatMulConstBOnly": True, "WeightSymmetric": True},
        )
    onnx.checker.check_model(str(path))
