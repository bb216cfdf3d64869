"""The ONNX Runtime side of a bundle: a file and token ids in, raw readings out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol

import numpy as np

from shared.errors import BundleError
from workers.fast_tier.scores import Reading
from workers.onnx_runtime import ort

#: All that ONNX Runtime raises on a file; its classes share no parent but Exception.
_ORT_ERRORS: Final[tuple[type[Exception], ...]] = tuple(
    error
    for error in (*vars(ort.capi.onnxruntime_pybind11_state).values(), RuntimeError)
    if isinstance(error, type) and issubclass(error, Exception)
)


class Reader(Protocol):
    """Reads a text: whichever kind of model stands behind it."""

    def read(self, text: str) -> TextReading:
        """Raw output for the text's windows."""
        ...


class TextReading:
    """Readings of a text's windows, with what the tokenizer learned on the way."""

    __slots__ = ("known_words", "n_tokens", "readings", "truncated")

    def __init__(
        self,
        readings: Sequence[Reading],
        *,
        n_tokens: int,
        truncated: bool,
        known_words: Sequence[bool],
    ) -> None:
        self.readings = readings
        self.n_tokens = n_tokens
        self.truncated = truncated
        self.known_words = known_words


def open_session(
    path: Path, outputs: Sequence[str] = ("logits", "familiarity")
) -> ort.InferenceSession:
    """A session with one thread: one process per core is steadier than threads inside one."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3
    try:
        session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except _ORT_ERRORS as error:
        raise BundleError(
            f"{path} is not a model that ONNX Runtime {ort.__version__} can open: {error}. "
            "Build the bundle again with `carelane model build`."
        ) from error
    missing = set(outputs) - {output.name for output in session.get_outputs()}
    if missing:
        raise BundleError(f"{path} has no output {', '.join(sorted(missing))}: a foreign model")
    return session


def reading_of(logits: np.ndarray, familiarity: float, n_categories: int) -> Reading:
    """One row of logits, cut into its heads: primary, members, urgency."""
    row: list[float] = logits.tolist()
    return Reading(
        primary=row[:n_categories],
        members=row[n_categories : 2 * n_categories],
        urgency=row[2 * n_categories :],
        familiarity=familiarity,
    )
