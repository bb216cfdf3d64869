"""A transformer bundle: tokenizer, windows, one unpadded message per run.

Dynamic int8 takes one activation scale per tensor, so a message's score would depend on its
batch; run alone it never does, and on one core batches gain next to nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from tokenizers import Encoding, Tokenizer

from shared.errors import BundleError
from workers.fast_tier.manifest import Manifest
from workers.fast_tier.runner import TextReading, open_session, reading_of
from workers.fast_tier.windows import split

#: Token ids of one window in; all logits and the familiarity out.
Run = Callable[[Sequence[int]], tuple[np.ndarray, float]]


class TransformerReader:
    """Tokenizer and model of a transformer bundle."""

    def __init__(self, tokenizer: Tokenizer, run: Run, manifest: Manifest) -> None:
        self._tokenizer = tokenizer
        self._run = run
        self._n_categories = len(manifest.categories)
        self._max_tokens = manifest.max_tokens

    @classmethod
    def open(cls, folder: Path, manifest: Manifest) -> TransformerReader:
        """From a bundle's folder; BundleError when a file is not what its name says."""
        return cls(open_tokenizer(folder / "tokenizer.json"), onnx_run(folder), manifest)

    def read(self, text: str) -> TextReading:
        """Raw output for head and tail of the text."""
        encoding = self._tokenizer.encode(text)
        windows = split(encoding.ids, self._max_tokens)
        readings = []
        for ids in windows.ids:
            logits, familiarity = self._run(ids)
            readings.append(reading_of(logits, familiarity, self._n_categories))
        return TextReading(
            readings,
            n_tokens=windows.n_tokens,
            truncated=windows.truncated,
            known_words=_known_words(encoding),
        )


def open_tokenizer(path: Path) -> Tokenizer:
    """A tokenizer that neither pads nor cuts."""
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the Rust side raises Exception itself
        raise BundleError(f"{path} is no tokenizer: {error}") from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def onnx_run(folder: Path, model: str = "model.onnx") -> Run:
    """One message per run of a session of its own."""
    session = open_session(folder / model)

    def run(ids: Sequence[int]) -> tuple[np.ndarray, float]:
        logits, familiarity = session.run(
            ["logits", "familiarity"], {"input_ids": np.array([ids], dtype=np.int64)}
        )
        return logits[0], float(familiarity[0])

    return run


def _known_words(encoding: Encoding) -> list[bool]:
    """For each word of letters, whether the vocabulary holds it in one piece."""
    pieces: dict[int, int] = {}
    letters: dict[int, bool] = {}
    for word, token in zip(encoding.word_ids, encoding.tokens, strict=True):
        if word is not None:
            pieces[word] = pieces.get(word, 0) + 1
            letters[word] = letters.get(word, True) and token.lstrip("#").isalpha()
    return [count == 1 for word, count in pieces.items() if letters[word]]
