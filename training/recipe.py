"""The recipe of the bundle that ships; docs/model.md says what it was chosen over."""

from __future__ import annotations

from typing import Final

from training.calibrate import RiskOptions
from training.finetune import TrainOptions

VERSION: Final = "1.0.0"
SHIPPED_RECIPE: Final = TrainOptions(epochs=7.0, lr=3e-4, ema=0.998, composed=3.0, seed=1)
SHIPPED_RISK: Final = RiskOptions()
