"""A released bundle as a model to train further.

What ships is int8; its weights, turned back into floats, are where the training of a later release
or of a hospital's own corrections begins. That takes a third of the time of a start from the base.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
import torch
from onnx import numpy_helper

from shared.errors import InvalidInput
from training.metrics import Floats
from training.network import DEFAULT_BASE, Classifier, new_classifier
from workers.fast_tier.manifest import read_manifest

#: Nodes that multiply with an unnamed weight: the module's path is in the node's name.
_NODE: Final = re.compile(r"/(?P<module>.+)/(?:Gemm_)?MatMul_quant")


def classifier_of(
    bundle: Path, names: Sequence[str], base: str = DEFAULT_BASE, dropout: float = 0.1
) -> Classifier:
    """The transformer of a dynamically quantised bundle, in floats.

    `base` is the encoder that it was made from, for the layers' shapes.

    Raises:
        BundleError: the bundle is broken.
        InvalidInput: it has no transformer, other categories, or another encoder's shapes.
    """
    manifest = read_manifest(bundle)
    if manifest.kind == "linear":
        raise InvalidInput(f"{bundle} is a linear bundle; there is nothing to train further")
    if tuple(manifest.categories) != tuple(names):
        raise InvalidInput(f"{bundle} was made for other categories: {manifest.categories}")
    model = new_classifier(base, len(names), dropout)
    found = _weights(bundle / "model.onnx")
    state = model.state_dict()
    for name, value in state.items():
        if ".pooler." in name or name.endswith("position_ids"):
            continue  # not exported, not used
        weight = found.get(name)
        if weight is None:
            raise InvalidInput(f"{bundle} has no weight {name!r}: it was not made from {base!r}")
        if weight.shape != tuple(value.shape):
            weight = weight.T
        if weight.shape != tuple(value.shape):
            raise InvalidInput(f"{name!r} has another shape in {bundle} than in {base!r}")
        state[name] = torch.from_numpy(np.array(weight))
    model.load_state_dict(state)
    return model


def _weights(path: Path) -> dict[str, Any]:
    """Every weight of the graph as float32, by the module's path."""
    graph = onnx.load(str(path)).graph
    raw = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
    found = {
        name.removeprefix("model."): value
        for name, value in raw.items()
        if value.dtype == np.float32 and not name.endswith(("_scale", "_zero_point"))
    }
    for name in raw:
        if name.endswith("_quantized") and f"{name.removesuffix('_quantized')}_scale" in raw:
            plain = name.removesuffix("_quantized")
            found[plain.removeprefix("model.")] = _floats(raw, plain)
    for node in graph.node:
        if node.op_type == "MatMulInteger" and (match := _NODE.fullmatch(node.name)):
            plain = node.input[1].removesuffix("_quantized")
            # A product's right side is stored the other way round than a torch layer's weight.
            found[f"{match['module'].replace('/', '.')}.weight"] = _floats(raw, plain).T
    return found


def _floats(raw: dict[str, Any], plain: str) -> Floats:
    zero = raw[f"{plain}_zero_point"].astype(np.float32)
    scale = raw[f"{plain}_scale"].astype(np.float32)
    floats: Floats = (raw[f"{plain}_quantized"].astype(np.float32) - zero) * scale
    return floats
