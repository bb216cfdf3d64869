"""Ray Data: parts over a pool of actors for `carelane bulk --engine ray`, and one for any dataset.

In a notebook:

    from workers.bulk.ray import with_labels
    labelled = with_labels(messages, text="body")       # adds the label's columns

Each actor loads the models once and holds one batch. An actor that dies is replaced by Ray, and
its part is begun again.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any, Final

import pandas as pd
import ray
import ray.data
from ray.exceptions import RayError

from workers.bulk.frames import label_texts
from workers.bulk.job import Job, Models, Part
from workers.bulk.labeller import labeller_of, pinned
from workers.bulk.local import EngineError
from workers.bulk.part import label_part

#: Datasets here are lists of parts: no more than this has to lie in shared memory.
_OBJECT_STORE_BYTES: Final = 128 << 20
_ROWS_AT_ONCE: Final = 256


def _part_labeller(job: Job) -> type:
    """The class of an actor that labels the parts that it is given.

    The job travels in the class: as an argument it would lie in shared memory, and an actor that
    is begun again might not find it there.
    """

    class PartLabeller:
        def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
            for values in zip(*batch.values(), strict=True):
                named = zip(batch, values, strict=True)
                part = Part(**{name: int(value) for name, value in named})
                label_part(job, part, labeller_of(job.models))
            return batch

    return PartLabeller


class RayEngine:
    """Labels parts with a pool of `processes` actors."""

    def __init__(self, processes: int) -> None:
        self._processes = processes

    def run(self, job: Job, parts: Sequence[Part], on_rows: Callable[[int], object]) -> None:
        """Label `parts` on the cluster that is connected, or on one of this machine.

        Raises:
            EngineError: a part failed. What is done stays done.
        """
        ours = not ray.is_initialized()
        if ours:
            local_cluster(self._processes)
        try:
            ray.data.DataContext.get_current().enable_progress_bars = False
            items = ray.data.from_items(
                [asdict(part) for part in parts], override_num_blocks=len(parts)
            )
            pool = ray.data.ActorPoolStrategy(size=min(self._processes, len(parts)))
            done = items.map_batches(_part_labeller(job), batch_size=1, compute=pool)
            for row in done.iter_rows():
                on_rows(row["rows"])
        except RayError as error:
            raise EngineError(
                f"Ray gave up: {_reason(error)} The same command goes on where this stopped."
            ) from error
        finally:
            if ours:
                ray.shutdown()


def local_cluster(processes: int) -> None:
    """Connect to a Ray of this machine, made for the purpose."""
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    # Nothing about a run is told to Ray's makers.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        ray.init(
            num_cpus=processes,
            include_dashboard=False,
            object_store_memory=_OBJECT_STORE_BYTES,
            logging_level=logging.ERROR,
            log_to_driver=False,
        )
    except Exception as error:  # Ray raises Exception itself where a part does not start
        raise EngineError(
            f"Ray did not start on this machine ({type(error).__name__}: {error}). Its logs are "
            "in /tmp/ray; --engine local needs none of it."
        ) from error


def _reason(error: Exception) -> str:
    """The last line of our own error in a traceback; else the error's kind."""
    lines = [line.strip() for line in str(error).splitlines()]
    ours = [line for line in lines if line.startswith("shared.errors.")]
    return ours[-1].partition(": ")[2] if ours else f"{type(error).__name__}; see Ray's log."


class _TextLabeller:
    """An actor: adds labels to frames."""

    def __init__(self, models: Models, text: str) -> None:
        self._models = models
        self._text = text

    def __call__(self, frame: pd.DataFrame) -> pd.DataFrame:
        labels = label_texts(self._models, frame[self._text])
        return pd.concat([frame.reset_index(drop=True), labels], axis=1)


def with_labels(
    dataset: ray.data.Dataset,
    text: str = "text",
    *,
    processes: int = 1,
    models: Models | None = None,
) -> ray.data.Dataset:
    """The dataset with the label's columns beside its own, by so many actors."""
    bound, _ = pinned(models or Models())
    return dataset.map_batches(
        _TextLabeller,
        fn_constructor_args=(bound, text),
        batch_format="pandas",
        batch_size=_ROWS_AT_ONCE,
        compute=ray.data.ActorPoolStrategy(size=processes),
    )
