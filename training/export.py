"""From PyTorch to ONNX: one message without padding in, all logits and a familiarity out.

Exported by tracing with eager attention and no fusion: of all the ways measured, the graph
that quantises fastest. There is no attention mask: the worker runs messages alone, or runs of
equal length, so every token is real.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from training.metrics import Floats
from training.network import Classifier

OPSET = 17


class Exported(nn.Module):
    """What the graph computes."""

    def __init__(self, model: Classifier, centres: Floats) -> None:
        super().__init__()
        self.model = model
        self.register_buffer("centres", torch.from_numpy(np.ascontiguousarray(centres.T)).float())

    def forward(self, input_ids: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of all heads, and the cosine to the nearest centre of the training data."""
        hidden = self.model.encoder(input_ids=input_ids)[0]
        pooled = hidden.mean(1)
        unit = pooled / pooled.norm(dim=1, keepdim=True).clamp(min=1e-6)
        familiarity = (unit @ self.centres).amax(1)
        return self.model.heads(pooled), familiarity


def export(model: Classifier, centres: Floats, path: Path) -> Path:
    """Write the float32 graph; dimensions batch and tokens stay free."""
    path.parent.mkdir(parents=True, exist_ok=True)
    wrapped = Exported(model.float(), centres).eval()  # eval, or dropout comes back in
    wrapped.model.encoder.pooler = None
    example = torch.randint(1000, 2000, (2, 16))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracing exporter is deprecated, and the faster graph
        torch.onnx.export(
            wrapped,
            (example,),
            str(path),
            input_names=["input_ids"],
            output_names=["logits", "familiarity"],
            dynamic_axes={
                "input_ids": {0: "batch", 1: "tokens"},
                "logits": {0: "batch"},
                "familiarity": {0: "batch"},
            },
            opset_version=OPSET,
            dynamo=False,
        )
    return path


def centres_of(pooled: Floats, count: int = 48, seed: int = 0) -> Floats:
    """Unit vectors of clusters of the training data's pooled vectors (spherical k-means)."""
    rng = np.random.default_rng(seed)
    unit = pooled / np.linalg.norm(pooled, axis=1, keepdims=True).clip(1e-6)
    centres = unit[rng.choice(len(unit), min(count, len(unit)), replace=False)]
    for _ in range(15):
        nearest = (unit @ centres.T).argmax(1)
        for c in range(len(centres)):
            mine = unit[nearest == c]
            if len(mine):
                mean = mine.mean(0)
                centres[c] = mean / max(float(np.linalg.norm(mean)), 1e-6)
    return centres
