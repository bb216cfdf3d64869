"""The token classifier at run time: onnxruntime and tokenizers, one text per run, one thread.

Texts longer than a window are read in overlapping windows; a token takes its probabilities from
the window in which it stands farthest from an edge.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from shared.errors import BundleError
from workers.deid.bundle import DeidBundle
from workers.deid.shapes import GLUED, NONE, features
from workers.onnx_runtime import ort

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Words:
    """The words of a text as the tokenizer parts it, with their probabilities."""

    starts: NDArray[np.int64]  # first character of each word
    ends: NDArray[np.int64]  # one past its last
    any: Floats  # probability of being part of an identifier
    types: Floats  # (words, types): probability of each type
    begins: Floats  # probability that an identifier begins here


class TokenClassifier:
    """Scores the words of a text. Build with `load`."""

    def __init__(self, session: Any, tokenizer: Tokenizer, window: int, overlap: int) -> None:
        self._session = session
        self._tokenizer = tokenizer
        self._window = window
        self._overlap = overlap

    @classmethod
    def load(cls, bundle: DeidBundle) -> TokenClassifier:
        """Load from a checked bundle. Raises BundleError."""
        try:
            session = _session(bundle.folder / "model.onnx")
            tokenizer = Tokenizer.from_file(str(bundle.folder / "tokenizer.json"))
        except Exception as error:
            raise BundleError(f"The model in {bundle.folder} cannot be loaded: {error}") from error
        tokenizer.no_padding()
        tokenizer.no_truncation()
        return cls(session, tokenizer, bundle.window_tokens, bundle.overlap_tokens)

    def score(self, text: str, between: Callable[[], None]) -> Words | None:
        """Probabilities of every word, None for no words; `between` runs between steps."""
        encoding = self._tokenizer.encode(text)
        words = encoding.word_ids
        if len(words) <= 2:  # only the marks for start and end
            return None
        shapes, gaps = features(text, encoding.offsets, words)
        between()
        probabilities = self._probabilities(encoding.ids, shapes, gaps, between)
        return _by_word(probabilities, encoding.offsets[1:-1], words[1:-1])

    def _probabilities(
        self, ids: list[int], shapes: list[int], gaps: list[int], between: Callable[[], None]
    ) -> Floats:
        """(tokens without the two special ones, labels)."""
        if len(ids) <= self._window:
            return self._run(ids, shapes, gaps)[1:-1]
        inside = len(ids) - 2
        room = self._window - 2
        step = room - self._overlap
        found = np.zeros((inside, 0), dtype=np.float32)
        best = np.full(inside, -1, dtype=np.int64)
        for first in range(0, max(1, inside - self._overlap), step):
            last = min(first + room, inside)
            here = self._run(
                [ids[0], *ids[first + 1 : last + 1], ids[-1]],
                [NONE, *shapes[first + 1 : last + 1], NONE],
                [GLUED, *gaps[first + 1 : last + 1], GLUED],
            )[1:-1]
            if found.shape[1] == 0:
                found = np.zeros((inside, here.shape[1]), dtype=np.float32)
            left = np.arange(last - first) + (inside if first == 0 else 0)
            right = np.arange(last - first)[::-1] + (inside if last == inside else 0)
            depth = np.minimum(left, right)
            better = depth > best[first:last]
            found[first:last][better] = here[better]
            best[first:last][better] = depth[better]
            between()
        return found

    def _run(self, ids: list[int], shapes: list[int], gaps: list[int]) -> Floats:
        inputs = {
            "ids": np.array([ids], dtype=np.int64),
            "shapes": np.array([shapes], dtype=np.int64),
            "gaps": np.array([gaps], dtype=np.int64),
        }
        logits = self._session.run(None, inputs)[0][0]
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        result: Floats = powers / powers.sum(axis=1, keepdims=True)
        return result


def _session(path: Path) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _by_word(
    probabilities: Floats, offsets: list[tuple[int, int]], words: list[int | None]
) -> Words:
    """A word is as suspicious as its most suspicious piece."""
    numbers = np.array(words, dtype=np.int64)
    firsts = np.flatnonzero(np.diff(numbers, prepend=-1))
    lasts = np.append(firsts[1:], len(numbers)) - 1
    spans = np.array(offsets, dtype=np.int64)
    by_type = probabilities[:, 1::2] + probabilities[:, 2::2]
    return Words(
        starts=spans[firsts, 0],
        ends=spans[lasts, 1],
        any=np.maximum.reduceat(1 - probabilities[:, 0], firsts),
        types=np.add.reduceat(by_type, firsts),
        begins=probabilities[firsts, 1::2].sum(axis=1),
    )
