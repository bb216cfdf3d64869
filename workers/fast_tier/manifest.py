"""bundle.json, the manifest of a model bundle: read, checked, never guessed at.

A bundle is a folder: the manifest, a model card, and the files that the manifest names with
their SHA-256. A worker refuses a folder in which one byte differs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from shared.contracts import Urgency
from shared.errors import BundleError
from shared.taxonomy import Taxonomy
from workers.routing import RoutingPolicy

FORMAT: Final = 1
KINDS: Final = ("transformer", "linear")
MANIFEST: Final = "bundle.json"


@dataclass(frozen=True, kw_only=True)
class Temperatures:
    """What each head's logits are divided by."""

    primary: float = 1.0
    members: float = 1.0
    urgency: float = 1.0


@dataclass(frozen=True, kw_only=True)
class LinearWeights:
    """Share of the linear model in each head's mean log-probability; 0: none."""

    category: float = 0.0
    urgency: float = 0.0

    def __bool__(self) -> bool:
        return bool(self.category or self.urgency)


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a worker needs to know of a bundle."""

    name: str
    version: str
    kind: str  # transformer or linear
    taxonomy_version: str
    categories: tuple[str, ...]  # order of the category heads
    max_tokens: int  # of one window
    most_categories: int
    member_threshold: float  # a further category is named from this probability on
    linear_weights: LinearWeights
    temperatures: Temperatures
    policy: RoutingPolicy
    files: Mapping[str, str]  # name → SHA-256


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a bundle whose files are all there and unchanged; BundleError if not."""
    data = _json(folder)
    try:
        manifest = _parse(data)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise BundleError(
            f"{folder / MANIFEST} is not a manifest of format {FORMAT}: {error!r}. Build the "
            "bundle again with `carelane model build`, or restore it from the repository."
        ) from error
    for name, expected in manifest.files.items():
        _check_file(folder, name, expected)
    return manifest


def check_taxonomy(manifest: Manifest, taxonomy: Taxonomy) -> None:
    """Refuse a bundle made for another taxonomy: its labels would mean something else."""
    if (manifest.taxonomy_version, manifest.categories) != (
        taxonomy.version,
        taxonomy.category_names,
    ):
        raise BundleError(
            f"bundle {manifest.name} {manifest.version} was made for taxonomy "
            f"{manifest.taxonomy_version!r} ({', '.join(manifest.categories)}); this process runs "
            f"{taxonomy.version!r} ({', '.join(taxonomy.category_names)}). Train a bundle for it "
            "with `carelane model build --taxonomy FILE`, or set CARELANE_TAXONOMY back."
        )


def _json(folder: Path) -> Mapping[str, Any]:
    path = folder / MANIFEST
    try:
        data = json.loads(path.read_bytes())
    except OSError as error:
        raise BundleError(
            f"no model bundle at {folder}: {path.name} cannot be read ({error.strerror}). "
            "CARELANE_BUNDLE names the folder; the one that ships is workers/models/triage-v1."
        ) from error
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{path} is damaged: {error}. Restore the bundle.") from error
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        found = data.get("format") if isinstance(data, dict) else type(data).__name__
        raise BundleError(
            f"{path} has format {found!r}; this Carelane reads format {FORMAT}. Use a bundle "
            "made by the same release."
        )
    return data


def _parse(data: Mapping[str, Any]) -> Manifest:
    if data["kind"] not in KINDS:
        raise ValueError(f"kind {data['kind']!r} is none of {', '.join(KINDS)}")
    if tuple(data["urgencies"]) != tuple(Urgency):
        raise ValueError(f"urgencies must be {', '.join(Urgency)}, in this order")
    files = {str(k): str(v) for k, v in data["files"].items()}
    needed = {"model.onnx", "tokenizer.json" if data["kind"] == "transformer" else "ngrams.json"}
    linear_weights = LinearWeights(**{k: float(v) for k, v in data["linear_weights"].items()})
    if linear_weights:
        needed |= {"linear.onnx", "ngrams.json"}
    if not needed <= files.keys():
        raise ValueError(f"files lacks {', '.join(sorted(needed - files.keys()))}")
    version, taxonomy_version = str(data["version"]), str(data["taxonomy_version"])
    return Manifest(
        name=str(data["name"]),
        version=version,
        kind=str(data["kind"]),
        taxonomy_version=taxonomy_version,
        categories=tuple(map(str, data["categories"])),
        max_tokens=int(data["max_tokens"]),
        most_categories=int(data["most_categories"]),
        member_threshold=float(data["member_threshold"]),
        linear_weights=linear_weights,
        temperatures=Temperatures(**{k: float(v) for k, v in data["temperatures"].items()}),
        policy=RoutingPolicy.from_dict(
            data["routing"],
            model_version=f"{data['name']} {version}",
            taxonomy_version=taxonomy_version,
        ),
        files=files,
    )


def _check_file(folder: Path, name: str, expected: str) -> None:
    if Path(name).name != name or "\0" in name:
        raise BundleError(f"bundle {folder} names {name!r}, which lies outside it; refused")
    try:
        found = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    except OSError as error:
        raise BundleError(
            f"bundle {folder} lacks {name} ({error.strerror}); restore it from where it came from"
        ) from error
    if found != expected:
        raise BundleError(
            f"bundle {folder}: {name} has SHA-256 {found[:12]}…, the manifest says "
            f"{expected[:12]}…. The file was changed or copied in part; restore the bundle."
        )
