"""The fast tier: bundles of small models, run by ONNX Runtime, one message at a time."""

from __future__ import annotations

from workers.fast_tier.explain import Attribution
from workers.fast_tier.scores import Scores
from workers.fast_tier.tier import SHIPPED, FastTier
from workers.fast_tier.watch import LiveTier

__all__ = ["SHIPPED", "Attribution", "FastTier", "LiveTier", "Scores"]
