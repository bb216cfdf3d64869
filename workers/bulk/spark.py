"""Spark: parts as tasks for `carelane bulk --engine spark`, and a pandas UDF for any data frame.

In a notebook:

    from workers.bulk.spark import with_labels
    labelled = with_labels(messages, text="body")       # adds a struct column `label`
    labelled.select("id", "label.urgency", "label.categories")

Carelane has to be installed on the executors. Each of their Python processes loads the models
once and holds one batch; pyspark's own settings bound the rest.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import pandas as pd
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.functions import col, pandas_udf

from workers.bulk.frames import COLUMNS, label_texts
from workers.bulk.job import Job, Models, Part
from workers.bulk.labeller import labeller_of, pinned
from workers.bulk.local import EngineError
from workers.bulk.part import done_parts, label_part
from workers.bulk.places import open_folder

_LABEL_TYPE: Final = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
_TASK_TRIES: Final = 4  # Spark's own number on a cluster; local mode has 1 otherwise
_LOOK_EVERY_S: Final = 0.5


class SparkEngine:
    """Labels parts as the tasks of one Spark job."""

    def __init__(self, processes: int) -> None:
        self._processes = processes

    def run(self, job: Job, parts: Sequence[Part], on_rows: Callable[[int], object]) -> None:
        """Label `parts` in the active session, or in one of this machine made for it.

        Raises:
            EngineError: a part failed as often as Spark tries. What is done stays done.
        """
        active = SparkSession.getActiveSession()
        session = active or local_session(self._processes)
        try:
            _watched(lambda: _run(session, job, parts), job, parts, on_rows)
        finally:
            if active is None:
                session.stop()


def local_session(processes: int) -> SparkSession:
    """A session on this machine that tries a failed task again."""
    # The only way to tell it outside of spark-submit: the workers run in our environment.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder: Any = SparkSession.builder
    session: SparkSession = (
        builder.master(f"local[{processes},{_TASK_TRIES}]")
        .appName("carelane bulk")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("ERROR")
    return session


def _run(session: SparkSession, job: Job, parts: Sequence[Part]) -> None:
    by_place = list(parts)

    def label_parts(frames: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        for frame in frames:
            for place in frame["id"]:
                label_part(job, by_place[int(place)], labeller_of(job.models))
            yield frame

    # One row, one partition, one task for each part.
    places = session.range(0, len(by_place), 1, len(by_place))
    places.mapInPandas(label_parts, "id long").collect()


def _watched(
    work: Callable[[], None],
    job: Job,
    parts: Sequence[Part],
    on_rows: Callable[[int], object],
) -> None:
    """Run `work` and tell of parts as their marks appear."""
    failed: list[Exception] = []

    def run() -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001  Py4J's errors share no useful parent
            failed.append(error)

    thread = threading.Thread(target=run, name="spark-job", daemon=True)
    thread.start()
    folder = open_folder(job.output)
    left = {part.name: part.rows for part in parts}
    while left and thread.is_alive():
        time.sleep(_LOOK_EVERY_S)
        for name in done_parts(folder, among=left):
            on_rows(left.pop(name))
    thread.join()
    if failed:
        raise EngineError(
            f"Spark gave up: {_reason(failed[0])} The same command goes on where this stopped."
        ) from failed[0]
    on_rows(sum(left.values()))


def _reason(error: Exception) -> str:
    """The last line of our own error in a Python traceback; else the error's kind."""
    lines = [line.strip() for line in str(error).splitlines()]
    ours = [line for line in lines if line.startswith("shared.errors.")]
    return ours[-1].partition(": ")[2] if ours else f"{type(error).__name__}; see Spark's log."


def label_udf(models: Models | None = None) -> Any:
    """A pandas UDF from a text column to a struct of COLUMNS; bound to the models found here."""
    bound, _ = pinned(models or Models())

    def label(batches: Iterator[pd.Series]) -> Iterator[pd.DataFrame]:
        for batch in batches:
            yield label_texts(bound, batch)

    return pandas_udf(label, _LABEL_TYPE)


def with_labels(
    frame: DataFrame, text: str = "text", *, column: str = "label", models: Models | None = None
) -> DataFrame:
    """The frame with one column more, the struct that `label_udf` makes."""
    return frame.withColumn(column, label_udf(models)(col(text)))


__all__ = ["SparkEngine", "label_udf", "with_labels"]
