"""A run from its beginning to its report: plan, label what is left, tell."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from tqdm import tqdm

from shared.contracts import Status
from shared.errors import InvalidInput
from workers.bulk.job import Job, Part
from workers.bulk.labeller import pinned
from workers.bulk.llm import Asker
from workers.bulk.manifest import Manifest, check_same, read_manifest, write_manifest
from workers.bulk.part import done_parts, marks
from workers.bulk.places import Folder, local_path
from workers.bulk.plan import make_plan


class Engine(Protocol):
    """Labels parts, wherever its processes are."""

    def run(self, job: Job, parts: Sequence[Part], on_rows: Callable[[int], object]) -> None:
        """Label `parts`, each by `label_part`; `on_rows` hears of rows as they are done."""
        ...


@dataclass(frozen=True, kw_only=True)
class Begun:
    """A run whose plan is made, or was made before."""

    manifest: Manifest
    job: Job
    left: tuple[Part, ...]


def begin(
    folder: Folder, job: Job, rows_per_part: int, versions_of_llm: Mapping[str, str]
) -> Begun:
    """Plan the run, or find what is left of it. Raises InvalidInput when it is another one."""
    path = local_path(job.output)
    if path is not None:
        _refuse_mixing(path)
    models, versions = pinned(job.models)
    begun = read_manifest(folder, job.output)
    with _bar(None, "read", "B") as shown:
        plan = make_plan(
            job.source, job.kind, job.field, rows_per_part, lambda n: shown.update(n - shown.n)
        )
    job = replace(job, models=models, header=plan.header)
    now = Manifest(job=job, plan=plan, versions={**versions, **versions_of_llm})
    if begun is None:
        write_manifest(folder, now)
        begun = now
    check_same(begun, now, job.output)
    done = done_parts(folder)
    left = tuple(part for part in begun.plan.parts if part.name not in done)
    return Begun(manifest=replace(begun, job=job), job=job, left=left)


def _refuse_mixing(folder: Path) -> None:
    """A folder with other things in it is somebody's."""
    if folder.is_dir() and not (folder / "manifest.json").exists():
        others = [each.name for each in folder.iterdir() if each.name not in (".lock", ".tmp")]
        if others:
            raise InvalidInput(
                f"{folder} holds other files ({', '.join(sorted(others)[:3])}). Name a new folder, "
                "or one that an earlier run began."
            )


def label(begun: Begun, engine: Engine) -> tuple[int, float]:
    """Label what is left; rows and seconds."""
    rows = sum(part.rows for part in begun.left)
    started_s = time.monotonic()
    if begun.left:
        with _bar(rows, "label", " messages") as shown:
            engine.run(begun.job, begun.left, lambda n: shown.update(n))
    return rows, time.monotonic() - started_s


def ask(begun: Begun, asker: Asker) -> None:
    """Ask about what the labelling left open; raises LanguageModelError when the LLM stays away."""
    counts = (mark["counts"].get("status", {}) for mark in marks(asker.folder))
    waiting = sum(each.get(Status.ESCALATED, 0) for each in counts)
    if waiting:
        with _bar(waiting, "ask", " messages") as shown:
            asker.ask(begun.job, begun.manifest.plan.parts, lambda n: shown.update(n))


def _bar(total: int | None, label: str, unit: str) -> tqdm[Any]:
    # Shown only where a person can see it.
    return tqdm(
        total=total,
        desc=label,
        unit=unit,
        unit_scale=unit == "B",
        disable=None,
        file=sys.stderr,
        leave=False,
    )
