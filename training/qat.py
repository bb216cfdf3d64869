"""Quantisation-aware fine-tuning: the model learns with the rounding that int8 will bring.

Every linear layer of the encoder computes with weights rounded to symmetric int8 per tensor
and activations rounded to uint8 over their range, as ONNX Runtime's dynamic quantisation will;
gradients pass the rounding as if it were not there (straight-through, Jacob et al. 2018).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from training import finetune
from training.corpus import Example
from training.finetune import TrainOptions
from training.network import Classifier


class _Round(torch.autograd.Function):
    """Rounds forwards, does nothing backwards."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:  # noqa: ARG004  autograd's signature
        return x.round()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # type: ignore[override]  # noqa: ARG004
        return gradient


def rounded_weight(weight: Tensor) -> Tensor:
    """Symmetric int8, one scale for the tensor."""
    scale = weight.detach().abs().amax().clamp(min=1e-8) / 127
    result: Tensor = _Round.apply(weight / scale) * scale
    return result


def rounded_activation(x: Tensor) -> Tensor:
    """Asymmetric uint8 over the tensor's range, zero included."""
    low = x.detach().amin().clamp(max=0)
    scale = (x.detach().amax().clamp(min=0) - low).clamp(min=1e-8) / 255
    result: Tensor = (_Round.apply((x - low) / scale)) * scale + low
    return result


class RoundedLinear(nn.Linear):
    """A linear layer that computes as its int8 counterpart will."""

    def forward(self, x: Tensor) -> Tensor:
        """x Wᵀ + b with both operands rounded."""
        return functional.linear(rounded_activation(x), rounded_weight(self.weight), self.bias)


def with_rounding(model: Classifier) -> Classifier:
    """A copy whose encoder's linear layers round."""
    copied = copy.deepcopy(model)
    for module in copied.encoder.modules():
        if type(module) is nn.Linear:
            module.__class__ = RoundedLinear
    return copied


def without_rounding(model: Classifier) -> Classifier:
    """The plain layers again, for the export."""
    for module in model.encoder.modules():
        if type(module) is RoundedLinear:
            module.__class__ = nn.Linear
    return model


def fine_tune(
    model: Classifier,
    examples: Sequence[Example],
    names: Sequence[str],
    options: TrainOptions,
    *,
    epochs: float = 0.5,
    lr: float = 2e-5,
    report: Callable[[int, int, float], None] | None = None,
) -> Classifier:
    """A short fine-tune under rounding, from a trained model."""
    short = replace(options, epochs=epochs, lr=lr, head_lr=lr, ema=0.0)
    trained = finetune.train(examples, names, short, start=with_rounding(model), report=report)
    return without_rounding(trained).eval()
