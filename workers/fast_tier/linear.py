"""A linear bundle: TF-IDF n-grams and logistic regression, behind the transformer's interface."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from workers.fast_tier.manifest import Manifest
from workers.fast_tier.ngrams import Vocabulary
from workers.fast_tier.runner import TextReading, open_session, reading_of


class LinearReader:
    """Vocabulary and session of a linear bundle."""

    def __init__(self, folder: Path, manifest: Manifest, model: str = "model.onnx") -> None:
        self._vocabulary = Vocabulary.load(folder / "ngrams.json")
        self._session = open_session(folder / model, outputs=("logits",))
        self._n_categories = len(manifest.categories)

    def read(self, text: str) -> TextReading:
        """Raw output for the whole text; familiarity is the share of words seen in training."""
        features = self._vocabulary.features(text)
        (logits,) = self._session.run(
            ["logits"],
            {
                "ids": np.array(features.ids, dtype=np.int64),
                "values": np.array(features.values, dtype=np.float32),
            },
        )
        known = features.known
        familiarity = sum(known) / len(known) if known else 0.0
        return TextReading(
            [reading_of(logits[0], familiarity, self._n_categories)],
            n_tokens=len(known),
            truncated=False,
            known_words=known,
        )
