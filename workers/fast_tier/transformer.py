"""A transformer bundle: tokenizer, windows, one unpadded message per run.

Dynamic int8 takes one activation scale per tensor, so a message's score would depend on its
batch; run alone it never does, and on one core batches gain next to nothing.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from tokenizers import Encoding, Tokenizer

from shared.errors import BundleError
from workers.fast_tier.manifest import Manifest
from workers.fast_tier.runner import TextReading, open_session, reading_of
from workers.fast_tier.windows import split


class TransformerReader:
    """Tokenizer and session of a transformer bundle."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        try:
            self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        except Exception as error:  # the Rust side raises Exception itself
            raise BundleError(f"{folder / 'tokenizer.json'} is no tokenizer: {error}") from error
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._session = open_session(folder / "model.onnx")
        self._n_categories = len(manifest.categories)
        self._max_tokens = manifest.max_tokens

    def read(self, text: str) -> TextReading:
        """Raw output for head and tail of the text."""
        encoding = self._tokenizer.encode(text)
        windows = split(encoding.ids, self._max_tokens)
        readings = []
        for ids in windows.ids:
            logits, familiarity = self._session.run(
                ["logits", "familiarity"], {"input_ids": np.array([ids], dtype=np.int64)}
            )
            readings.append(reading_of(logits[0], float(familiarity[0]), self._n_categories))
        return TextReading(
            readings,
            n_tokens=windows.n_tokens,
            truncated=windows.truncated,
            known_words=_known_words(encoding),
        )


def _known_words(encoding: Encoding) -> list[bool]:
    """For each word of letters, whether the vocabulary holds it in one piece."""
    pieces: dict[int, int] = {}
    letters: dict[int, bool] = {}
    for word, token in zip(encoding.word_ids, encoding.tokens, strict=True):
        if word is not None:
            pieces[word] = pieces.get(word, 0) + 1
            letters[word] = letters.get(word, True) and token.lstrip("#").isalpha()
    return [count == 1 for word, count in pieces.items() if letters[word]]
