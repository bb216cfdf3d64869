"""The output's manifest: what the run was begun with, so that it can only be gone on with that."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from shared.errors import InvalidInput
from workers.bulk.job import Job, Models, Part
from workers.bulk.places import Folder
from workers.bulk.plan import Plan

NAME: Final = "manifest.json"
FORMAT: Final = 1


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What is in manifest.json."""

    job: Job
    plan: Plan
    versions: Mapping[str, str]  # of models and rules, by name

    def identity(self) -> dict[str, str]:
        """What must not change between a run and its resumption, in words."""
        job = self.job
        return {
            "the input's content (SHA-256)": self.plan.sha256,
            "--input-format": job.kind,
            "--field": job.field,
            "--id-field": job.id_field,
            "--ambiguous": job.ambiguous,
            "--format": job.format,
            "--with-text": "yes" if job.with_text else "no",
            "the longest text (CARELANE_MAX_TEXT_CHARS)": str(job.models.max_text_chars),
            **{f"the version of {name}": version for name, version in self.versions.items()},
        }


def write_manifest(folder: Folder, manifest: Manifest) -> None:
    """Begin a run."""
    job = {**asdict(manifest.job), "source": "", "output": ""}
    # Where the models lie differs from machine to machine; their versions count.
    for name in ("bundle", "deid_bundle", "taxonomy", "red_flags"):
        job["models"][name] = None
    content = {
        "format": FORMAT,
        "job": job,
        "versions": dict(manifest.versions),
        "input": {"sha256": manifest.plan.sha256, "bytes": manifest.plan.n_bytes},
        "parts": [[p.start, p.end, p.line, p.rows] for p in manifest.plan.parts],
    }
    folder.write(NAME, json.dumps(content, ensure_ascii=False).encode())


def read_manifest(folder: Folder, where: str) -> Manifest | None:
    """The manifest of a run that was begun; None where there is none. Raises InvalidInput."""
    raw = folder.read(NAME)
    if raw is None:
        return None
    try:
        content: dict[str, Any] = json.loads(raw)
        if content["format"] != FORMAT:
            raise ValueError(f"format {content['format']}")
        return _parse(content)
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidInput(
            f"{where}/{NAME} is no manifest of this version of Carelane "
            f"({type(error).__name__}: {error}). Choose another output folder."
        ) from error


def _parse(content: Mapping[str, Any]) -> Manifest:
    data = dict(content["job"])
    data["models"] = Models(**data["models"])
    data["header"] = tuple(data["header"])
    parts = tuple(
        Part(number=number, start=start, end=end, line=line, rows=rows)
        for number, (start, end, line, rows) in enumerate(content["parts"])
    )
    plan = Plan(
        sha256=content["input"]["sha256"],
        n_bytes=content["input"]["bytes"],
        header=data["header"],
        parts=parts,
    )
    return Manifest(job=Job(**data), plan=plan, versions=content["versions"])


def check_same(begun: Manifest, now: Manifest, where: str) -> None:
    """Raises InvalidInput when `now` would go on with something else than was begun."""
    before, after = begun.identity(), now.identity()
    changed = [
        f"{name} was {before.get(name, 'not there')}, is {after.get(name, 'not there')}"
        for name in {**before, **after}
        if before.get(name) != after.get(name)
    ]
    if changed:
        raise InvalidInput(
            f"{where} was begun with something else: {'; '.join(changed)}. Go on with what it was "
            "begun with, or choose another output folder."
        )
