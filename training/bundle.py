"""A bundle's folder: written from its parts, its manifest rewritten when a step adds to it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from shared.contracts import Urgency
from shared.taxonomy import Taxonomy
from training.corpus import Example, file_hash
from workers.fast_tier.manifest import FORMAT, MANIFEST, LinearWeights, Temperatures
from workers.routing import RoutingPolicy

DRAFT_POLICY: Final = RoutingPolicy(
    min_joint=2.0,  # nothing is accepted before thresholds are chosen
    min_category=0.0,
    min_urgency=0.0,
    max_emergent=2.0,
    min_familiarity=-1.0,
    languages=("en",),
    emergent_categories=(),
    model_version="draft",
    taxonomy_version="draft",
)


def write_bundle(
    folder: Path,
    *,
    name: str,
    version: str,
    kind: str,
    taxonomy: Taxonomy,
    files: Mapping[str, Path],
    max_tokens: int,
    linear_weights: LinearWeights = LinearWeights(),  # noqa: B008  frozen
    training: Mapping[str, Any],
) -> Path:
    """A draft bundle: whole and loadable, with thresholds that accept nothing yet."""
    folder.mkdir(parents=True, exist_ok=True)
    for target, source in files.items():
        if source.resolve() != (folder / target).resolve():
            shutil.copyfile(source, folder / target)
    manifest = {
        "format": FORMAT,
        "name": name,
        "version": version,
        "kind": kind,
        "taxonomy_version": taxonomy.version,
        "categories": list(taxonomy.category_names),
        "urgencies": [str(u) for u in Urgency],
        "files": {target: file_hash(folder / target) for target in files},
        "max_tokens": max_tokens,
        "most_categories": 3,
        "member_threshold": 0.5,
        "linear_weights": asdict(linear_weights),
        "temperatures": asdict(Temperatures()),
        "routing": DRAFT_POLICY.as_dict(),
        "metrics": {},
        "training": dict(training),
    }
    return save_manifest(folder, manifest)


def load_manifest(folder: Path) -> dict[str, Any]:
    """The manifest as it stands, to be added to."""
    data: dict[str, Any] = json.loads((folder / MANIFEST).read_text("utf-8"))
    return data


def save_manifest(folder: Path, manifest: Mapping[str, Any]) -> Path:
    """Write bundle.json; returns the folder."""
    text = json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
    (folder / MANIFEST).write_text(text, "utf-8")
    return folder


def emergent_categories(examples: Sequence[Example], names: Sequence[str]) -> tuple[str, ...]:
    """Categories that emergent messages of the training data have as primary, beyond a slip."""
    primaries = [e.primary for e in examples if e.urgency is Urgency.EMERGENT]
    least = max(2, len(primaries) // 100)
    return tuple(name for name in names if primaries.count(name) >= least)
